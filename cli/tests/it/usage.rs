//! Command lines that make no sense.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use serde_json::Value;

use crate::{command::Place, golden};

#[test]
fn a_wrong_command_line_ends_with_2_and_in_the_form_that_was_asked_for() {
    let place = Place::new();
    let mut shown = String::new();
    for arguments in [
        &["verify"][..],
        &["verfy", "bundle"],
        &["verify", "bundle", "--nope"],
        &["up"],
        &["up", "--upstream", "http://127.0.0.1:3001/mcp", "--concurrency", "0"],
        &["up", "--upstream", "http://127.0.0.1:3001/mcp", "--listen", "8787"],
        &["dev", "token", "--minutes", "0"],
        &["dev", "token", "--subject", ""],
    ] {
        let (transcript, told) = place.both(arguments);
        assert!(transcript.ends_with("exit 2\n\n"), "{transcript}");
        assert!(told["error"]["remedy"].is_string(), "{told}");
        shown += &transcript;
    }
    golden::compare("cli/tests/golden/usage.txt", &shown);
}

#[test]
fn json_is_asked_for_in_every_way_that_clap_knows() {
    let place = Place::new();
    for (arguments, json) in [
        (&["--format", "json", "verify"][..], true),
        (&["--format=json", "verify"], true),
        (&["verify", "--format", "json"], true),
        (&["verify", "--nope", "--", "--format=json"], false),
        (&["verify"], false),
    ] {
        let ended = place.run(arguments);
        assert_eq!(ended.exit, 2, "{arguments:?}");
        assert_eq!(serde_json::from_str::<Value>(&ended.errors).is_ok(), json, "{arguments:?}");
    }
}

#[test]
fn help_is_no_error() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["help", "up"], &["--version"], &["up", "--help", "--format", "json"]]
    {
        let ended = place.run(arguments);
        assert_eq!((ended.exit, ended.errors.as_str()), (0, ""), "{arguments:?}");
        assert!(!ended.output.is_empty());
    }
}

#[test]
fn names_of_files_need_not_be_utf_8() {
    let place = Place::new();
    let name = OsString::from_vec(b"policy-\xff.yaml".to_vec());
    std::fs::write(place.path("").join(&name), "version: 2\n").unwrap();
    let output = place.command(&["policy", "lint", "--format", "json"]).arg(&name).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["error"]["file"], "policy-\u{fffd}.yaml");
}
