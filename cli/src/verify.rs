use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use airlock_receipt::{BundleVerifier, KeySet, Report};
use serde_json::json;

use crate::{
    arguments::Verify,
    console::{Console, counted},
    failure::{Exit, Failure},
    receipts,
};

/// How a SQLite database begins (SQLite file format, section 1.3).
const DATABASE: &[u8] = b"SQLite format 3\0";

/// Largest key set that is read, bytes.
const KEYS_BYTES: u64 = 1 << 20;

/// Problems that are shown to people; programs get all that the report keeps.
const SHOWN: usize = 20;

/// `airlock verify`: nothing is asked of any network or service.
///
/// # Errors
/// A [`Failure`] if a file cannot be read. Receipts that do not verify are no failure but [`Exit::Refuted`].
pub fn run(arguments: &Verify, console: Console) -> Result<Exit, Failure> {
    let mut input =
        File::open(&arguments.file).map_err(|error| Failure::file("read", &arguments.file, &error))?;
    let mut start = Vec::new();
    let unreadable = |error: io::Error| Failure::file("read", &arguments.file, &error);
    let length = u64::try_from(DATABASE.len()).unwrap_or(u64::MAX);
    (&mut input).take(length).read_to_end(&mut start).map_err(unreadable)?;
    let (report, keys) = if start == DATABASE {
        let store = receipts::open(&arguments.file)?;
        let broken = |error| receipts::broken(&arguments.file, &error);
        let (keys, source) = match &arguments.keys {
            Some(file) => (read_keys(file)?, file),
            None => (store.keys().map_err(broken)?, &arguments.file),
        };
        let mut sink = Sink(BundleVerifier::new(keys));
        store.export(&mut sink).map_err(broken)?;
        (sink.0.finish(), source.clone())
    } else {
        let keys = arguments.keys.clone().unwrap_or_else(|| keys_beside(&arguments.file));
        let mut sink = Sink(BundleVerifier::new(read_keys(&keys)?));
        sink.0.update(&start);
        io::copy(&mut input, &mut sink).map_err(unreadable)?;
        (sink.0.finish(), keys)
    };
    let json = json!({ "valid": report.is_valid(), "keys": keys.to_string_lossy(), "report": report });
    console.print(&text(arguments, &keys, &report), &json);
    Ok(if report.is_valid() { Exit::Success } else { Exit::Refuted })
}

/// Where the public keys of a bundle are kept unless they are named.
pub fn keys_beside(bundle: &Path) -> PathBuf {
    let mut name = OsString::from(bundle);
    name.push(".keys.json");
    PathBuf::from(name)
}

fn read_keys(file: &Path) -> Result<KeySet, Failure> {
    let unreadable = |error: io::Error| {
        Failure::file("read", file, &error).remedy("name the signer's public keys with `--keys FILE`")
    };
    let mut json = Vec::new();
    File::open(file).map_err(unreadable)?.take(KEYS_BYTES).read_to_end(&mut json).map_err(unreadable)?;
    KeySet::from_jwks(&json)
        .map_err(|error| Failure::new(Exit::BadInput, format!("`{}`: {error}", file.display())))
}

fn text(arguments: &Verify, keys: &Path, report: &Report) -> String {
    let mut lines: Vec<String> = report
        .problems
        .iter()
        .take(SHOWN)
        .map(|problem| {
            let place = match (problem.line, &problem.session, problem.seq) {
                (0, ..) => String::new(),
                (line, Some(session), Some(seq)) => format!("line {line} ({session}, receipt {seq}): "),
                (line, ..) => format!("line {line}: "),
            };
            format!("{place}{}: {}", problem.kind.as_str(), problem.message)
        })
        .collect();
    let hidden = report.problem_count.saturating_sub(lines.len().try_into().unwrap_or(u64::MAX));
    if hidden > 0 {
        lines.push(format!("and {}", counted(hidden, "more problem")));
    }
    if arguments.keys.is_none() {
        // Whoever changed the receipts could have changed these too.
        lines.push(format!(
            "keys from {} (name those that you had before with `--keys FILE`)",
            keys.display()
        ));
    }
    let verdict = if report.is_valid() { "valid" } else { "NOT VALID" };
    let (receipts, sessions) = (counted(report.receipts, "receipt"), counted(report.sessions, "session"));
    lines.push(format!("{}: {verdict}, {receipts} in {sessions}", arguments.file.display()));
    lines.join("\n")
}

/// Lets everything that writes NDJSON feed the verifier.
struct Sink(BundleVerifier);

impl Write for Sink {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.update(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
