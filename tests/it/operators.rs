//! What Airlock finds out, at work in Envoy's own filters, logs and traces.

use airlock_tests::{
    client::{Call, Http},
    eventually,
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::{Value, json};

async fn start() -> (Gateway, Upstream) {
    let (upstream, address) = Upstream::start().await;
    (Gateway::start(Shape::Operators, address, Configuration::default()).await, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn access_logs_say_what_was_called_by_whom_and_how_it_was_decided() {
    let (gateway, _) = start().await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    for tool in ["echo", "drop"] {
        Call::tool(tool, &json!({})).token(&token).send(gateway.address).await;
    }
    let lines = eventually("the access log", || async {
        Some(gateway.access_log()).filter(|lines| lines.len() == 2)
    })
    .await;
    let facts =
        ["method", "class", "tool", "operation", "subject", "client", "decision", "reason", "rule", "server"];
    let told = |line: &Value| facts.map(|fact| line[fact].as_str().unwrap_or("-").to_owned());
    assert_eq!(
        told(&lines[0]),
        [
            "tools/call",
            "write",
            "echo",
            "read",
            "alice@example.com",
            "test-client",
            "allow",
            "-",
            "reads",
            "test"
        ]
    );
    assert_eq!(
        told(&lines[1]),
        [
            "tools/call",
            "write",
            "drop",
            "write",
            "alice@example.com",
            "test-client",
            "deny",
            "policy_denied",
            "no-drop",
            "test"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_their_reason() {
    let (gateway, _) = start().await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    for _ in 0..3 {
        assert_eq!(Call::tool("echo", &json!({})).send(gateway.address).await.status, 401);
    }
    assert_eq!(Call::tool("drop", &json!({})).token(&token).send(gateway.address).await.status, 200);
    for (reason, count) in [("token_missing", 3), ("policy_denied", 1)] {
        assert_eq!(gateway.stat(&format!("wasmcustom.airlock.refused.{reason}")).await, count, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rbac_locks_out_whom_the_token_names() {
    let (gateway, upstream) = start().await;
    for (subject, status) in [("alice@example.com", 200), ("suspended@example.com", 403)] {
        let token = Issuer::default().token(subject, "mcp:read");
        let answer = Call::tool("echo", &json!({})).token(&token).send(gateway.address).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}]"#;
    for http in [Http::One, Http::Two] {
        let answer = Call::post(batch.to_owned()).over(http).token(&token).send(gateway.address).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    assert_eq!(upstream.called(), ["echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_has_a_limit_of_its_own_for_what_writes() {
    let (gateway, _) = start().await;
    let issuer = Issuer::default();
    let status = async |subject: &str, tool: &str| {
        let token = issuer.token(subject, "mcp:read mcp:write");
        Call::tool(tool, &json!({})).token(&token).send(gateway.address).await.status
    };
    for _ in 0..10 {
        assert_eq!(status("alice@example.com", "save").await, 200);
    }
    assert_eq!(status("alice@example.com", "save").await, 429);
    assert_eq!(status("alice@example.com", "echo").await, 200, "reading is another matter");
    assert_eq!(status("bob@example.com", "save").await, 200, "and so is another caller");
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_carry_what_was_called_and_how_it_was_decided() {
    let (gateway, upstream) = start().await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    Call::tool("drop", &json!({})).token(&token).send(gateway.address).await;
    let spans = eventually("a span", || async {
        upstream.received().into_iter().find(|received| received.uri.path() == "/v1/traces")
    })
    .await;
    let text = String::from_utf8_lossy(&spans.body).into_owned();
    for expected in
        ["mcp.method.name", "tools/call", "gen_ai.tool.name", "drop", "airlock.reason", "policy_denied"]
    {
        assert!(text.contains(expected), "{expected}");
    }
}
