//! Sessions from their opening to their end, as client and server see them.

use std::{cell::RefCell, rc::Rc};

use airlock_jose::{Claims, Confirmation};
use airlock_pipeline::{Caller, Chain};

use super::*;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
const OPENED: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;

/// A gateway with one server behind it, whose session id never changes.
#[derive(Default)]
struct Scene {
    configuration: Configuration,
    host: MemoryHost,
    now: u64,
}

impl Scene {
    fn chain(&self) -> (Chain, Rc<RefCell<Exchange>>) {
        memory::chain(vec![Box::new(McpParser::new(self.configuration.clone()))], Options::default())
    }

    /// Opens a session as `caller` and returns the id that the client gets.
    fn open(&mut self, caller: Caller) -> String {
        let (passed, given) = self.exchange(caller, memory::post(), INITIALIZE, Some("server-1"));
        assert_eq!(passed, Passed::On(OPENED.into()));
        given.unwrap()
    }

    /// Sends a request and answers it; returns what the client gets and the session id that the client gets.
    fn exchange(
        &mut self,
        caller: Caller,
        headers: Headers,
        body: &str,
        given: Option<&str>,
    ) -> (Passed, Option<String>) {
        let (mut chain, exchange) = self.chain();
        exchange.borrow_mut().facts.caller = caller;
        let shared = std::mem::take(&mut self.host.shared);
        self.host = MemoryHost { shared, now: self.now * 1_000_000, ..MemoryHost::with_request(headers) };
        let pieces: &[&[u8]] = if body.is_empty() { &[] } else { &[body.as_bytes()] };
        let passed = self.host.request(&mut chain, pieces, false);
        if !matches!(passed, Passed::On(_)) {
            return (passed, None);
        }
        let mut answer = Headers::from([(":status", "200"), ("content-type", "application/json")]);
        if let Some(given) = given {
            answer.set(transport::SESSION_ID, given.as_bytes());
        }
        let passed = self.host.response(&mut chain, answer, &[OPENED.as_bytes()], false);
        let given =
            self.host.downstream.headers.as_ref().and_then(|headers| headers.text(transport::SESSION_ID));
        (passed, given.map(str::to_owned))
    }

    /// The reason for which a request in `session` is refused, if it is; if not, the server has got its own id.
    fn refusal(&mut self, caller: Caller, session: &str) -> Option<&'static str> {
        for method in ["POST", "GET", "DELETE"] {
            let headers = with(&[(":method", method), (transport::SESSION_ID, session)]);
            let body = if method == "POST" { PING } else { "" };
            if let (Passed::Refused(reply), _) =
                self.exchange(caller.clone(), headers, body, Some("server-1"))
            {
                assert_eq!(reply.status, 404);
                return Some(reply.reason);
            }
            let sent = self.host.upstream.headers.as_ref().unwrap();
            assert_eq!(sent.text(transport::SESSION_ID), Some("server-1"));
            let got = self.host.downstream.headers.as_ref().unwrap();
            assert_eq!(got.text(transport::SESSION_ID), Some(session), "the client's id does not change");
        }
        None
    }
}

fn ann() -> Caller {
    caller("ann", "agent")
}

fn caller(subject: &str, client: &str) -> Caller {
    Caller::Known(Rc::new(Claims {
        issuer: "https://idp.example.com".to_owned(),
        subject: subject.to_owned(),
        client: Some(client.to_owned()),
        scopes: Vec::new(),
        audience: Vec::new(),
        groups: Vec::new(),
        roles: Vec::new(),
        expires_at: 0,
        token_id: None,
        tenant: None,
        confirmation: Confirmation::default(),
    }))
}

#[test]
fn a_session_is_its_callers_alone() {
    let mut scene = Scene::default();
    let session = scene.open(ann());
    assert!(session.starts_with("server-1.") && transport::is_session_id(&session), "{session}");
    assert_eq!(scene.refusal(ann(), &session), None);
    for other in [caller("bob", "agent"), caller("ann", "other-agent"), Caller::Anonymous, Caller::Unknown] {
        assert_eq!(scene.refusal(other, &session), Some("session_unknown"));
    }
}

#[test]
fn a_session_that_the_gateway_has_not_given_out_is_none() {
    let mut scene = Scene::default();
    let session = scene.open(ann());
    let (id, rest) = session.split_once('.').unwrap();
    let (opened_at, seal) = rest.split_once('.').unwrap();
    let forged = [
        id.to_owned(),
        format!("{id}.{opened_at}"),
        format!("{id}.{opened_at}."),
        format!("{id}..{seal}"),
        format!("{id}.{opened_at}0.{seal}"),
        format!("server-2.{opened_at}.{seal}"),
        format!("{id}.{opened_at}.{}", "A".repeat(22)),
        format!("{session}="),
        format!("{session}.{opened_at}.{seal}"),
        "s".repeat(256),
    ];
    for forged in forged {
        assert_eq!(scene.refusal(ann(), &forged), Some("session_unknown"), "{forged}");
    }
    let elsewhere = with(&[(":path", "/other"), (transport::SESSION_ID, &session)]);
    let (passed, _) = scene.exchange(ann(), elsewhere, PING, None);
    assert!(matches!(passed, Passed::Refused(reply) if reply.reason == "session_unknown"));
}

#[test]
fn a_session_ends_when_it_is_not_used_and_when_it_is_old() {
    let mut scene = Scene { now: 1_000_000, ..Scene::default() };
    let session = scene.open(ann());
    for hour in [7, 14, 21] {
        scene.now = 1_000_000 + hour * 3_600;
        assert_eq!(scene.refusal(ann(), &session), None, "after {hour} hours");
    }
    scene.now = 1_000_000 + 24 * 3_600;
    assert_eq!(scene.refusal(ann(), &session), None);
    scene.now += 1;
    assert_eq!(scene.refusal(ann(), &session), Some("session_expired"));

    let session = scene.open(ann());
    scene.now += 8 * 3_600 + 1;
    assert_eq!(scene.refusal(ann(), &session), Some("session_idle"));
}

#[test]
fn gateways_with_one_key_accept_each_others_sessions() {
    let with_key = |key: &str| Scene {
        configuration: serde_json::from_value(json!({"sessions": {"key": key}})).unwrap(),
        ..Scene::default()
    };
    let session = with_key("bm90LWEtc2VjcmV0LWtleQ").open(ann());
    assert_eq!(with_key("bm90LWEtc2VjcmV0LWtleQ").refusal(ann(), &session), None);
    assert_eq!(with_key("YW5vdGhlci1rZXktb2Ytb3Vycw").refusal(ann(), &session), Some("session_unknown"));
    let mut drawn = Scene::default();
    assert_eq!(drawn.refusal(ann(), &session), Some("session_unknown"));

    for (key, problem) in [("c2hvcnQ", "at least 16 bytes"), ("not base64", "not base64url")] {
        let error = serde_json::from_value::<Configuration>(json!({"sessions": {"key": key}})).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    assert_eq!(
        format!("{:?}", with_key("bm90LWEtc2VjcmV0LWtleQ").configuration.sessions.key),
        "Some(SealKey)"
    );
}

#[test]
fn a_version_without_sessions_has_its_session_header_taken_away() {
    let mut scene = Scene::default();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = with(&[
        (transport::PROTOCOL_VERSION, "2026-07-28"),
        (transport::METHOD, "tools/list"),
        (transport::SESSION_ID, "whatever"),
    ]);
    assert!(matches!(scene.exchange(ann(), headers, body, None), (Passed::On(_), None)));
    assert!(!scene.host.upstream.headers.unwrap().contains(transport::SESSION_ID));
}

#[test]
fn without_the_proxys_help_no_session_opens_and_none_is_let_in() {
    let session = Scene::default().open(ann());
    for faults in [
        memory::Faults { shared: true, ..memory::Faults::default() },
        memory::Faults { secret: true, ..memory::Faults::default() },
        memory::Faults { headers: true, ..memory::Faults::default() },
    ] {
        let scene = Scene::default();
        let (mut chain, _) = scene.chain();
        let mut host =
            MemoryHost { faults, ..MemoryHost::with_request(with(&[(transport::SESSION_ID, &session)])) };
        assert!(matches!(host.request(&mut chain, &[PING.as_bytes()], false), Passed::Refused(_)));
        assert_eq!(host.upstream, Departed::default());
    }
}

#[test]
fn a_servers_session_id_that_is_none_is_not_passed_on() {
    for given in ["", "a b", "é", &"s".repeat(257)] {
        let mut scene = Scene::default();
        let (passed, _) = scene.exchange(ann(), memory::post(), INITIALIZE, Some(given));
        assert!(matches!(passed, Passed::Refused(reply) if reply.reason == "response_session_id"), "{given}");
    }
}
