//! What is no well-formed MCP message is refused and recorded, and the next request on the same worker is served.

use airlock_tests::{
    client::{Answer, Call, Http, tool_call},
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::json;

struct Case {
    what: &'static str,
    call: Call,
    status: u16,
    code: i64,
    reason: &'static str,
}

/// The corpus: what is sent, and what must come back. A plain proxy lets every one of them through.
fn cases() -> Vec<Case> {
    let echo = || Call::tool("echo", &json!({}));
    let body = |body: &str| Call::post(body.to_owned());
    let bytes = |bytes: &[u8]| Call::post(bytes.to_vec());
    let case = |what, call, status, code, reason| Case { what, call, status, code, reason };
    let big = tool_call("echo", &json!({ "message": "x".repeat(2 << 20) }));
    vec![
        case(
            "a header that is not UTF-8",
            echo().header("x-bin", b"a\xff\xfeb"),
            400,
            -32600,
            "header_not_utf8",
        ),
        case(
            "a header that is not UTF-8, over HTTP/2",
            echo().over(Http::Two).header("x-bin", b"\xc3\x28"),
            400,
            -32600,
            "header_not_utf8",
        ),
        case("2 MB", Call::post(big.clone()), 413, -31413, "request_too_large"),
        case("2 MB in chunks", Call::post(big.clone()).cut(65_536), 413, -31413, "request_too_large"),
        case(
            "2 MB over HTTP/2",
            Call::post(big).over(Http::Two).cut(16_000),
            413,
            -31413,
            "request_too_large",
        ),
        case(
            "invalid UTF-8",
            bytes(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"a\":\"\xff\"}}"),
            400,
            -32700,
            "json_invalid_utf8",
        ),
        case(
            "a member twice",
            body(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list"}"#),
            400,
            -32700,
            "json_duplicate_key",
        ),
        case(
            "a member twice, once in disguise",
            body(
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","\u006eame":"drop"}}"#,
            ),
            400,
            -32700,
            "json_duplicate_key",
        ),
        case("no JSON", body("tools/call"), 400, -32700, "json_syntax"),
        case("nothing", body(""), 400, -32700, "json_syntax"),
        case(
            "a batch",
            body(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#)
                .header("mcp-protocol-version", b"2025-06-18"),
            400,
            -32600,
            "rpc_batch",
        ),
        case(
            "an id that is null",
            body(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
            400,
            -32600,
            "rpc_id",
        ),
        case(
            "bytes after the message",
            body(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0"}"#),
            400,
            -32700,
            "json_trailing_bytes",
        ),
        case(
            "a member in another case",
            body(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#),
            400,
            -32600,
            "rpc_member_case",
        ),
        case(
            "another content type",
            echo().instead("content-type", b"text/plain"),
            415,
            -32600,
            "content_type",
        ),
        case(
            "a compressed body",
            echo().header("content-encoding", b"gzip"),
            415,
            -32600,
            "request_encoding",
        ),
        case("a header that disagrees", echo().header("mcp-method", b"ping"), 400, -32020, "header_mismatch"),
        case(
            "a header on two lines",
            echo().header("mcp-method", b"tools/call").header("mcp-method", b"tools/call"),
            400,
            -32020,
            "header_repeated",
        ),
        case("another HTTP method", echo().method("PUT"), 405, -32600, "http_method"),
        case(
            "a session id of nobody's",
            echo().header("mcp-session-id", b"a b"),
            404,
            -31404,
            "session_unknown",
        ),
    ]
}

async fn everything_malformed_is_refused(shape: Shape) {
    let (upstream, address) = Upstream::start().await;
    let gateway = Gateway::start(shape, address, Configuration::default()).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    for (served, Case { what, call, status, code, reason }) in cases().into_iter().enumerate() {
        let answer = call.token(&token).send(gateway.address).await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{what}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], code, "{what}");
        assert_eq!(answer.json()["jsonrpc"], "2.0", "{what}");
        gateway.signer.refusal(reason).await;

        let next = Call::tool("echo", &json!({})).token(&token).send(gateway.address).await;
        assert_eq!(next.status, 200, "the request after {what}: {}", next.text());
        assert_eq!(upstream.received().len(), served + 1, "{what} reached the server");
    }
    let reloads = if shape == Shape::Whole { "wasm.airlock.vm_reload" } else { "wasm.mcp-parser.vm_reload" };
    assert_eq!(gateway.stat(reloads).await, 0, "no VM has failed");
    assert!(gateway.signer.verify().is_valid());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_malformed_is_refused_by_the_whole_chain() {
    everything_malformed_is_refused(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_malformed_is_refused_by_a_chain_of_filters() {
    everything_malformed_is_refused(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_proxy_passes_what_airlock_refuses() {
    let (upstream, address) = Upstream::start().await;
    let gateway = Gateway::start(Shape::Plain, address, Configuration::default()).await;
    for Case { what, call, .. } in cases() {
        let before = upstream.received().len();
        let answer: Answer = call.send(gateway.address).await;
        let reached = upstream.received().len() > before;
        assert!(reached, "{what} was stopped by the proxy itself: {} {}", answer.status, answer.text());
    }
}
