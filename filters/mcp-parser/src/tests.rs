use airlock_pipeline::{
    Headers, Options, Reply,
    memory::{self, Departed, MemoryHost, Passed},
};
use serde_json::{Value, json};

mod sessions;

use super::*;

const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
const CALL: &str =
    r#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"echo","arguments":{}}}"#;

/// Headers and body of a request; status, reason, JSON-RPC code and id of its refusal.
type Refusal<'a> = (Headers, &'a [u8], u16, &'a str, i64, Value);

/// What a request comes to, and what the host has seen of it.
fn send(configuration: Configuration, headers: Headers, body: &[u8], trailers: bool) -> (Passed, MemoryHost) {
    let (mut chain, _) = memory::chain(vec![Box::new(McpParser::new(configuration))], Options::default());
    let mut host = MemoryHost::with_request(headers);
    let pieces: &[&[u8]] = if body.is_empty() { &[] } else { &[body] };
    (host.request(&mut chain, pieces, trailers), host)
}

/// A POST with these lines added, or in the place of its own.
fn with(lines: &[(&str, &str)]) -> Headers {
    let mut headers = memory::post();
    for (name, value) in lines {
        headers.set(name, value.as_bytes());
    }
    headers
}

/// A POST with these lines added to its own.
fn plus(lines: &[(&str, &[u8])]) -> Headers {
    let post = memory::post();
    let own = post.iter().map(|(name, value)| (name.to_vec(), value.to_vec()));
    let added = lines.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    Headers::new(own.chain(added).collect())
}

/// Status, reason, JSON-RPC code and id of a refusal.
fn facts_of(reply: &Reply) -> (u16, String, i64, Value) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["jsonrpc"], "2.0");
    assert_eq!(body["error"]["data"]["reason"], reply.reason);
    (reply.status, reply.reason.to_owned(), body["error"]["code"].as_i64().unwrap(), body["id"].clone())
}

#[test]
fn what_is_no_well_formed_message_is_refused_with_its_reason() {
    let version = transport::PROTOCOL_VERSION;
    let stateless = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let without_capabilities = stateless.replace(r#","io.modelcontextprotocol/clientCapabilities":{}"#, "");
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}{}}}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    #[rustfmt::skip]
    let cases: [Refusal<'_>; 46] = [
        // Headers.
        (plus(&[("x-any", b"a\xff")]), PING.as_bytes(), 400, "header_not_utf8", -32600, json!(null)),
        (with(&[(":method", "PUT")]), PING.as_bytes(), 405, "http_method", -32600, json!(null)),
        (with(&[(":method", "post")]), PING.as_bytes(), 405, "http_method", -32600, json!(null)),
        (with(&[("content-type", "text/plain")]), PING.as_bytes(), 415, "content_type", -32600, json!(null)),
        (with(&[("content-type", "application/json-patch+json")]), PING.as_bytes(), 415, "content_type", -32600, json!(null)),
        (with(&[("content-encoding", "gzip")]), PING.as_bytes(), 415, "request_encoding", -32600, json!(null)),
        (with(&[(transport::SESSION_ID, "")]), PING.as_bytes(), 400, "session_id", -32600, json!(null)),
        (with(&[(transport::SESSION_ID, "a b")]), PING.as_bytes(), 400, "session_id", -32600, json!(null)),
        (with(&[(transport::SESSION_ID, &"s".repeat(321))]), PING.as_bytes(), 400, "session_id", -32600, json!(null)),
        (with(&[("accept", "text/html, image/*")]), PING.as_bytes(), 406, "not_acceptable", -32600, json!(null)),
        (with(&[("origin", "https://evil.example")]), PING.as_bytes(), 403, "origin_not_allowed", -32600, json!(null)),
        (plus(&[("origin", b"https://app.example.com"), ("origin", b"https://evil.example")]), PING.as_bytes(), 400, "header_repeated", -32600, json!(null)),
        (plus(&[("content-type", b"application/json")]), PING.as_bytes(), 400, "header_repeated", -32600, json!(null)),
        (plus(&[("content-encoding", b"identity"), ("content-encoding", b"gzip")]), PING.as_bytes(), 400, "header_repeated", -32600, json!(null)),
        (plus(&[("mcp-session-id", b"a"), ("mcp-session-id", b"a")]), PING.as_bytes(), 400, "header_repeated", -32020, json!(null)),
        (plus(&[("mcp-name", b"a"), ("mcp-name", b"b")]), PING.as_bytes(), 400, "header_repeated", -32020, json!(null)),
        (plus(&[("mcp_session_id", b"a")]), PING.as_bytes(), 400, "header_lookalike", -32600, json!(null)),
        (plus(&[("x-http-method-override", b"DELETE")]), PING.as_bytes(), 400, "http_method_override", -32600, json!(null)),
        (plus(&[("content_type", b"a")]), PING.as_bytes(), 400, "header_lookalike", -32600, json!(null)),
        (with(&[("content-type", "application/json; charset=utf-16")]), PING.as_bytes(), 415, "content_type", -32600, json!(null)),
        (with(&[("content-type", "application/json; charset=utf-8; Charset = \"UTF-7\"")]), PING.as_bytes(), 415, "content_type", -32600, json!(null)),
        // The body as JSON and as JSON-RPC.
        (memory::post(), b"", 400, "json_syntax", -32700, json!(null)),
        (memory::post(), b"{\"jsonrpc\":\"2.0\",\"id\":7,", 400, "json_syntax", -32700, json!(7)),
        (memory::post(), br#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":1,"a":2}}"#, 400, "json_duplicate_key", -32700, json!(7)),
        (memory::post(), b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xff\"}", 400, "json_invalid_utf8", -32700, json!(7)),
        (memory::post(), deep.as_bytes(), 400, "json_depth", -32700, json!(1)),
        (memory::post(), b"\xef\xbb\xbf{}", 400, "json_byte_order_mark", -32700, json!(null)),
        (memory::post(), br#"{"jsonrpc":"2.0","id":7,"method":"ping"} {}"#, 400, "json_trailing_bytes", -32700, json!(7)),
        (with(&[(version, "2025-06-18")]), br#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#, 400, "rpc_batch", -32600, json!(null)),
        (memory::post(), br#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, 400, "rpc_version", -32600, json!(7)),
        (memory::post(), br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, 400, "rpc_id", -32600, json!(null)),
        (memory::post(), br#"{"jsonrpc":"2.0","id":7,"Method":"ping","method":"ping"}"#, 400, "rpc_member_case", -32600, json!(7)),
        (memory::post(), br#"{"jsonrpc":"2.0","id":"x","method":""}"#, 400, "rpc_method", -32600, json!("x")),
        (memory::post(), br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#, 400, "params_shape", -32602, json!(7)),
        (memory::post(), br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":""}}"#, 400, "params_name", -32602, json!(7)),
        // Headers against the body.
        (with(&[(transport::METHOD, "tools/list")]), PING.as_bytes(), 400, "header_mismatch", -32020, json!(7)),
        (with(&[(transport::NAME, "other")]), CALL.as_bytes(), 400, "header_mismatch", -32020, json!("c")),
        (with(&[(transport::NAME, "=?base64?ZWNobw?=")]), CALL.as_bytes(), 400, "header_mismatch", -32020, json!("c")),
        (with(&[(version, "2026-07-28"), (transport::METHOD, "ping")]), PING.as_bytes(), 400, "protocol_version_missing", -32602, json!(7)),
        (with(&[(version, "2026-07-28")]), stateless.as_bytes(), 400, "header_missing", -32020, json!(1)),
        (with(&[(version, "2026-07-28")]), without_capabilities.as_bytes(), 400, "client_capabilities_missing", -32602, json!(1)),
        (with(&[(version, "1999-01-01")]), PING.as_bytes(), 400, "protocol_version_unsupported", -32022, json!(7)),
        (with(&[("mcp-param-region", "=?base64?SGVsbG8?=")]), CALL.as_bytes(), 400, "header_mismatch", -32020, json!("c")),
        (plus(&[("mcp-param-a", b"1"), ("mcp-param-a", b"1")]), CALL.as_bytes(), 400, "header_repeated", -32020, json!(null)),
        // Methods without a message.
        (with(&[(":method", "GET")]), b"{}", 400, "unexpected_body", -32600, json!(null)),
        (with(&[(":method", "DELETE")]), PING.as_bytes(), 400, "unexpected_body", -32600, json!(null)),
    ];
    for (headers, body, status, reason, code, id) in cases {
        let (passed, host) = send(Configuration::default(), headers, body, false);
        let Passed::Refused(reply) = passed else { panic!("{reason}: {passed:?}") };
        assert_eq!(facts_of(&reply), (status, reason.to_owned(), code, id));
        assert_eq!(host.upstream, Departed::default(), "{reason}");
        assert!(reply.headers.contains(&("content-type", "application/json".to_owned())), "{reason}");
    }
}

#[test]
fn refusals_repeat_nothing_of_what_was_sent() {
    let body = br#"{"jsonrpc":"2.0","id":7,"method":"hunter2-method","hunter2":"hunter2"}"#;
    for headers in [memory::post(), with(&[("content-type", "hunter2")]), plus(&[("x", b"hunter2\xff")])] {
        let (Passed::Refused(reply), _) = send(Configuration::default(), headers, body, false) else {
            panic!()
        };
        assert!(!String::from_utf8(reply.body).unwrap().contains("hunter2"));
    }
}

#[test]
fn well_formed_messages_pass_unchanged() {
    let call_headers = with(&[
        (transport::METHOD, "tools/call"),
        (transport::NAME, "=?base64?ZWNobw==?="),
        ("content-type", "application/json; charset=utf-8"),
        ("content-encoding", "identity"),
    ]);
    let cases = [
        (memory::post(), PING),
        (call_headers, CALL),
        (memory::post(), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        (memory::post(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        (memory::post(), r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#),
        (with(&[(":method", "GET")]), ""),
        (with(&[(":method", "DELETE")]), ""),
    ];
    for (headers, body) in cases {
        let (passed, host) = send(Configuration::default(), headers.clone(), body.as_bytes(), false);
        assert_eq!(passed, Passed::On(body.into()), "{body}");
        assert_eq!(host.upstream.headers, Some(headers), "{body}");
    }
}

#[test]
fn trailers_change_no_verdict_and_go_no_further() {
    for (headers, body) in [(memory::post(), PING), (with(&[(":method", "GET")]), "")] {
        let (passed, host) = send(Configuration::default(), headers, body.as_bytes(), true);
        assert_eq!((passed, host.trailers_dropped), (Passed::On(body.into()), true));
    }
    let (passed, _) = send(Configuration::default(), memory::post(), b"{", true);
    assert!(matches!(passed, Passed::Refused(_)));
}

#[test]
fn limits_are_those_of_the_configuration() {
    let configuration: Configuration = serde_json::from_value(json!({"limits": {"name_bytes": 4}})).unwrap();
    assert!(matches!(send(configuration.clone(), memory::post(), PING.as_bytes(), false).0, Passed::On(_)));
    let (Passed::Refused(reply), _) = send(configuration, memory::post(), CALL.as_bytes(), false) else {
        panic!("too long a method");
    };
    assert_eq!(reply.reason, "rpc_method");
    assert!(serde_json::from_value::<Configuration>(json!({"limit": {}})).is_err());
}

#[test]
fn operators_see_method_and_tool() {
    let (_, host) = send(Configuration::default(), memory::post(), CALL.as_bytes(), false);
    assert_eq!(host.properties["airlock.method"], b"tools/call");
    assert_eq!(host.properties["airlock.tool"], b"echo");
    let (_, host) = send(Configuration::default(), memory::post(), PING.as_bytes(), false);
    assert!(!host.properties.contains_key("airlock.tool"));
}

#[test]
fn pages_and_names_that_are_allowed_pass() {
    let configuration: Configuration = serde_json::from_value(json!({
        "origins": ["https://app.example.com", "http://localhost:*"],
        "hosts": ["mcp.example.com"],
    }))
    .unwrap();
    for origin in ["https://app.example.com", "http://localhost:6274"] {
        let (passed, _) = send(configuration.clone(), with(&[("origin", origin)]), PING.as_bytes(), false);
        assert!(matches!(passed, Passed::On(_)), "{origin}");
    }
    let elsewhere = with(&[(":authority", "rebound.evil.example")]);
    let (Passed::Refused(reply), _) = send(configuration, elsewhere, PING.as_bytes(), false) else {
        panic!()
    };
    assert_eq!(facts_of(&reply), (421, "host_not_allowed".to_owned(), -32600, json!(null)));
    let error = serde_json::from_value::<Configuration>(json!({"origins": ["*"]})).unwrap_err();
    assert!(error.to_string().contains("`*` is not an origin"), "{error}");
}

#[test]
fn a_refusal_says_what_would_do() {
    let (Passed::Refused(reply), _) =
        send(Configuration::default(), with(&[(":method", "PUT")]), PING.as_bytes(), false)
    else {
        panic!()
    };
    assert!(reply.headers.contains(&("allow", "GET, POST, DELETE".to_owned())));
    let unknown = with(&[(transport::PROTOCOL_VERSION, "1999-01-01")]);
    let (Passed::Refused(reply), _) = send(Configuration::default(), unknown, PING.as_bytes(), false) else {
        panic!()
    };
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["error"]["data"]["requested"], "1999-01-01");
    assert_eq!(body["error"]["data"]["supported"], json!(["2026-07-28"]));
}

#[test]
fn what_a_server_answers_has_one_meaning_too() {
    let answer = |status: &str, content_type: &str, body: &str| {
        let stages: Vec<Box<dyn Stage>> = vec![Box::new(McpParser::new(Configuration::default()))];
        let (mut chain, _) = memory::chain(stages, Options::default());
        let mut host = MemoryHost::with_request(with(&[("accept-encoding", "gzip")]));
        assert_eq!(host.request(&mut chain, &[PING.as_bytes()], false), Passed::On(PING.into()));
        assert!(!host.upstream.headers.as_ref().unwrap().contains("accept-encoding"));
        let headers = Headers::from([(":status", status), ("content-type", content_type)]);
        match host.response(&mut chain, headers, &[body.as_bytes()], false) {
            Passed::On(got) => String::from_utf8(got).unwrap(),
            Passed::Refused(reply) => reply.reason.to_owned(),
            Passed::Stuck => panic!("{body}"),
        }
    };
    let (json, events) = ("application/json", "text/event-stream");
    let twice = r#"{"jsonrpc":"2.0","id":7,"result":{},"result":{"isError":true}}"#;
    let large = r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"id":18446744073709551615}}}"#;
    let endpoint = "event: endpoint\ndata: /messages?session=1\n\n";
    assert_eq!(answer("200", json, large), large);
    assert_eq!(answer("200", json, twice), "response_message");
    assert_eq!(answer("400", json, twice), twice, "no client takes an HTTP error for an answer");
    assert_eq!(answer("400", json, r#"{"detail":"no"}"#), r#"{"detail":"no"}"#);
    assert_eq!(answer("200", json, r#"{"detail":"no"}"#), "response_message");
    assert_eq!(answer("200", events, endpoint), endpoint);
    let cut = answer("200", events, &format!("data: {large}\n\ndata: {twice}\n\n"));
    assert!(cut.starts_with(&format!("data: {large}\n\n")) && cut.contains("response_message"), "{cut}");
}
