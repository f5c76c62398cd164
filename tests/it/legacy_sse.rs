//! The transport of 2024-11-05, HTTP with SSE: a GET opens a stream, whose `endpoint` event says where to POST, and
//! answers come in the stream.

use std::{fs::read_to_string, net::SocketAddr};

use airlock_receipt::Effect;
use airlock_tests::{
    gateway::{Configuration, Gateway, Shape},
    repository,
    sdk::{Sdk, everything_over},
    tokens::Issuer,
};
use serde_json::{Value, json};

fn plan() -> Value {
    json!({ "steps": [
        { "list": "tools" },
        { "call": "echo", "arguments": { "message": "hello" } },
        { "call": "get-sum", "arguments": { "a": 2, "b": 40 } },
        { "call": "get-structured-content", "arguments": { "location": "Chicago" } },
        { "list": "prompts" },
        { "list": "resources" },
    ]})
}

/// The policy of the demonstration, for both addresses of the server.
fn both_addresses() -> Configuration {
    let yaml = read_to_string(repository().join("policies/everything-demo.yaml")).unwrap();
    let mut policy: Value = serde_saphyr::from_str(&yaml).unwrap();
    let at = |name: &str, path: &str| {
        let mut server = policy["servers"][0].clone();
        server["name"] = json!(name);
        server["path"] = json!(path);
        server
    };
    policy["servers"] = json!([at("everything", "/sse"), at("everything-messages", "/message")]);
    for rule in policy["rules"].as_array_mut().unwrap() {
        rule["servers"] = json!(["everything", "everything-messages"]);
    }
    Configuration::default().with("/policy", policy)
}

fn address_of(url: &str) -> SocketAddr {
    url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/sse")).unwrap().parse().unwrap()
}

fn url_of(gateway: &Gateway) -> String {
    format!("http://{}/sse", gateway.address)
}

async fn clients_see_no_difference(shape: Shape) {
    let (_server, direct) = everything_over("sse");
    let address = address_of(&direct);
    let plain = Gateway::start(Shape::Plain, address, Configuration::default()).await;
    let guarded = Gateway::start(shape, address, both_addresses()).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");

    let without = Sdk::TypeScriptSse.session(&direct, None, &plan()).await;
    assert_eq!(without["steps"].as_array().map(Vec::len), Some(6), "{without}");
    let through_envoy = Sdk::TypeScriptSse.session(&url_of(&plain), None, &plan()).await;
    assert_eq!(through_envoy, without, "through a plain Envoy");
    let through = Sdk::TypeScriptSse.session(&url_of(&guarded), Some(&token), &plan()).await;
    assert_eq!(through, without, "through Airlock: {}", guarded.log());
    guarded.signer.receipt("a call", |record| record.what.name.is_some()).await;
    assert!(guarded.signer.verify().is_valid());
}

async fn answers_are_clean_and_refusals_understood(shape: Shape) {
    let (_server, direct) = everything_over("sse");
    let gateway = Gateway::start(shape, address_of(&direct), both_addresses()).await;
    let issuer = Issuer::default();
    let token = issuer.token("alice@example.com", "mcp:read");
    let plan = json!({ "steps": [
        { "call": "get-env", "arguments": {} },
        { "call": "gzip-file-as-resource", "arguments": {} },
        { "call": "echo", "arguments": { "message": "still there" } },
    ]});
    let outcome = Sdk::TypeScriptSse.session(&url_of(&gateway), Some(&token), &plan).await;
    let environment = outcome["steps"][0]["ok"]["content"][0]["text"].as_str();
    assert!(environment.is_some_and(|text| text.contains("Jane Roe, [EMAIL], [CARD]")), "{outcome}");
    // The client reads no answer to a POST that succeeds, so that an error has to have an error's status.
    let refused = &outcome["steps"][1]["error"];
    assert_eq!((&refused["code"], &refused["status"]), (&json!(-31403), &json!(403)), "{outcome}");
    assert!(refused["message"].as_str().unwrap().contains("this tool fetches any address"), "{outcome}");
    assert_eq!(outcome["steps"][2]["ok"]["content"][0]["text"], "Echo: still there", "{outcome}");
    let record = gateway.signer.refusal("policy_denied").await;
    assert_eq!(record.decision.effect, Effect::Deny);

    let outcome = Sdk::TypeScriptSse.session(&url_of(&gateway), Some(&issuer.forged()), &plan).await;
    assert!(outcome["error"]["message"].as_str().unwrap().contains("401"), "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_2024_see_no_difference_through_the_whole_chain() {
    clients_see_no_difference(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_2024_see_no_difference_through_a_chain_of_filters() {
    clients_see_no_difference(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_2024_get_clean_answers_and_understand_refusals_of_the_whole_chain() {
    answers_are_clean_and_refusals_understood(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_2024_get_clean_answers_and_understand_refusals_of_a_chain_of_filters() {
    answers_are_clean_and_refusals_understood(Shape::Chain).await;
}
