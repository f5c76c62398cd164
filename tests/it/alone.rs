//! Each filter alone does its part and leaves the rest alone.

use airlock_receipt::{Digester, Effect};
use airlock_tests::{
    client::{Answer, Call, tool_call},
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::json;

async fn alone(root: &'static str) -> (Gateway, Upstream) {
    let (upstream, address) = Upstream::start().await;
    (Gateway::start(Shape::Alone(root), address, Configuration::default()).await, upstream)
}

fn untouched(answer: &Answer) -> bool {
    answer.text().contains("jane.roe@example.com")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parser_refuses_what_is_malformed() {
    let (gateway, upstream) = alone("mcp-parser").await;
    let answer =
        Call::post(r#"{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}"#).send(gateway.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (400, "json_duplicate_key"));
    assert!(upstream.received().is_empty());
    assert!(untouched(&Call::tool("drop", &json!({})).send(gateway.address).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_validator_refuses_who_has_no_token() {
    let (gateway, upstream) = alone("token-validator").await;
    assert_eq!(Call::tool("drop", &json!({})).send(gateway.address).await.reason(), "token_missing");
    assert!(upstream.received().is_empty());
    let token = Issuer::default().token("alice@example.com", "");
    assert!(untouched(&Call::tool("drop", &json!({})).token(&token).send(gateway.address).await));
    assert!(!upstream.received()[0].headers.contains_key("authorization"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_refuses_what_it_does_not_allow() {
    let (gateway, upstream) = alone("tool-policy").await;
    assert_eq!(Call::tool("drop", &json!({})).send(gateway.address).await.reason(), "policy_denied");
    let nobody = Call::tool("echo", &json!({})).token("anything").send(gateway.address).await;
    assert_eq!(nobody.reason(), "policy_scope", "without a validator no token is believed");
    assert!(upstream.received().is_empty());
    let malformed = Call::post("{").send(gateway.address).await;
    assert_eq!((malformed.status, malformed.reason().as_str()), (400, "json_syntax"), "fails closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redactor_cleans() {
    let (gateway, upstream) = alone("pii-redactor").await;
    let answer = Call::tool("drop", &json!({ "to": "bob@example.com" })).send(gateway.address).await;
    assert!(answer.text().contains("write to [EMAIL], card [CARD]"), "{}", answer.text());
    assert!(String::from_utf8_lossy(&upstream.received()[0].body).contains(r#"{"to":"[EMAIL]"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_emitter_records() {
    let (gateway, _upstream) = alone("receipt-emitter").await;
    let arguments = json!({ "n": 1 });
    let answer = Call::tool("drop", &arguments).cut(5).send(gateway.address).await;
    assert!(untouched(&answer));
    let record = gateway.signer.receipt("the call", |record| record.decision.effect == Effect::Allow).await;
    let digest = |bytes: &[u8]| {
        let mut digester = Digester::sha256();
        digester.update(bytes);
        Some(digester.finish())
    };
    assert_eq!(record.request_digest, digest(tool_call("drop", &arguments).as_bytes()));
    assert_eq!(record.response_digest, digest(&answer.body));
}
