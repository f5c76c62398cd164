//! A policy that is renamed into place takes effect; one that is broken changes nothing.

use airlock_tests::{
    client::Call,
    eventually,
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::json;

async fn policy_changes_without_a_restart(shape: Shape, filter: &str) {
    let (_upstream, address) = Upstream::start().await;
    let mut gateway = Gateway::start(shape, address, Configuration::default()).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    let echo = || Call::tool("echo", &json!({})).token(&token).send(gateway.address);
    assert!(echo().await.json()["result"].is_object());
    let rejected = format!("extension_config_discovery.http_filter.{filter}.update_rejected");
    assert_eq!(gateway.stat(&rejected).await, 0);

    let closed =
        json!({ "name": "closed", "effect": "deny", "tools": ["echo"], "reason": "closed for today" });
    let rules = gateway.configuration().0["policy"]["rules"].as_array().unwrap().clone();
    let with_closed = json!([rules.as_slice(), &[closed]].concat());
    let stricter = gateway.configuration().with("/policy/rules", with_closed);
    gateway.reconfigure(stricter.clone());
    let echo = || Call::tool("echo", &json!({})).token(&token).send(gateway.address);
    eventually("the stricter policy", || async {
        (echo().await.json()["error"]["message"] == "closed for today").then_some(())
    })
    .await;

    gateway.reconfigure(
        stricter.with("/policy/rules", json!([{ "name": "x", "effect": "alow", "tools": ["*"] }])),
    );
    eventually("the broken policy to be rejected", || async {
        (gateway.stat(&rejected).await == 1).then_some(())
    })
    .await;
    let answer = Call::tool("echo", &json!({})).token(&token).send(gateway.address).await;
    assert_eq!(answer.json()["error"]["message"], "closed for today", "the policy from before stays");
    assert!(gateway.log().contains("rules[0].effect"), "the log names the place: {}", gateway.log());

    let records = gateway
        .signer
        .receipt("the new policy", |record| record.decision.effect == airlock_receipt::Effect::Deny);
    let denied = records.await;
    let allowed = gateway.signer.records()[0].clone();
    assert_ne!(denied.decision.policy_digest, allowed.decision.policy_digest, "a receipt names its policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_changes_without_a_restart_in_the_whole_chain() {
    policy_changes_without_a_restart(Shape::Whole, "airlock").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_changes_without_a_restart_in_a_chain_of_filters() {
    policy_changes_without_a_restart(Shape::Chain, "tool-policy").await;
}
