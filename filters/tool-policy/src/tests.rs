mod answers;

use std::rc::Rc;

use airlock_jose::{Claims, Confirmation};
use airlock_mcp::Id;
use airlock_pipeline::{
    Caller as Who, Headers, Options, Reply,
    memory::{self, Departed, MemoryHost, Passed},
};
use airlock_policy::Operation;
use serde_json::{Value, json};

use super::*;

/// One server with a reading and a writing tool, one rule of each kind.
fn policy(mode: &str) -> ToolPolicy {
    let document = json!({
        "version": 1,
        "mode": mode,
        "servers": [{"name": "notes", "path": "/mcp", "tools": [{"name": "find", "operation": "read"}]}],
        "rules": [
            {"name": "read", "effect": "allow", "tools": ["find"], "methods": ["initialize", "tools/list"]},
            {"name": "write", "effect": "allow", "tools": ["save"], "scopes": ["notes:write", "notes:all"]},
            {"name": "never", "effect": "deny", "tools": ["wipe"], "reason": "notes are kept for ten years"},
        ],
    });
    ToolPolicy::new(Policy::from_value(document).unwrap())
}

fn caller(scopes: &[&str]) -> Who {
    Who::Known(Rc::new(Claims {
        issuer: "https://issuer.example.com".to_owned(),
        subject: "alice".to_owned(),
        client: None,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        audience: vec![],
        groups: vec![],
        roles: vec![],
        expires_at: 0,
        token_id: None,
        tenant: None,
        confirmation: Confirmation::default(),
    }))
}

/// Header lines.
type Lines<'a> = &'a [(&'a str, &'a str)];

struct Outcome {
    passed: Passed,
    host: MemoryHost,
    facts: airlock_pipeline::Facts,
}

impl Outcome {
    fn refused(&self) -> (&Reply, Value) {
        let Passed::Refused(reply) = &self.passed else { panic!("{:?}", self.passed) };
        (reply, serde_json::from_slice(&reply.body).unwrap())
    }
}

fn send(mode: &str, headers: Headers, body: &str, who: Who, hold_headers: bool) -> Outcome {
    let options = Options { hold_headers, ..Options::default() };
    let (mut chain, exchange) = memory::chain(vec![Box::new(policy(mode))], options);
    exchange.borrow_mut().facts.caller = who;
    let mut host = MemoryHost::with_request(headers);
    let pieces: &[&[u8]] = if body.is_empty() { &[] } else { &[body.as_bytes()] };
    let passed = host.request(&mut chain, pieces, false);
    let facts = exchange.borrow().facts.clone();
    Outcome { passed, host, facts }
}

fn call(tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}}).to_string()
}

fn with(lines: &[(&str, &str)]) -> Headers {
    let mut headers = memory::post();
    for (name, value) in lines {
        headers.set(name, value.as_bytes());
    }
    headers
}

#[test]
fn what_a_rule_allows_passes_and_says_by_which_rule() {
    let cases = [
        (call("find"), "read", Operation::Read),
        (call("save"), "write", Operation::Write),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(), "read", Operation::List),
    ];
    for (body, rule, operation) in cases {
        let who = caller(&["notes:all", "notes:write"]);
        let outcome = send("enforce", memory::post(), &body, who, true);
        assert_eq!(outcome.passed, Passed::On(body.clone().into()), "{body}");
        assert_eq!(outcome.host.upstream.headers, Some(memory::post()), "{body}");
        let verdict = outcome.facts.verdict.unwrap();
        assert!(verdict.allowed && verdict.policy_digest.starts_with("sha256:"), "{body}");
        assert_eq!((verdict.rule.as_deref(), verdict.operation), (Some(rule), operation), "{body}");
        assert_eq!(verdict.reason, "policy_allowed");
        assert_eq!(outcome.host.properties["airlock.decision"], b"allow");
        assert_eq!(outcome.host.properties["airlock.server"], b"notes");
        assert_eq!(outcome.host.properties["airlock.rule"], rule.as_bytes());
        assert_eq!(outcome.host.properties["airlock.operation"], operation.name().as_bytes());
    }
}

#[test]
fn what_is_not_allowed_is_refused_in_the_form_that_its_sender_reads() {
    let notification = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"wipe"}}"#;
    let elsewhere = || with(&[(":path", "/other")]);
    let method = |method: &str| with(&[(":method", method)]);
    let default = "policy does not allow this call";
    #[rustfmt::skip]
    let cases = [
        ("by default", memory::post(), call("format"), 200, "policy_default", None, default, json!(7)),
        ("by a rule", memory::post(), call("wipe"), 200, "policy_denied", Some("never"), "notes are kept for ten years", json!(7)),
        ("a notification", memory::post(), notification.to_owned(), 403, "policy_denied", Some("never"), "notes are kept for ten years", json!(null)),
        ("an unknown method", memory::post(), r#"{"jsonrpc":"2.0","id":"a","method":"x/y"}"#.to_owned(), 200, "policy_default", None, default, json!("a")),
        ("an unknown server", elsewhere(), call("find"), 404, "unknown_server", None, "no MCP server is configured at this address", json!(7)),
        ("a stream of an unknown server", with(&[(":method", "GET"), (":path", "/other")]), String::new(), 404, "unknown_server", None, "no MCP server is configured at this address", json!(null)),
        ("another method of HTTP with a message", method("PUT"), call("wipe"), 200, "policy_denied", Some("never"), "notes are kept for ten years", json!(7)),
    ];
    for (name, headers, body, status, reason, rule, message, id) in cases {
        let outcome = send("enforce", headers, &body, Who::Anonymous, true);
        let (reply, answer) = outcome.refused();
        assert_eq!((reply.status, reply.reason), (status, reason), "{name}");
        assert_eq!(answer["id"], id, "{name}");
        assert_eq!(answer["error"]["code"], json!(rpc::DENIED), "{name}");
        assert_eq!(answer["error"]["message"], message, "{name}");
        assert_eq!(answer["error"]["data"]["rule"].as_str(), rule, "{name}");
        assert_eq!(outcome.host.upstream, Departed::default(), "{name}");
        let verdict = outcome.facts.verdict.unwrap();
        assert_eq!(
            (verdict.allowed, verdict.reason.as_str(), verdict.rule.as_deref()),
            (false, reason, rule),
            "{name}"
        );
        assert_eq!(outcome.host.properties["airlock.decision"], b"deny", "{name}");
    }
}

#[test]
fn a_body_that_is_no_message_is_refused_even_without_the_parser() {
    for body in [
        "{",
        "[]",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"find","name":"wipe"}}"#,
    ] {
        let outcome = send("enforce", memory::post(), body, Who::Anonymous, true);
        assert_eq!(outcome.refused().0.status, 400, "{body}");
        assert_eq!(outcome.host.upstream, Departed::default(), "{body}");
    }
}

#[test]
fn a_missing_scope_is_asked_for_together_with_those_that_are_there() {
    let cases = [
        (Who::Anonymous, "notes:all notes:write"),
        (caller(&[]), "notes:all notes:write"),
        (caller(&["mail:read", "notes:write"]), "mail:read notes:write notes:all"),
    ];
    for (who, scopes) in cases {
        let outcome = send("enforce", memory::post(), &call("save"), who, true);
        let (reply, answer) = outcome.refused();
        assert_eq!((reply.status, reply.reason), (403, "policy_scope"));
        assert_eq!(answer["error"]["data"]["rule"], "write");
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\"");
        assert!(reply.headers.contains(&("www-authenticate", challenge)), "{:?}", reply.headers);
    }
}

#[test]
fn a_scope_is_asked_for_in_the_scheme_of_the_caller_and_with_the_way_to_the_issuer() {
    let facts = Facts {
        scheme: Some(airlock_pipeline::Scheme::Dpop),
        resource_metadata: Some(
            "https://mcp.example.com/.well-known/oauth-protected-resource/mcp".to_owned(),
        ),
        ..Facts::default()
    };
    assert_eq!(
        step_up(&["a".to_owned(), "b".to_owned()], &facts),
        "DPoP error=\"insufficient_scope\", scope=\"a b\", \
         resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\""
    );
}

#[test]
fn streams_and_ends_of_sessions_are_decided_on_their_headers() {
    for (method, operation) in [("GET", Operation::Stream), ("DELETE", Operation::Session)] {
        for hold_headers in [true, false] {
            let headers = with(&[(":method", method)]);
            let outcome = send("enforce", headers, "", caller(&[]), hold_headers);
            let verdict = outcome.facts.verdict.unwrap();
            assert_eq!((verdict.operation, verdict.server.as_deref()), (operation, Some("notes")));
            assert_eq!(matches!(outcome.passed, Passed::On(_)), verdict.allowed, "{method}");
        }
    }
}

#[test]
fn a_message_that_an_earlier_filter_has_read_is_decided_on_its_headers() {
    for (tool, passes) in [("find", true), ("wipe", false)] {
        let (mut chain, exchange) = memory::chain(vec![Box::new(policy("enforce"))], Options::default());
        let message = airlock_mcp::parse(call(tool).as_bytes(), &airlock_mcp::Limits::default()).unwrap();
        assert_eq!(message.id, Some(Id::Number("7".to_owned())));
        exchange.borrow_mut().facts.message = Some(message);
        let mut host = MemoryHost::with_request(memory::post());
        let passed = host.request(&mut chain, &[b"streams by"], false);
        assert_eq!(matches!(passed, Passed::On(_)), passes, "{passed:?}");
    }
}

#[test]
fn where_headers_cannot_be_held_they_can_refuse_and_never_allow() {
    let cases: [(&str, Lines<'_>, String, &str, bool); 6] = [
        (
            "denied by its headers",
            &[("mcp-method", "tools/call"), ("mcp-name", "wipe")],
            call("wipe"),
            "policy_denied",
            false,
        ),
        (
            "an encoded name",
            &[("mcp-method", "tools/call"), ("mcp-name", "=?base64?d2lwZQ==?=")],
            call("wipe"),
            "policy_denied",
            false,
        ),
        (
            "a name that cannot be read",
            &[("mcp-method", "tools/call"), ("mcp-name", "=?base64?d2lwZQ?=")],
            call("find"),
            "policy_default",
            false,
        ),
        ("no name", &[("mcp-method", "tools/call")], call("find"), "policy_default", false),
        (
            "allowed by its headers, not by its body",
            &[("mcp-method", "tools/call"), ("mcp-name", "find")],
            call("wipe"),
            "policy_denied",
            true,
        ),
        ("no headers", &[], call("wipe"), "policy_denied", true),
    ];
    for (name, lines, body, reason, headers_leave) in cases {
        let outcome = send("enforce", with(lines), &body, Who::Anonymous, false);
        assert_eq!(outcome.refused().0.reason, reason, "{name}");
        assert!(outcome.host.upstream.body.is_empty(), "{name}");
        assert_eq!(outcome.host.upstream.headers.is_some(), headers_leave, "{name}");
    }
    let lines = [("mcp-method", "tools/call"), ("mcp-name", "find")];
    let outcome = send("enforce", with(&lines), &call("find"), Who::Anonymous, false);
    assert!(matches!(outcome.passed, Passed::On(_)));
}

#[test]
fn observation_lets_everything_pass_and_notes_each_verdict() {
    let cases = [
        (memory::post(), call("find"), None),
        (memory::post(), call("wipe"), Some(("policy_denied", Some("never")))),
        (memory::post(), call("save"), Some(("policy_scope", Some("write")))),
        (with(&[(":path", "/other")]), call("find"), Some(("unknown_server", None))),
        (with(&[(":method", "GET"), (":path", "/other")]), String::new(), Some(("unknown_server", None))),
    ];
    for (headers, body, noted) in cases {
        for hold_headers in [true, false] {
            let outcome = send("observe", headers.clone(), &body, Who::Anonymous, hold_headers);
            assert_eq!(outcome.passed, Passed::On(body.clone().into()), "{body}");
            assert_eq!(outcome.host.upstream.headers.as_ref(), Some(&headers), "{body}");
            let observed: Vec<_> = outcome
                .facts
                .observed
                .iter()
                .map(|refusal| (refusal.reason.as_str(), refusal.rule.as_deref()))
                .collect();
            assert_eq!(observed, noted.into_iter().collect::<Vec<_>>(), "{body}");
            assert_eq!(outcome.facts.verdict.unwrap().allowed, noted.is_none(), "{body}");
            assert!(outcome.facts.refusal.is_none(), "{body}");
        }
    }
}
