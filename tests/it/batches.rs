//! Batches, which protocol version 2025-03-26 allows: every message is judged, cleaned and recorded for itself.

use airlock_receipt::Effect;
use airlock_tests::{
    client::{Call, Http},
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::{Value, json};

fn call(id: &Value, tool: &str) -> Value {
    let arguments = json!({ "message": "to jane.roe@example.com" });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
}

async fn each_message_is_judged_cleaned_and_recorded(shape: Shape) {
    let (upstream, address) = Upstream::start().await;
    let gateway = Gateway::start(shape, address, Configuration::default()).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    let notice = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let send = async |messages: Value, http| {
        let call = Call::post(messages.to_string()).token(&token).over(http).cut(11);
        call.header("mcp-protocol-version", b"2025-03-26").send(gateway.address).await
    };

    for http in [Http::One, Http::Two] {
        let answer = send(json!([call(&json!(1), "echo"), notice, call(&json!("b"), "page")]), http).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let told: Vec<Value> = answer.json().as_array().unwrap().clone();
        assert_eq!(
            told.iter().map(|answer| answer["id"].clone()).collect::<Vec<_>>(),
            [json!(1), json!("b")]
        );
        assert!(
            answer.text().contains("from [EMAIL]") && !answer.text().contains("jane"),
            "{}",
            answer.text()
        );
    }
    let received = upstream.received();
    assert_eq!(received.len(), 2);
    for request in received {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body[0]["params"]["arguments"]["message"], "to [EMAIL]");
        assert_eq!(body[2]["params"]["arguments"]["message"], "to [EMAIL]");
        assert_eq!(body[1], notice);
    }
    for (name, tool) in [("the first call", "echo"), ("the last call", "page")] {
        let record = gateway
            .signer
            .receipt(name, |record| record.what.name.as_ref().is_some_and(|is| is.as_str() == tool))
            .await;
        assert_eq!((record.decision.effect, record.findings.len()), (Effect::Allow, 1), "{name}");
    }

    let refused = send(json!([call(&json!(1), "echo"), call(&json!(2), "drop")]), Http::One).await;
    let told = refused.json();
    for (index, id) in [1, 2].into_iter().enumerate() {
        assert_eq!(
            (&told[index]["id"], &told[index]["error"]["data"]["reason"]),
            (&json!(id), &json!("policy_denied"))
        );
    }
    assert_eq!(upstream.received().len(), 2, "no part of it has reached the server");
    gateway.signer.refusal("policy_denied").await;
    let opening = json!({ "jsonrpc": "2.0", "id": 3, "method": "initialize", "params": { "protocolVersion": "2025-03-26" } });
    assert_eq!(send(json!([opening]), Http::One).await.status, 400);
    gateway.signer.refusal("rpc_batch").await;
    assert!(gateway.signer.verify().is_valid());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_judged_cleaned_and_recorded_by_the_whole_chain() {
    each_message_is_judged_cleaned_and_recorded(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_judged_cleaned_and_recorded_by_a_chain_of_filters() {
    each_message_is_judged_cleaned_and_recorded(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_judged_cleaned_and_recorded_by_filters_in_separate_vms() {
    each_message_is_judged_cleaned_and_recorded(Shape::SeparateVms).await;
}
