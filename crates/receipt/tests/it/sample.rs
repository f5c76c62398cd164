//! Records and bundles for tests.

use std::collections::{BTreeMap, HashMap};

use airlock_receipt::{
    BundleVerifier, ChainHead, Code, Count, Decision, Digester, Effect, FindingCount, KeySet, Mode, Name,
    Operation, Outcome, OutcomeState, PathText, Printable, Record, RecordId, Report, ScopeToken, SigningKey,
    Timestamp, What, Who,
};

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed([7; 32]).unwrap()
}

pub(crate) fn keys() -> KeySet {
    KeySet::from_iter([key().public().clone()])
}

pub(crate) fn record(session: &str, number: u64) -> Record {
    let mut request = Digester::sha256();
    request.update(&number.to_be_bytes());
    Record {
        id: RecordId::new(u128::from(number).to_be_bytes()),
        gateway: Name::clamped("edge-1"),
        session: Name::clamped(session),
        started_at: Timestamp::from_unix_micros(1_790_000_000_000_000 + number),
        duration_us: Count::saturating(1250),
        who: Who {
            issuer: Some(Name::clamped("https://login.example.com")),
            subject: Some(Name::clamped("zoë")),
            client: Some(Name::clamped("assistant")),
            token_scope: vec![ScopeToken::clamped("files:read")],
            ..Who::default()
        },
        what: What {
            server: Some(Name::clamped("files")),
            method: Some(Name::clamped("tools/call")),
            name: Some(Name::clamped("read \"file\"")),
            operation: Operation::Read,
            http_method: Name::clamped("POST"),
            path: PathText::clamped("/mcp"),
            mcp_session_id: None,
            protocol_version: Some(Name::clamped("2025-11-25")),
            request_id: Some(Printable::clamped("1")),
        },
        decision: Decision {
            effect: Effect::Allow,
            reason: Code::clamped("rule"),
            rule: Some(Name::clamped("readers")),
            policy_digest: None,
            approval_principal: None,
            mode: Mode::Enforce,
            would_deny: Vec::new(),
        },
        outcome: Outcome { status: Some(200), state: OutcomeState::Completed, rpc_error: None },
        request_digest: Some(request.finish()),
        response_digest: None,
        findings: BTreeMap::from([(
            Code::clamped("email"),
            FindingCount { request: Count::saturating(0), response: Count::saturating(2) },
        )]),
    }
}

/// Envelopes in log order, for one session name each.
pub(crate) fn envelopes(sessions: &[&str]) -> Vec<Vec<u8>> {
    let mut heads = HashMap::new();
    let mut number = 0;
    let seal = |session: &&str| {
        let head = heads.entry((*session).to_owned()).or_insert(ChainHead::START);
        number += 1;
        let sealed = key().seal(&record(session, number), head).unwrap();
        *head = ChainHead::after(head.seq, sealed.payload_sha256);
        sealed.envelope
    };
    sessions.iter().map(seal).collect()
}

pub(crate) fn bundle(envelopes: &[Vec<u8>]) -> Vec<u8> {
    envelopes.iter().flat_map(|envelope| [envelope.as_slice(), b"\n"].concat()).collect()
}

pub(crate) fn verify(bundle: &[u8]) -> Report {
    let mut verifier = BundleVerifier::new(keys());
    verifier.update(bundle);
    verifier.finish()
}
