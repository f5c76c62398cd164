//! `airlock verify` and `airlock receipts export`.

use std::collections::HashMap;

use airlock_receipt::{ChainHead, KeySet, Record, SigningKey};
use airlock_signer::{Settings, State, Store, load_or_create_key};
use serde_json::json;

use crate::{command::Place, golden};

pub(crate) fn record(session: &str, number: u64) -> Record {
    let record = json!({
        "id": format!("{number:032x}"),
        "gateway": "edge-1",
        "session": session,
        "started_at": "2026-03-01T12:00:00.000001Z",
        "duration_us": 1250,
        "who": { "issuer": "https://login.example.com", "subject": "zoe", "anonymous": false },
        "what": {
            "server": "files", "method": "tools/call", "name": "search", "operation": "read",
            "http_method": "POST", "path": "/mcp", "request_id": "7",
        },
        "decision": { "effect": "allow", "reason": "policy_allowed", "rule": "readers", "mode": "enforce" },
        "outcome": { "status": 200, "state": "completed" },
        "request_digest": { "algorithm": "sha256", "value": "ab".repeat(32), "bytes": 120 },
        "findings": {},
    });
    serde_json::from_value(record).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32]).unwrap()
}

fn jwks(key: &SigningKey) -> String {
    KeySet::from_iter([key.public().clone()]).to_jwks()
}

/// A bundle with one receipt for each session named, and its key set beside it.
fn bundle(place: &Place, name: &str, sessions: &[&str]) -> Vec<u8> {
    let mut heads = HashMap::new();
    let mut bundle = Vec::new();
    for (number, session) in (1..).zip(sessions) {
        let head = heads.entry(*session).or_insert(ChainHead::START);
        let sealed = key(7).seal(&record(session, number), head).unwrap();
        *head = ChainHead::after(head.seq, sealed.payload_sha256);
        bundle.extend_from_slice(&sealed.envelope);
        bundle.push(b'\n');
    }
    place.write(name, &bundle);
    place.write(&format!("{name}.keys.json"), jwks(&key(7)));
    bundle
}

/// A state directory in which a signer has run.
fn state(place: &Place, name: &str, records: &[Record]) {
    let directory = place.path(name);
    std::fs::create_dir(&directory).unwrap();
    let key = load_or_create_key(&directory.join("signer.key")).unwrap();
    let signer =
        State::start(Store::open(&directory.join("receipts.db")).unwrap(), key, Settings::default()).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        if !records.is_empty() {
            assert_eq!(signer.append(records.to_vec()).await.unwrap().appended, records.len());
        }
        signer.close().await;
    });
}

/// Changes one character of the payload of the second receipt.
fn flip(bundle: &[u8]) -> Vec<u8> {
    let second = bundle.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut changed = bundle.to_vec();
    let place = second + br#"{"payload":""#.len() + 150;
    changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
    changed
}

#[test]
fn a_verdict_says_what_was_checked_and_what_is_wrong() {
    let place = Place::new();
    let whole = bundle(&place, "whole", &["a", "a", "b"]);
    let changed = flip(&whole);
    assert_eq!(whole.iter().zip(&changed).filter(|(a, b)| a != b).count(), 1);
    place.write("changed", &changed);
    place.write("changed.keys.json", jwks(&key(7)));
    place.write("empty", "");
    place.write("empty.keys.json", jwks(&key(7)));
    place.write("without-keys", &whole);
    place.write("others.json", jwks(&key(8)));
    place.write("no-keys.json", "{}");
    place.write("text", "hello\n");
    place.write("text.keys.json", jwks(&key(7)));
    place.write("many", "hello\n".repeat(25));
    place.write("many.keys.json", jwks(&key(7)));
    place.write("other.db", [b"SQLite format 3\0".as_slice(), &[0; 84]].concat());
    let mut shown = String::new();
    for (arguments, exit, valid) in [
        (&["verify", "whole"][..], 0, Some(true)),
        (&["verify", "whole", "--keys", "changed.keys.json"], 0, Some(true)),
        (&["verify", "changed"], 1, Some(false)),
        (&["verify", "whole", "--keys", "others.json"], 1, Some(false)),
        (&["verify", "empty"], 1, Some(false)),
        (&["verify", "text"], 1, Some(false)),
        (&["verify", "many"], 1, Some(false)),
        (&["verify", "without-keys"], 64, None),
        (&["verify", "whole", "--keys", "no-keys.json"], 64, None),
        (&["verify", "other.db"], 64, None),
        (&["verify", "absent"], 64, None),
        (&["verify", "."], 64, None),
    ] {
        let (transcript, told) = place.both(arguments);
        assert!(transcript.ends_with(&format!("exit {exit}\n\n")), "{transcript}");
        assert_eq!(told.get("valid").and_then(serde_json::Value::as_bool), valid, "{told}");
        shown += &transcript;
    }
    golden::compare("cli/tests/golden/verify.txt", &shown);
}

#[test]
fn a_byte_changed_anywhere_is_noticed() {
    let place = Place::new();
    let whole = bundle(&place, "whole", &["a", "b"]);
    for step in 0..40 {
        let mut changed = whole.clone();
        let index = step * (whole.len() - 1) / 40;
        changed[index] ^= 1;
        place.write("changed", &changed);
        let ended = place.run(&["verify", "changed", "--keys", "whole.keys.json"]);
        assert_eq!(ended.exit, 1, "byte {index}: {}", ended.output);
    }
}

#[test]
fn the_database_of_a_signer_is_verified_like_its_export() {
    let place = Place::new();
    state(&place, "s", &[record("a", 1), record("b", 2), record("a", 3)]);
    let ended = place.run(&["verify", "s/receipts.db"]);
    assert_eq!(ended.exit, 0, "{}{}", ended.output, ended.errors);
    assert!(ended.output.contains("valid, 3 receipts in 2 sessions"), "{}", ended.output);

    place.write("others.json", jwks(&key(8)));
    assert_eq!(place.run(&["verify", "s/receipts.db", "--keys", "others.json"]).exit, 1);

    let (shown, told) = place.both(&["receipts", "export", "bundle", "--state", "s"]);
    assert!(shown.contains("3 receipts in bundle, public keys in bundle.keys.json"), "{shown}");
    assert_eq!(told, json!({ "receipts": 3, "bundle": "bundle", "keys": "bundle.keys.json" }));
    let ended = place.run(&["verify", "bundle"]);
    assert!(ended.exit == 0 && ended.output.contains("valid, 3 receipts in 2 sessions"), "{}", ended.output);
    assert_eq!(place.names(""), ["bundle", "bundle.keys.json", "others.json", "s"], "nothing else is left");
}

#[test]
fn an_export_replaces_older_exports_and_nothing_else() {
    let place = Place::new();
    state(&place, "s", &[record("a", 1)]);
    let export = |file: &str| place.run(&["receipts", "export", file, "--state", "s"]).exit;
    assert_eq!((export("bundle"), export("bundle")), (0, 0));
    place.write("empty", "");
    assert_eq!(export("empty"), 0);

    place.write("notes.keys.json", "kept");
    place.write("kept.txt", "kept");
    for file in ["s/receipts.db", "s/signer.key", "kept.txt", "notes", "s"] {
        assert_eq!(export(file), 64, "{file}");
    }
    // SQLite leaves side files of its own.
    let written: Vec<_> =
        place.names("s").into_iter().filter(|name| !name.starts_with("receipts.db-")).collect();
    assert_eq!(written, ["receipts.db", "signer.key"], "nothing is written beside them either");
    assert_eq!(place.run(&["verify", "s/receipts.db"]).exit, 0);
    assert!(!place.path("notes").exists());
}

#[test]
fn an_export_that_cannot_be_done_says_why_and_makes_nothing() {
    let place = Place::new();
    state(&place, "s", &[record("a", 1)]);
    place.write("kept.txt", "kept");
    let mut shown = String::new();
    for (file, state) in [("bundle", "absent"), ("absent/bundle", "s"), ("kept.txt", "s")] {
        shown += &place.both(&["receipts", "export", file, "--state", state]).0;
    }
    golden::compare("cli/tests/golden/export.txt", &shown);
    assert_eq!(place.names(""), ["kept.txt", "s"]);
}

#[test]
fn no_receipts_are_no_evidence() {
    let place = Place::new();
    state(&place, "s", &[]);
    assert_eq!(place.run(&["receipts", "export", "bundle", "--state", "s"]).exit, 0);
    assert_eq!(place.run(&["verify", "bundle"]).exit, 1);
}
