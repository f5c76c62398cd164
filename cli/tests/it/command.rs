//! Runs the command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A directory to run the command in; relative paths lead there, and so does the home directory.
pub(crate) struct Place {
    directory: TempDir,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) exit: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Names of what is in a directory, sorted.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A command that sees nothing of the environment of these tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airlock"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        Ended {
            exit: output.status.code().unwrap(),
            output: self.portable(&output.stdout),
            errors: self.portable(&output.stderr),
        }
    }

    /// Runs a command for people and for programs, checks that both are told the same, and returns both as a
    /// transcript with what the program was told.
    pub(crate) fn both(&self, arguments: &[&str]) -> (String, Value) {
        let text = self.run(arguments);
        let json = self.run(&[arguments, &["--format", "json"]].concat());
        assert_eq!(text.exit, json.exit, "{arguments:?}");
        assert_eq!(text.errors.is_empty(), json.errors.is_empty(), "{arguments:?}");
        let told = if json.errors.is_empty() { &json.output } else { &json.errors };
        let value: Value = serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {told}"));
        if let Some(error) = value.get("error") {
            for (name, fact) in error.as_object().unwrap() {
                let fact = fact.as_str().map_or_else(|| fact.to_string(), str::to_owned);
                // The usage that clap shows has the options that were given.
                let fact = fact.split(" --format").next().unwrap_or_default();
                assert!(text.errors.contains(fact), "{name}: {fact} is missing in\n{}", text.errors);
            }
        }
        let shown: Vec<String> =
            [(arguments.join(" "), text), (arguments.join(" ") + " --format json", json)]
                .iter()
                .map(|(line, ended)| {
                    let Ended { exit, output, errors } = ended;
                    format!("$ airlock {line}\n{output}{errors}exit {exit}\n\n")
                })
                .collect();
        (shown.concat(), value)
    }

    fn portable(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.replace(self.directory.path().to_str().unwrap(), "$PLACE")
    }
}

/// Makes a file that can be run.
pub(crate) fn executable(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
