use airlock_pipeline::{
    Facts, Headers, Options,
    memory::{self, Departed, MemoryHost, Passed},
};
use serde_json::{Value, json};

use airlock_mcp::{Limits, parse};

use super::*;

const CARD: &str = "4111 1111 1111 1111";

fn chain(configuration: Value, hold_headers: bool) -> (airlock_pipeline::Chain, Shared) {
    let configuration: Configuration = serde_json::from_value(configuration).unwrap();
    let options = Options { hold_headers, ..Options::default() };
    memory::chain(vec![Box::new(PiiRedactor::new(&configuration))], options)
}

type Shared = std::rc::Rc<std::cell::RefCell<Exchange>>;

fn send(configuration: Value, headers: Headers, body: &str) -> (Passed, MemoryHost, Facts) {
    let (mut chain, exchange) = chain(configuration, true);
    let mut host = MemoryHost::with_request(headers);
    let passed = host.request(&mut chain, &[body.as_bytes()], false);
    let facts = exchange.borrow().facts.clone();
    (passed, host, facts)
}

fn receive(configuration: Value, content_type: &str, pieces: &[&[u8]]) -> (Passed, Facts) {
    let (mut chain, exchange) = chain(configuration, true);
    let mut host = MemoryHost::with_request(memory::post());
    host.request(&mut chain, &[br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#], false);
    let headers = Headers::from([(":status", "200"), ("content-type", content_type)]);
    let passed = host.response(&mut chain, headers, pieces, false);
    let facts = exchange.borrow().facts.clone();
    (passed, facts)
}

fn with(lines: &[(&str, &str)]) -> Headers {
    let mut headers = memory::post();
    for (name, value) in lines {
        headers.set(name, value.as_bytes());
    }
    headers
}

fn request(method: &str, params: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"bob@example.com","method":"{method}","params":{params}}}"#)
}

#[test]
fn what_a_client_sends_is_cleaned_and_what_it_calls_is_not_renamed() {
    let cases = [
        (
            request(
                "tools/call",
                &json!({"name": "echo", "arguments": {"to": "bob@example.com", "n": [1, CARD]}}),
            ),
            request(
                "tools/call",
                &json!({"name": "echo", "arguments": {"to": "[EMAIL]", "n": [1, "[CARD]"]}}),
            ),
        ),
        // What stands beside the arguments is no hiding place.
        (
            request(
                "tools/call",
                &json!({"name": "echo", "extra": CARD, "_meta": {"note": "bob@example.com"}}),
            ),
            request("tools/call", &json!({"name": "echo", "extra": "[CARD]", "_meta": {"note": "[EMAIL]"}})),
        ),
        // A number that is a card number.
        (
            request("tools/call", &json!({"name": "pay", "arguments": {"card": 4_111_111_111_111_111_u64}})),
            request("tools/call", &json!({"name": "pay", "arguments": {"card": "[CARD]"}})),
        ),
        // Parameters of a method that names nothing.
        (
            request("completion/complete", &json!({"argument": {"name": "to", "value": "bob@example.com"}})),
            request("completion/complete", &json!({"argument": {"name": "to", "value": "[EMAIL]"}})),
        ),
        // Another name would be another call.
        (
            request("resources/read", &json!({"uri": "mail://bob@example.com/1"})),
            request("resources/read", &json!({"uri": "mail://bob@example.com/1"})),
        ),
        (
            request(
                "tools/call",
                &json!({"name": "bob@example.com", "arguments": {"to": "bob@example.com"}}),
            ),
            request("tools/call", &json!({"name": "bob@example.com", "arguments": {"to": "[EMAIL]"}})),
        ),
        // Answers to what a server has asked.
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"text":"bob\u0040example.com"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"result":{"text":"[EMAIL]"}}"#.to_owned(),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"bob@example.com"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"[EMAIL]"}}"#.to_owned(),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned(),
        ),
    ];
    for (body, expected) in cases {
        let headers = with(&[("content-length", &body.len().to_string())]);
        let (passed, host, facts) = send(json!({}), headers, &body);
        assert_eq!(passed, Passed::On(expected.clone().into()), "{body}");
        let length = expected.len().to_string();
        assert_eq!(host.upstream.headers.unwrap().text("content-length"), Some(length.as_str()), "{body}");
        assert_eq!(facts.found_in_request.is_empty(), body == expected, "{body}");
        // Later stages decide on the message that leaves.
        let message = parse(expected.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(facts.message, Some(message), "{body}");
    }
}

#[test]
fn headers_that_mirror_arguments_are_cleaned_too() {
    let body = request("tools/call", &json!({"name": "echo", "arguments": {"to": "bob@example.com"}}));
    let cases = [
        ("bob@example.com", "[EMAIL]"),
        ("=?base64?Ym9iQGV4YW1wbGUuY29t?=", "[EMAIL]"),
        ("=?base64?w7wgYm9iQGV4YW1wbGUuY29t?=", "=?base64?w7wgW0VNQUlMXQ==?="),
        ("nobody", "nobody"),
    ];
    for hold_headers in [true, false] {
        for (value, expected) in cases {
            let (mut chain, _) = chain(json!({}), hold_headers);
            let mut host = MemoryHost::with_request(with(&[("mcp-param-to", value), ("x-to", value)]));
            assert!(matches!(host.request(&mut chain, &[body.as_bytes()], false), Passed::On(_)));
            let headers = host.upstream.headers.unwrap();
            assert_eq!(headers.text("mcp-param-to"), Some(expected));
            assert_eq!(headers.text("x-to"), Some(value));
        }
    }
}

#[test]
fn a_mirrored_header_that_cannot_be_read_is_refused() {
    let unreadable: [&[u8]; 4] =
        [b"bob@example.com\xff", b"=?base64?Ym9iQGV4YW1wbGUuY29tCg?=", b"=?base64?%%?=", b"=?base64?/w==?="];
    for value in unreadable {
        let mut headers = memory::post();
        headers.set("mcp-param-to", value);
        let (passed, host, _) = send(json!({}), headers.clone(), "{}");
        let Passed::Refused(reply) = passed else { panic!("{value:?}: {passed:?}") };
        assert_eq!((reply.status, reply.reason), (400, "request_unsearchable"));
        assert_eq!(host.upstream, Departed::default());

        let body = request("ping", &json!({}));
        let (passed, _, facts) = send(json!({"mode": "observe"}), headers, &body);
        assert_eq!(passed, Passed::On(body.into()));
        assert_eq!(facts.observed[0].reason, "request_unsearchable");
    }
}

#[test]
fn what_cannot_be_searched_does_not_leave() {
    for (method, body) in
        [("POST", "{"), ("POST", ""), ("PUT", "bob@example.com"), ("DELETE", "bob@example.com")]
    {
        let (passed, host, _) = send(json!({}), with(&[(":method", method)]), body);
        assert!(matches!(passed, Passed::Refused(_)), "{method} {body}: {passed:?}");
        assert_eq!(host.upstream, Departed::default());
    }
    for method in ["GET", "DELETE"] {
        let (passed, ..) = send(json!({}), with(&[(":method", method)]), "");
        assert_eq!(passed, Passed::On(Vec::new()), "{method}");
    }
    for (content_type, body) in
        [("application/json", "{\"a\":"), ("text/event-stream", "data: bob@example.com\n\n")]
    {
        let (passed, facts) = receive(json!({}), content_type, &[body.as_bytes()]);
        let (Passed::Refused(airlock_pipeline::Reply { body: sent, .. }) | Passed::On(sent)) = passed else {
            panic!()
        };
        let sent = String::from_utf8(sent).unwrap();
        assert!(sent.contains("response_unsearchable") && !sent.contains("bob"), "{sent}");
        assert!(facts.refusal.unwrap().answer_withheld);
    }
}

#[test]
fn what_a_server_answers_is_cleaned() {
    let cases = [
        (
            "application/json",
            r#"{"jsonrpc":"2.0","id":"bob@example.com","result":{"text":"bob@example.com","n":4111111111111111}}"#,
            r#"{"jsonrpc":"2.0","id":"bob@example.com","result":{"text":"[EMAIL]","n":"[CARD]"}}"#,
        ),
        (
            "application/json",
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no bob@example.com"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no [EMAIL]"}}"#,
        ),
        // Not one well-formed message: all of it is searched.
        (
            "application/json",
            r#"[{"result":"bob@example.com"},{"result":1,"result":"bob@example.com","x":"bob@example.com"}]"#,
            r#"[{"result":"[EMAIL]"},{"result":1,"result":"[EMAIL]","x":"[EMAIL]"}]"#,
        ),
        ("text/html", "<p>bob@example.com \u{fc} 4111-1111-1111-1111", "<p>[EMAIL] \u{fc} [CARD]"),
        (
            "text/event-stream",
            "id: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\ndata: \"params\":{\"data\":\"bob@example.com\"}}\n\ndata: \n\n",
            "id: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\ndata: \"params\":{\"data\":\"[EMAIL]\"}}\n\ndata: \n\n",
        ),
    ];
    for (content_type, body, expected) in cases {
        for size in [1, 7, body.len()] {
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let (passed, facts) = receive(json!({}), content_type, &pieces);
            assert_eq!(passed, Passed::On(expected.into()), "{body}");
            assert!(!facts.found_in_response.is_empty());
        }
    }
}

#[test]
fn observation_counts_and_changes_nothing() {
    let observing = || json!({"mode": "observe"});
    let body = request("tools/call", &json!({"name": "echo", "arguments": ["bob@example.com", CARD, CARD]}));
    // `arguments` must be an object; this one is.
    let body = body.replace('[', "{\"a\":[").replace(']', "]}");
    let headers = with(&[("mcp-param-to", "bob@example.com"), ("content-length", "1000")]);
    let (passed, host, facts) = send(observing(), headers.clone(), &body);
    assert_eq!(passed, Passed::On(body.into()));
    assert_eq!(host.upstream.headers, Some(headers));
    assert_eq!(
        (facts.found_in_request.count(Class::Email), facts.found_in_request.count(Class::Card)),
        (1, 2)
    );

    let stream = "data: {\"a\":\"bob@example.com\"}\n\ndata: [\"bob@example.com\"]\n\n";
    for (content_type, body, emails) in [
        ("application/json", "{\"a\":\"bob@example.com\"}", 1),
        ("text/plain", "bob@example.com", 1),
        ("text/event-stream", stream, 2),
    ] {
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(9).collect();
        let (passed, facts) = receive(observing(), content_type, &pieces);
        assert_eq!(passed, Passed::On(body.into()));
        assert_eq!(facts.found_in_response.count(Class::Email), emails, "{content_type}");
        assert!(facts.observed.is_empty());
    }
}

#[test]
fn each_direction_looks_for_what_it_was_told() {
    let body = request("ping", &json!({"a": "bob@example.com", "b": CARD}));
    let (passed, ..) = send(json!({"request": {"detect": ["card"]}}), memory::post(), &body);
    assert_eq!(passed, Passed::On(body.replace(CARD, "[CARD]").into()));
    let (passed, host, _) = send(
        json!({"request": {"detect": []}, "response": {"detect": []}}),
        with(&[("accept-encoding", "gzip")]),
        &body,
    );
    assert_eq!(passed, Passed::On(body.into()));
    assert_eq!(host.upstream.headers.unwrap().text("accept-encoding"), Some("gzip"));
    let (passed, _) = receive(json!({"response": {"detect": []}}), "image/png", &[b"bob@example.com"]);
    assert_eq!(passed, Passed::On(b"bob@example.com".to_vec()));
    for wrong in [json!({"request": {"detect": ["phone"]}}), json!({"request": {}}), json!({"responses": {}})]
    {
        assert!(serde_json::from_value::<Configuration>(wrong).is_err());
    }
}

#[test]
fn servers_are_asked_for_answers_that_can_be_searched() {
    for mode in ["enforce", "observe"] {
        let body = request("ping", &json!({}));
        let (_, host, _) = send(json!({"mode": mode}), with(&[("accept-encoding", "gzip, br")]), &body);
        assert!(!host.upstream.headers.unwrap().contains("accept-encoding"));
    }
}
