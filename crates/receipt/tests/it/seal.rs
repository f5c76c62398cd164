//! The record, its bounds, and the statement made of it.

use std::collections::BTreeMap;

use airlock_receipt::{
    ChainHead, Code, Count, Digest, DigestKey, Digester, Envelope, FindingCount, Hash, MAX_ENVELOPE_BYTES,
    MAX_SAFE_INTEGER, Name, PREDICATE_TYPE, PathText, Printable, Record, RecordError, ScopeToken, SealError,
    SignedCount, Statement, Timestamp, Verdict, Who,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::sample::{key, record};

type Change = fn(&mut Record);

fn statement(record: &Record) -> Value {
    let sealed = key().seal(record, &ChainHead::START).unwrap();
    serde_json::from_slice(&Envelope::parse(&sealed.envelope).unwrap().payload).unwrap()
}

fn keyed_digest(bytes: u64) -> Digest {
    let key = DigestKey::new(Name::clamped(&"\\".repeat(64)), &[9; 32]).unwrap();
    let mut digest = Digester::hmac_sha256(&key).finish();
    digest.bytes = Count::saturating(bytes);
    digest
}

/// A record with every field at its bound, in characters that JSON has to escape where they are permitted.
fn largest_record() -> Record {
    let escaped = "\\".repeat(5000);
    let mut record = record(&escaped, 1);
    record.gateway = Name::clamped(&escaped);
    record.started_at = Timestamp::from_unix_micros(u64::MAX);
    record.duration_us = Count::saturating(u64::MAX);
    record.who = Who {
        issuer: Some(Name::clamped(&escaped)),
        subject: Some(Name::clamped(&escaped)),
        client: Some(Name::clamped(&escaped)),
        token_id: Some(Name::clamped(&escaped)),
        token_scope: vec![ScopeToken::clamped(&"s".repeat(500)); 100],
        dpop_jkt: Some(Name::clamped(&escaped)),
        anonymous: false,
    };
    record.what.server = Some(Name::clamped(&escaped));
    record.what.name = Some(Name::clamped(&escaped));
    record.what.http_method = Name::clamped(&escaped);
    record.what.path = PathText::clamped(&escaped);
    record.what.mcp_session_id = Some(Hash::ZERO);
    record.what.protocol_version = Some(Name::clamped(&escaped));
    record.what.request_id = Some(Printable::clamped(&escaped));
    record.decision.reason = Code::clamped(&"c".repeat(500));
    record.decision.rule = Some(Name::clamped(&escaped));
    record.decision.policy_digest = Some(Name::clamped(&escaped));
    record.decision.approval_principal = Some(Name::clamped(&escaped));
    let verdict = Verdict { reason: Code::clamped(&"c".repeat(64)), rule: Some(Name::clamped(&escaped)) };
    record.decision.would_deny = vec![verdict; 100];
    record.outcome.rpc_error = Some(SignedCount::saturating(i64::MIN));
    record.request_digest = Some(keyed_digest(u64::MAX));
    record.response_digest = Some(keyed_digest(u64::MAX));
    let count = FindingCount { request: Count::saturating(u64::MAX), response: Count::saturating(u64::MAX) };
    record.findings = (0..100).map(|class| (Code::clamped(&format!("{class:064}")), count)).collect();
    record
}

#[test]
fn the_largest_record_fits_its_envelope_after_clamping() {
    let mut record = largest_record();
    assert!(matches!(record.validate(), Err(RecordError::TooMany { .. })));
    record.clamp();
    assert_eq!(record.validate(), Ok(()));
    let head = ChainHead { seq: Count::saturating(MAX_SAFE_INTEGER), prev: Hash::ZERO };
    let length = key().seal(&record, &head).unwrap().envelope.len();
    assert!(length > MAX_ENVELOPE_BYTES / 2 && length <= MAX_ENVELOPE_BYTES, "{length}");
}

#[test]
fn a_record_survives_json_and_the_statement() {
    let record = record("s", 3);
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    assert_eq!(Statement::new(record.clone(), &ChainHead::START).record(), record);
}

#[test]
fn records_are_read_strictly() {
    let good = serde_json::to_value(record("s", 3)).unwrap();
    let cases = [
        ("/id", json!("00000000-0000-0000-0000-000000000003")),
        ("/session", json!("")),
        ("/gateway", json!("a\u{0}b")),
        ("/started_at", json!("2026-01-01T00:00:00Z")),
        ("/duration_us", json!(1.5)),
        ("/duration_us", json!(9_007_199_254_740_992_u64)),
        ("/what/operation", json!("admin")),
        ("/what/path", json!("/mcp?token=1")),
        ("/who/subject", json!("x".repeat(513))),
        ("/who/token_scope", json!(["two words"])),
        ("/outcome/status", json!(-1)),
        ("/findings", json!({"E-Mail": {"request": 1, "response": 0}})),
        ("/who", json!({"anonymous": false, "password": "x"})),
    ];
    for (pointer, value) in cases {
        let mut record = good.clone();
        *record.pointer_mut(pointer).unwrap() = value;
        assert!(serde_json::from_value::<Record>(record).is_err(), "{pointer}");
    }
    assert!(serde_json::from_value::<Record>(good).is_ok());
    let text = serde_json::to_string(&record("s", 3)).unwrap();
    for duplicate in [r#"{"gateway":"other","#.to_owned(), r#"{"unknown":1,"#.to_owned()] {
        assert!(serde_json::from_str::<Record>(&text.replacen('{', &duplicate, 1)).is_err());
    }
    let twice = r#""email":{"request":9,"response":9},"email":"#;
    assert!(serde_json::from_str::<Record>(&text.replace(r#""email":"#, twice)).is_err());
}

#[test]
fn contradictory_records_are_not_sealed() {
    let cases: [(Change, RecordError); 5] = [
        (|record| record.who.anonymous = true, RecordError::Identity),
        (|record| record.who = Who::default(), RecordError::Identity),
        (|record| record.outcome.status = Some(99), RecordError::Status),
        (
            |record| record.request_digest.as_mut().unwrap().key_id = Some(Name::clamped("k")),
            RecordError::DigestKey { field: "request_digest" },
        ),
        (
            |record| record.who.token_scope = vec![ScopeToken::clamped("s"); 65],
            RecordError::TooMany { field: "who.token_scope", limit: 64 },
        ),
    ];
    for (change, error) in cases {
        let mut record = record("s", 3);
        change(&mut record);
        assert_eq!(record.validate(), Err(error));
        assert!(
            matches!(key().seal(&record, &ChainHead::START), Err(SealError::Record(found)) if found == error)
        );
    }
}

#[test]
fn the_statement_holds_what_others_look_for() {
    let statement = statement(&record("s", 3));
    let hash = statement["predicate"]["request_digest"]["value"].as_str().unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], PREDICATE_TYPE);
    assert_eq!(statement["subject"], json!([{"name": "request", "digest": {"sha256": hash}}]));
    assert_eq!(
        statement["predicate"]["mcp_extension"],
        json!({
            "server_id": "files", "tool": "read \"file\"", "operation": "read",
            "params_hash": format!("sha256:{hash}"), "token_scope": ["files:read"]
        })
    );
    assert_eq!(statement["predicate"]["chain"], json!({"session": "s", "seq": 0, "prev": "0".repeat(64)}));
}

#[test]
fn a_call_without_bodies_is_its_own_subject() {
    let mut record = record("s", 3);
    record.request_digest = None;
    record.findings = BTreeMap::new();
    let statement = statement(&record);
    let mut digest = Digester::sha256();
    digest.update(record.id.to_string().as_bytes());
    assert_eq!(
        statement["subject"],
        json!([{"name": format!("receipt:{}", record.id), "digest": {"sha256": digest.finish().value}}])
    );
}

proptest! {
    #[test]
    fn canonical_bytes_come_back_unchanged(subject in "\\PC{1,40}", name in ".{1,40}", n: u64, error: i64) {
        let mut record = record(&subject, n % 1000);
        record.who.subject = Some(Name::clamped(&subject));
        record.what.name = Some(Name::clamped(&name));
        record.duration_us = Count::saturating(n);
        record.outcome.rpc_error = Some(SignedCount::saturating(error));
        record.findings = name
            .chars()
            .map(|class| (Code::clamped(&class.to_string()), FindingCount::default()))
            .collect();
        record.clamp();
        let bytes = Statement::new(record, &ChainHead::START).to_canonical().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(serde_json_canonicalizer::to_vec(&value).unwrap(), bytes.clone());
        let statement: Statement = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(statement.to_canonical().unwrap(), bytes);
    }
}
