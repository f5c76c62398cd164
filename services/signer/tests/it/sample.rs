//! Records and signers for tests.

use std::path::Path;

use airlock_receipt::{BundleVerifier, KeySet, Report};
use airlock_signer::{Settings, State, Store, load_or_create_key};
use serde_json::{Value, json};

pub(crate) fn record(session: &str, number: u64) -> Value {
    json!({
        "id": format!("{number:032x}"),
        "gateway": "edge-1",
        "session": session,
        "started_at": "2026-03-01T12:00:00.000001Z",
        "duration_us": 1250,
        "who": {"issuer": "https://login.example.com", "subject": "zoe", "client": "assistant",
                "token_scope": ["files:read"], "anonymous": false},
        "what": {"server": "files", "method": "tools/call", "name": "read_file", "operation": "read",
                 "http_method": "POST", "path": "/mcp", "protocol_version": "2025-11-25", "request_id": "7"},
        "decision": {"effect": "allow", "reason": "rule", "rule": "readers", "mode": "enforce"},
        "outcome": {"status": 200, "state": "completed"},
        "request_digest": {"algorithm": "sha256", "value": "ab".repeat(32), "bytes": 120},
        "findings": {"email": {"request": 0, "response": 2}}
    })
}

pub(crate) fn batch(session: &str, numbers: impl IntoIterator<Item = u64>) -> Value {
    json!({ "records": numbers.into_iter().map(|number| record(session, number)).collect::<Vec<_>>() })
}

pub(crate) fn start(directory: &Path, settings: Settings) -> State {
    let key = load_or_create_key(&directory.join("signer.key")).unwrap();
    State::start(Store::open(&directory.join("receipts.db")).unwrap(), key, settings).unwrap()
}

pub(crate) fn verify(bundle: &[u8], keys: KeySet) -> Report {
    let mut verifier = BundleVerifier::new(keys);
    verifier.update(bundle);
    verifier.finish()
}

pub(crate) fn export(store: &Store) -> Vec<u8> {
    let mut bundle = Vec::new();
    store.export(&mut bundle).unwrap();
    bundle
}
