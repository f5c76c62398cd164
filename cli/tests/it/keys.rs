//! Keys on disk.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::{
    command::{Place, executable},
    golden,
    tokens::judge,
};

#[test]
fn processes_that_make_a_key_at_once_agree_on_it() {
    let place = Place::new();
    let started: Vec<_> = (0..8)
        .map(|_| place.command(&["dev", "token", "--state", "s"]).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let tokens: Vec<_> = started.into_iter().map(|process| process.wait_with_output().unwrap()).collect();
    for token in tokens {
        assert!(token.status.success());
        judge(&place, "s", token.stdout.trim_ascii_end()).unwrap();
    }
    assert_eq!(place.names("s"), ["development-issuer.key"], "no temporary file is left");
}

#[test]
fn a_state_directory_is_for_its_owner() {
    let place = Place::new();
    place.run(&["dev", "token"]);
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(".local/state/airlock"), 0o700);
    assert_eq!(mode(".local/state/airlock/development-issuer.key"), 0o600);
}

#[test]
fn keys_that_others_may_access_are_refused() {
    let place = Place::new();
    executable(&place.path("envoy"), "touch started");
    place.write("airlock.wasm", "");
    let up = ["up", "--upstream", "http://127.0.0.1:9/mcp", "--envoy", "envoy", "--module", "airlock.wasm"];
    let mut shown = String::new();
    for (key, arguments) in [
        ("development-issuer.key", ["dev", "token"].as_slice()),
        ("digest.key", &up),
        ("signer.key", &["signer", "--listen", "127.0.0.1:0"]),
    ] {
        let state = format!("state-of-{key}");
        let path = place.write(&format!("{state}/{key}"), [7; 32]);
        let arguments = [arguments, &["--state", &state]].concat();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(place.run(&arguments).exit, 69, "{key} {mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        shown += &place.both(&arguments).0;
        assert_eq!(fs::read(path).unwrap(), [7; 32], "a refused key is left as it is");
    }
    assert!(!place.path("started").exists());
    golden::compare("cli/tests/golden/keys.txt", &shown);
}

#[test]
fn a_key_of_another_size_is_refused_and_not_replaced() {
    let place = Place::new();
    for bytes in [0, 31, 33, 5_000] {
        let path = place.write("s/development-issuer.key", vec![7; bytes]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let ended = place.run(&["dev", "token", "--state", "s"]);
        assert_eq!(ended.exit, 69);
        assert!(ended.errors.contains("is not a key of 32 bytes"), "{}", ended.errors);
        assert_eq!(fs::read(path).unwrap().len(), bytes);
    }
}

#[test]
fn what_a_process_that_was_killed_has_left_stops_nobody() {
    let place = Place::new();
    fs::create_dir(place.path("s")).unwrap();
    // Process ids come again, in a container the same one at every start.
    let script = format!(
        "for old in .$$ -$$ .$$.new -$$.new; do touch s/development-issuer$old s/development-issuer.key$old; done; \
         exec {} dev token --state s",
        env!("CARGO_BIN_EXE_airlock")
    );
    assert!(Command::new("sh").args(["-c", &script]).current_dir(place.path("")).status().unwrap().success());
}
