//! Whole exchanges in memory and what is left of them: the record, and the queue that it waits in.

mod evidence;

use airlock_pipeline::{
    Caller, Chain, Evidence, Facts, Headers, Host, Options, Side, Verdict,
    memory::{self, Departed, MemoryHost, Passed},
};
use airlock_policy::Operation as PolicyOperation;
use airlock_receipt::{DigestKey, Effect, Operation, OutcomeState, Record};
use serde_json::{Value, json};

use super::*;

const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"save","arguments":{"text":"planted-argument"}}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"text":"planted-answer"}}"#;
const SESSION: &str = "planted-session";
const KEY: &str = "cGxhbnRlZC1rZXktb2YtMjQtYnl0ZXM";

/// Header lines.
type Lines<'a> = &'a [(&'a str, &'a str)];

/// A caller with a verified token.
fn claims() -> Caller {
    serde_json::from_value(json!({"Known": {
        "issuer": "https://issuer.example.com", "subject": "alice", "client": "agent", "scopes": ["notes:write"],
        "audience": ["https://mcp.example.com"], "groups": [], "roles": [], "expires_at": 0, "token_id": "t-1"
    }}))
    .unwrap()
}

/// Stands for all other stages: says who calls, what policy says, and refuses where it is told to.
struct Others {
    mode: Mode,
    refuses: Option<Place>,
    verdict: Option<Verdict>,
    known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Headers,
    Body,
    Answer,
}

impl Others {
    fn at(&self, place: Place) -> Result<(), Denial> {
        if self.refuses != Some(place) {
            return Ok(());
        }
        let rule = Some("rule-1".to_owned());
        Err(Denial { rule, ..Denial::new(403, -31403, "refused_there", "no") })
    }
}

impl Stage for Others {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn request_headers(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<Next, Denial> {
        if self.known {
            exchange.facts.caller = claims();
        }
        self.at(Place::Headers).map(|()| Next::On)
    }

    fn reads_request(&self, _exchange: &Exchange) -> bool {
        true
    }

    fn request_body(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        if !exchange.request_body().unwrap_or_default().is_empty() {
            exchange.message()?;
        }
        exchange.facts.verdict.clone_from(&self.verdict);
        self.at(Place::Body)
    }

    fn response_headers(&self, _exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        self.at(Place::Answer)
    }
}

fn verdict(allowed: bool, operation: PolicyOperation) -> Verdict {
    Verdict {
        allowed,
        reason: if allowed { "policy_allowed" } else { "policy_default" }.to_owned(),
        rule: allowed.then(|| "rule-1".to_owned()),
        server: Some("notes".to_owned()),
        operation,
        policy_digest: "sha256:00".to_owned(),
    }
}

fn configuration(digests: &Value) -> Value {
    json!({
        "gateway": "edge-1",
        "signer": {"cluster": "signer", "token": "planted-signer-token"},
        "digests": digests,
        "queue": {"records": 4}
    })
}

fn emitter(configuration: Value, queue: &Rc<RefCell<Queue>>) -> Result<(ReceiptEmitter, Delivery), String> {
    let configuration = serde_json::from_value(configuration).map_err(|error| error.to_string())?;
    ReceiptEmitter::new(configuration, Rc::clone(queue))
}

/// One exchange with everything that its record is made of.
struct Scene {
    chain: Chain,
    exchange: Rc<RefCell<Exchange>>,
    host: MemoryHost,
    queue: Rc<RefCell<Queue>>,
}

impl Scene {
    fn new(others: Others) -> Self {
        let digests = json!({"plain": true});
        Self::with(configuration(&digests), Mode::Enforce, others, Rc::default())
    }

    fn with(mut document: Value, mode: Mode, others: Others, queue: Rc<RefCell<Queue>>) -> Self {
        if mode == Mode::Observe {
            document["mode"] = json!("observe");
        }
        let (emitter, delivery) = emitter(document, &queue).unwrap();
        queue.borrow_mut().configure(delivery.queue);
        let intent = ReceiptIntent::new(IntentConfiguration { mode });
        let stages: Vec<Box<dyn Stage>> = vec![Box::new(emitter), Box::new(others), Box::new(intent)];
        let (chain, exchange) = memory::chain(stages, Options::default());
        let mut headers = memory::post();
        headers.set(":path", b"/mcp?token=planted-query");
        headers.set("authorization", b"Bearer planted-token");
        headers.set("mcp-session-id", SESSION.as_bytes());
        let host = MemoryHost { now: 1_700_000_000_000_000, ..MemoryHost::with_request(headers) };
        Self { chain, exchange, host, queue }
    }

    fn ask(&mut self) -> Passed {
        self.host.request(&mut self.chain, &[&CALL.as_bytes()[..30], &CALL.as_bytes()[30..]], false)
    }

    fn answer(&mut self, status: &str) -> Passed {
        let headers = Headers::from([(":status", status), ("content-type", "application/json")]);
        let pieces = [&ANSWER.as_bytes()[..20], &ANSWER.as_bytes()[20..]];
        self.host.response(&mut self.chain, headers, &pieces, false)
    }

    /// The record once the exchange is over. Whatever it says of the call, it holds nothing that must not be kept.
    fn record(&mut self) -> Record {
        self.host.now += 1_500;
        self.chain.finish(&mut self.host);
        let body = self.queue.borrow_mut().next_delivery(u64::MAX / 2).expect("a record");
        let text = String::from_utf8(body.clone()).unwrap();
        assert!(!text.contains("planted"), "{text}");
        let mut delivery: Value = serde_json::from_slice(&body).unwrap();
        let json = delivery["records"].as_array_mut().unwrap().pop().unwrap();
        let record: Record = serde_json::from_value(json.clone()).unwrap();
        record.validate().unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), json, "the record comes back as it was");
        record
    }
}

fn others() -> Others {
    Others { mode: Mode::Enforce, refuses: None, verdict: None, known: true }
}

fn allowing() -> Others {
    Others { verdict: Some(verdict(true, PolicyOperation::Write)), ..others() }
}

fn digest_of(bytes: &[u8]) -> airlock_receipt::Digest {
    let mut digester = Digester::sha256();
    digester.update(bytes);
    digester.finish()
}

#[test]
fn an_allowed_call_is_recorded_with_who_what_and_why() {
    let mut scene = Scene::new(allowing());
    assert_eq!(scene.ask(), Passed::On(CALL.into()));
    assert_eq!(scene.answer("200"), Passed::On(ANSWER.into()));
    let record = scene.record();
    let session = digest_of(SESSION.as_bytes()).value.to_string();
    assert_eq!(
        (record.gateway.as_str(), record.session.as_str()),
        ("edge-1", format!("session:{session}").as_str())
    );
    assert_eq!(record.started_at.to_string(), "2023-11-14T22:13:20.000000Z");
    assert_eq!(record.duration_us.value(), 1_500);
    assert_eq!(record.who.subject.unwrap().as_str(), "alice");
    assert_eq!(record.who.issuer.unwrap().as_str(), "https://issuer.example.com");
    assert_eq!(record.what.server.unwrap().as_str(), "notes");
    assert_eq!(record.what.method.unwrap().as_str(), "tools/call");
    assert_eq!(record.what.name.unwrap().as_str(), "save");
    assert_eq!((record.what.path.as_str(), record.what.operation), ("/mcp", Operation::Write));
    assert_eq!(record.what.request_id.unwrap().as_str(), "7");
    assert_eq!(record.what.mcp_session_id.unwrap().to_string(), session);
    let decision = record.decision;
    assert_eq!((decision.effect, decision.reason.as_str()), (Effect::Allow, "policy_allowed"));
    assert_eq!((decision.rule.unwrap().as_str(), decision.mode), ("rule-1", airlock_receipt::Mode::Enforce));
    assert_eq!(decision.policy_digest.unwrap().as_str(), "sha256:00");
    assert_eq!((record.outcome.state, record.outcome.status), (OutcomeState::Completed, Some(200)));
    assert_eq!(record.outcome.rpc_error, None);
}

#[test]
fn digests_are_those_of_what_came_in_and_what_went_out() {
    let mut scene = Scene::new(allowing());
    scene.ask();
    scene.answer("200");
    let record = scene.record();
    assert_eq!(record.request_digest, Some(digest_of(CALL.as_bytes())));
    assert_eq!(record.response_digest, Some(digest_of(ANSWER.as_bytes())));

    let digests = json!({"key": KEY, "key_id": "tenant-1"});
    let mut scene = Scene::with(configuration(&digests), Mode::Enforce, allowing(), Rc::default());
    scene.ask();
    scene.answer("200");
    let record = scene.record();
    let key = DigestKey::new(Name::clamped("tenant-1"), b"planted-key-of-24-bytes").unwrap();
    let keyed = |bytes: &[u8]| {
        let mut digester = Digester::hmac_sha256(&key);
        digester.update(bytes);
        digester.finish()
    };
    assert_eq!(record.request_digest, Some(keyed(CALL.as_bytes())));
    assert_eq!(record.response_digest, Some(keyed(ANSWER.as_bytes())));
    assert_eq!(record.session.as_str(), format!("session:{}", keyed(SESSION.as_bytes()).value));
}

#[test]
fn a_refusal_is_recorded_wherever_it_falls() {
    let cases = [
        (Place::Headers, None, Operation::Unknown),
        (Place::Body, Some(verdict(false, PolicyOperation::Destructive)), Operation::Destructive),
        (Place::Body, None, Operation::Write),
    ];
    for (place, verdict, operation) in cases {
        let mut scene = Scene::new(Others { refuses: Some(place), verdict, ..others() });
        let Passed::Refused(reply) = scene.ask() else { panic!("{place:?}") };
        assert_eq!(scene.host.upstream, Departed::default());
        assert_eq!(scene.host.deliver(&mut scene.chain, &reply), Passed::On(reply.body.clone()));
        let record = scene.record();
        assert_eq!(
            (record.decision.effect, record.decision.reason.as_str()),
            (Effect::Deny, "refused_there")
        );
        assert_eq!(record.decision.rule.unwrap().as_str(), "rule-1");
        assert_eq!((record.outcome.state, record.outcome.status), (OutcomeState::Denied, Some(403)));
        assert_eq!(record.outcome.rpc_error.unwrap().value(), -31403);
        assert_eq!(record.what.operation, operation);
        assert_eq!(record.request_digest.is_some(), place == Place::Body, "a body that was not read");
        assert_eq!(record.response_digest, Some(digest_of(&reply.body)));
    }
}

#[test]
fn an_answer_that_is_withheld_is_recorded_as_what_the_client_got() {
    let mut scene = Scene::new(Others { refuses: Some(Place::Answer), ..allowing() });
    assert_eq!(scene.ask(), Passed::On(CALL.into()));
    let Passed::Refused(reply) = scene.answer("200") else { panic!("withheld") };
    let record = scene.record();
    assert_eq!((record.decision.effect, record.decision.reason.as_str()), (Effect::Deny, "refused_there"));
    assert_eq!((record.outcome.state, record.outcome.status), (OutcomeState::Denied, Some(403)));
    assert_eq!(record.response_digest, Some(digest_of(&reply.body)));
}

#[test]
fn calls_that_do_not_end_well_say_how() {
    let mut failed = Scene::new(allowing());
    failed.ask();
    failed.answer("503");
    let record = failed.record();
    assert_eq!((record.outcome.state, record.decision.effect), (OutcomeState::Failed, Effect::Allow));

    let mut unanswered = Scene::new(allowing());
    unanswered.ask();
    let record = unanswered.record();
    assert_eq!((record.outcome.state, record.outcome.status), (OutcomeState::Aborted, None));
    assert_eq!((record.decision.effect, record.response_digest), (Effect::Allow, None));

    let mut broken_off = Scene::new(allowing());
    broken_off.ask();
    broken_off.host.response_headers = Headers::from([(":status", "200")]);
    broken_off.chain.response_headers(&mut broken_off.host, false);
    broken_off.host.response_body = b"{".to_vec();
    broken_off.chain.response_body(&mut broken_off.host, 1, false);
    let record = broken_off.record();
    assert_eq!((record.outcome.state, record.outcome.status), (OutcomeState::Aborted, Some(200)));
    assert_eq!(record.response_digest, Some(digest_of(b"{")));

    // Gone before its verdict: it reached no server, and nobody has allowed it.
    let mut given_up = Scene::new(allowing());
    given_up.chain.request_headers(&mut given_up.host, false);
    let record = given_up.record();
    assert_eq!((record.decision.effect, record.decision.reason.as_str()), (Effect::Deny, "not_forwarded"));
    assert_eq!((record.outcome.state, record.request_digest), (OutcomeState::Aborted, None));
}

#[test]
fn what_a_stage_answers_itself_is_allowed_and_was_not_forwarded() {
    let mut scene = Scene::new(Others { refuses: None, ..others() });
    scene.exchange.borrow_mut().facts.answered = true;
    scene.answer("200");
    scene.exchange.borrow_mut().facts.id = "0a".repeat(16);
    let record = scene.record();
    assert_eq!((record.decision.effect, record.decision.reason.as_str()), (Effect::Allow, "answered_here"));
    assert_eq!((record.outcome.state, record.outcome.status), (OutcomeState::Completed, Some(200)));
}

#[test]
fn observed_refusals_are_recorded_as_what_would_have_been() {
    let denying = verdict(false, PolicyOperation::Write);
    let others =
        Others { mode: Mode::Observe, refuses: Some(Place::Body), verdict: Some(denying), ..others() };
    let mut scene = Scene::new(others);
    assert_eq!(scene.ask(), Passed::On(CALL.into()));
    scene.answer("200");
    let record = scene.record();
    assert_eq!((record.decision.effect, record.decision.reason.as_str()), (Effect::Allow, "observed"));
    assert_eq!(record.decision.mode, airlock_receipt::Mode::Observe);
    assert_eq!(record.decision.would_deny[0].reason.as_str(), "refused_there");
    assert_eq!(record.decision.would_deny[0].rule.as_ref().unwrap().as_str(), "rule-1");
    assert_eq!(record.outcome.state, OutcomeState::Completed);
}

#[test]
fn a_refusal_that_took_effect_is_none_that_was_observed() {
    let mut scene = Scene::new(Others { refuses: Some(Place::Body), ..others() });
    scene.exchange.borrow_mut().facts.note(&Denial::new(401, 1, "token_missing", "no"));
    scene.ask();
    let record = scene.record();
    assert_eq!(
        (record.decision.effect, record.decision.mode),
        (Effect::Deny, airlock_receipt::Mode::Enforce)
    );
    assert_eq!(record.decision.would_deny.len(), 1);
}

#[test]
fn a_call_belongs_to_its_session_else_its_caller_else_the_gateway() {
    let caller = digest_of(b"https://issuer.example.com\nalice").value;
    let session = digest_of(SESSION.as_bytes()).value;
    let cases: [(&str, bool, Lines<'_>, Lines<'_>, String); 5] = [
        ("the client's", true, &[("mcp-session-id", SESSION)], &[], format!("session:{session}")),
        ("the server's", true, &[], &[("mcp-session-id", SESSION)], format!("session:{session}")),
        (
            "the client's first",
            true,
            &[("mcp-session-id", SESSION)],
            &[("mcp-session-id", "x")],
            format!("session:{session}"),
        ),
        ("none, known", true, &[], &[], format!("caller:{caller}")),
        ("none, unknown", false, &[], &[], "gateway:edge-1".to_owned()),
    ];
    for (name, known, sent, answered, expected) in cases {
        let mut scene = Scene::new(Others { known, ..allowing() });
        scene.host.remove_header(Side::Request, "mcp-session-id").unwrap();
        for (name, value) in sent {
            scene.host.request_headers.set(name, value.as_bytes());
        }
        scene.ask();
        let mut headers = Headers::from([(":status", "200")]);
        for (name, value) in answered {
            headers.set(name, value.as_bytes());
        }
        scene.host.response(&mut scene.chain, headers, &[], false);
        assert_eq!(scene.record().session.as_str(), expected, "{name}");
    }
}

#[test]
fn whatever_a_client_sends_makes_a_valid_record() {
    let long = "\u{1}é\n\"".repeat(2_000);
    let mut scene = Scene::new(others());
    scene.host.request_headers.set(":method", long.as_bytes());
    scene.host.request_headers.set(":path", long.as_bytes());
    scene.host.request_headers.set("mcp-session-id", b"\xff\xfe");
    scene.ask();
    scene.answer("99999");
    scene.record();
    for status in ["0", "99", "1000", "-1", ""] {
        let mut scene = Scene::new(others());
        scene.ask();
        scene.answer(status);
        assert_eq!(scene.record().outcome.status, None, "{status}");
    }
}
