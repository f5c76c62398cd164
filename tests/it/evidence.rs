//! The signer dies and comes back.

use std::collections::BTreeSet;

use airlock_tests::{
    client::{Answer, Call},
    eventually,
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::json;

async fn nothing_acknowledged_is_lost_when_the_signer_is_killed(shape: Shape) {
    let (upstream, address) = Upstream::start().await;
    let mut gateway = Gateway::start(shape, address, Configuration::default()).await;
    let issuer = Issuer::default();
    let token = issuer.token("alice@example.com", "mcp:read mcp:write");
    let address = gateway.address;
    let call = |tool: &'static str| Call::tool(tool, &json!({})).token(&token).send(address);
    let served = |answer: &Answer| answer.status == 200 && answer.json()["result"].is_object();

    for _ in 0..20 {
        assert!(served(&call("echo").await) && served(&call("save").await));
    }
    eventually("receipts before the kill", || async { (gateway.signer.records().len() >= 10).then_some(()) })
        .await;
    let acknowledged: BTreeSet<String> =
        gateway.signer.records().iter().map(|record| record.id.to_string()).collect();
    gateway.signer.kill();

    let refused = eventually("writes to be refused", || async {
        let answer = call("save").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(refused.reason(), "evidence_unavailable");
    for _ in 0..10 {
        assert!(served(&call("echo").await), "reads go on");
    }
    assert!(gateway.log().contains("the signer does not take receipts"), "the gateway says so");
    let reached_server = upstream.called().len();

    gateway.signer.restart();
    eventually("writes to be served again", || async { served(&call("save").await).then_some(()) }).await;
    let complete = eventually("every receipt", || async {
        let records = gateway.signer.records();
        let allowed = records.iter().filter(|record| record.outcome.status == Some(200)).count();
        (allowed > reached_server).then_some(records)
    })
    .await;

    let ids: BTreeSet<String> = complete.iter().map(|record| record.id.to_string()).collect();
    assert_eq!(ids.len(), complete.len(), "no call has two receipts");
    assert!(ids.is_superset(&acknowledged), "what was acknowledged is there");
    assert!(complete.iter().any(|record| record.decision.reason.as_str() == "evidence_unavailable"));
    let report = gateway.signer.verify();
    assert!(report.is_valid(), "{:?}", report.problems);
    assert!(gateway.log().contains("the signer takes receipts again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_signer_is_killed_behind_the_whole_chain() {
    nothing_acknowledged_is_lost_when_the_signer_is_killed(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_signer_is_killed_behind_a_chain_of_filters() {
    nothing_acknowledged_is_lost_when_the_signer_is_killed(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_everything_until_it_is_delivered() {
    let (upstream, address) = Upstream::start().await;
    let configuration =
        Configuration::default().with("/receipts/queue", json!({ "records": 5, "retry_ms": 200 }));
    let mut gateway = Gateway::start(Shape::Whole, address, configuration).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    let address = gateway.address;
    let echo = || Call::tool("echo", &json!({})).token(&token).send(address);

    gateway.signer.kill();
    let refused = eventually("a full queue", || async {
        let answer = echo().await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(refused.reason(), "evidence_full");
    assert_eq!(upstream.received().len(), 5, "what cannot be recorded does not reach the server");

    gateway.signer.restart();
    eventually("an empty queue", || async { (echo().await.status == 200).then_some(()) }).await;
}
