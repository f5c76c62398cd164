//! What a server may ask of a client, and what both sides are told of one another, through a real Envoy.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use airlock_receipt::{Effect, OutcomeState};
use airlock_tests::{
    client::{Answer, Call},
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const QUESTION: &str =
    r#"{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"May I?"}}"#;
const NOTICE: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// A server that asks in every way there is, and declares more than it should.
#[derive(Clone, Debug, Default)]
struct Asking {
    received: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Asking {
    async fn start() -> (Self, SocketAddr) {
        let server = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (server, address)
    }

    /// The last request that reached it.
    fn last(&self) -> (HeaderMap, Bytes) {
        self.received.lock().unwrap().last().unwrap().clone()
    }
}

async fn answer(State(server): State<Asking>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    server.received.lock().unwrap().push((headers, body.clone()));
    if method == Method::GET {
        return events(&[NOTICE, QUESTION, NOTICE]);
    }
    let message: Value = serde_json::from_slice(&body).unwrap();
    let result = |result: Value| json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
    let asks = |method: &str| {
        let requests = json!({ "first": { "method": method, "params": {} } });
        result(json!({ "resultType": "input_required", "inputRequests": requests, "requestState": "s" }))
    };
    let declared = json!({ "capabilities": { "prompts": {}, "tools": {}, "logging": {} } });
    match (message["method"].as_str(), message["params"]["name"].as_str()) {
        (Some("initialize" | "server/discover"), _) => Json(result(declared)).into_response(),
        (_, Some("ask")) => events(&[NOTICE, QUESTION, &result(json!({ "content": [] })).to_string()]),
        (_, Some("embed")) => Json(asks("elicitation/create")).into_response(),
        (_, Some("use-model")) => Json(asks("sampling/createMessage")).into_response(),
        _ => Json(result(json!({}))).into_response(),
    }
}

fn events(messages: &[&str]) -> Response {
    let stream: String = messages.iter().map(|message| format!("data: {message}\n\n")).collect();
    ([("content-type", "text/event-stream")], stream).into_response()
}

/// Everybody may read; `mcp:write` lets the server ask the user, and nothing lets it use the model.
fn policy() -> Value {
    json!({
        "version": 1,
        "servers": [{ "name": "test", "capabilities": { "client": ["elicitation"], "server": ["tools"] } }],
        "rules": [
            { "name": "tools", "effect": "allow", "tools": ["*"], "scopes": ["mcp:read"] },
            { "name": "ask", "effect": "allow", "methods": ["elicitation/create"], "scopes": ["mcp:write"] },
        ],
    })
}

async fn guarded(shape: Shape) -> (Gateway, Asking) {
    let (server, address) = Asking::start().await;
    (Gateway::start(shape, address, Configuration::default().with("/policy", policy())).await, server)
}

async fn call(gateway: &Gateway, scope: &str, tool: &str) -> Answer {
    let token = Issuer::default().token("alice@example.com", scope);
    Call::tool(tool, &json!({})).token(&token).send(gateway.address).await
}

async fn a_server_asks_only_whom_policy_lets_it_ask(shape: Shape) {
    let (gateway, _server) = guarded(shape).await;
    let writer = "mcp:read mcp:write";

    let answer = call(&gateway, writer, "ask").await;
    assert!(answer.text().contains(QUESTION) && answer.text().contains(r#""result""#), "{}", answer.text());
    let answer = call(&gateway, writer, "embed").await;
    assert_eq!(answer.json()["result"]["inputRequests"]["first"]["method"], "elicitation/create");

    let answer = call(&gateway, "mcp:read", "ask").await;
    assert_eq!(answer.status, 200, "the status has gone");
    let text = answer.text();
    assert!(text.contains(NOTICE) && !text.contains("May I?") && !text.contains(r#""result""#), "{text}");
    let last = text.trim_end().rsplit_once("data: ").unwrap().1;
    let error: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(1), &json!(-31403)));
    assert_eq!(error["error"]["data"], json!({ "reason": "policy_scope", "rule": "ask" }));

    let answer = call(&gateway, "mcp:read", "embed").await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "policy_scope"));
    assert!(answer.headers["www-authenticate"].to_str().unwrap().contains(r#"scope="mcp:read mcp:write""#));
    let answer = call(&gateway, writer, "use-model").await;
    assert_eq!((answer.status, answer.reason().as_str()), (200, "policy_capability"));
    assert_eq!(answer.json()["id"], 1);

    for reason in ["policy_scope", "policy_capability"] {
        let record = gateway.signer.refusal(reason).await;
        assert_eq!(record.outcome.state, OutcomeState::Denied);
    }
    let passed = |record: &airlock_receipt::Record| record.decision.effect == Effect::Allow;
    gateway.signer.receipt("a question that passed", passed).await;
    assert!(gateway.signer.verify().is_valid());
}

async fn a_stream_goes_on_without_what_may_not_be_asked(shape: Shape) {
    let (gateway, _server) = guarded(shape).await;
    for (scope, asked) in [("mcp:read mcp:write", true), ("mcp:read", false)] {
        let token = Issuer::default().token("alice@example.com", scope);
        let get = Call::post("").method("GET").token(&token).send(gateway.address).await;
        let text = get.text();
        assert_eq!(text.matches(NOTICE).count(), 2, "{text}");
        assert_eq!(text.contains(QUESTION), asked, "{text}");
        let end = r#""method":"notifications/cancelled","params":{"requestId":"s1""#;
        assert_eq!(text.contains(end), !asked, "{text}");
    }
    let record = gateway.signer.refusal("policy_scope").await;
    assert_eq!(record.what.http_method.as_str(), "GET");
}

async fn neither_side_is_told_of_what_may_not_be_used(shape: Shape) {
    let (gateway, server) = guarded(shape).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{ "protocolVersion":"2025-06-18","capabilities":{"sampling":{},"elicitation":{}, "roots":{}},"clientInfo":{"name":"c","version":"1"}}}"#;
    let narrowed = initialize.replace(r#""sampling":{},"#, "").replace(r#", "roots":{}"#, "");
    for size in [1_000, 9] {
        let answer = Call::post(initialize).cut(size).token(&token).send(gateway.address).await;
        assert_eq!(answer.json()["result"]["capabilities"], json!({ "tools": {} }), "{}", answer.text());
        let (headers, body) = server.last();
        assert_eq!(String::from_utf8_lossy(&body), narrowed);
        if let Some(length) = headers.get("content-length") {
            assert_eq!(*length, narrowed.len().to_string());
        }
    }

    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "roots": {}, "elicitation": {} },
    });
    let discover =
        json!({ "jsonrpc": "2.0", "id": 2, "method": "server/discover", "params": { "_meta": meta } });
    let discover = Call::post(discover.to_string())
        .header("mcp-protocol-version", b"2026-07-28")
        .header("mcp-method", b"server/discover");
    let answer = discover.token(&token).send(gateway.address).await;
    assert_eq!(answer.json()["result"]["capabilities"], json!({ "tools": {} }), "{}", answer.text());
    let body: Value = serde_json::from_slice(&server.last().1).unwrap();
    let declared = &body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(*declared, json!({ "elicitation": {} }));

    let reached = server.received.lock().unwrap().len();
    let prompts = Call::post(r#"{"jsonrpc":"2.0","id":3,"method":"prompts/list"}"#);
    let answer = prompts.token(&token).send(gateway.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (200, "policy_capability"));
    assert_eq!(server.received.lock().unwrap().iter().filter(|(_, body)| !body.is_empty()).count(), reached);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_asks_only_whom_policy_lets_it_ask_through_the_whole_chain() {
    a_server_asks_only_whom_policy_lets_it_ask(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_asks_only_whom_policy_lets_it_ask_through_filters_in_separate_vms() {
    a_server_asks_only_whom_policy_lets_it_ask(Shape::SeparateVms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_without_what_may_not_be_asked_through_the_whole_chain() {
    a_stream_goes_on_without_what_may_not_be_asked(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_without_what_may_not_be_asked_through_filters_in_separate_vms() {
    a_stream_goes_on_without_what_may_not_be_asked(Shape::SeparateVms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_is_told_of_what_may_not_be_used_by_the_whole_chain() {
    neither_side_is_told_of_what_may_not_be_used(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_is_told_of_what_may_not_be_used_by_a_chain_of_filters() {
    neither_side_is_told_of_what_may_not_be_used(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_is_told_of_what_may_not_be_used_by_filters_in_separate_vms() {
    neither_side_is_told_of_what_may_not_be_used(Shape::SeparateVms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_is_told_of_what_may_not_be_used_where_headers_are_not_held() {
    neither_side_is_told_of_what_may_not_be_used(Shape::ChainUnheld).await;
}
