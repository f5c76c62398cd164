//! The official SDK clients with the official test server: what policy allows is the same as without Airlock.

use std::{fs::read_to_string, net::SocketAddr};

use airlock_tests::{
    gateway::{Configuration, Gateway, Shape},
    repository,
    sdk::{Sdk, everything},
    tokens::Issuer,
};
use serde_json::{Value, json};

fn plan() -> Value {
    json!({ "steps": [
        { "list": "tools" },
        { "call": "echo", "arguments": { "message": "hello" } },
        { "call": "get-sum", "arguments": { "a": 2, "b": 40 } },
        { "call": "get-structured-content", "arguments": { "location": "Chicago" } },
        { "call": "get-tiny-image", "arguments": {} },
        { "call": "get-resource-links", "arguments": { "count": 2 } },
        { "list": "prompts" },
        { "list": "resources" },
    ]})
}

fn demo_policy() -> Configuration {
    let yaml = read_to_string(repository().join("policies/everything-demo.yaml")).unwrap();
    let policy: Value = serde_saphyr::from_str(&yaml).unwrap();
    Configuration::default().with("/policy", policy)
}

fn address_of(url: &str) -> SocketAddr {
    let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/mcp"));
    address.unwrap().parse().unwrap()
}

async fn clients_see_no_difference(shape: Shape) {
    let (_server, direct) = everything();
    let address = address_of(&direct);
    let plain = Gateway::start(Shape::Plain, address, Configuration::default()).await;
    let guarded = Gateway::start(shape, address, demo_policy()).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    for sdk in Sdk::ALL {
        let without = sdk.session(&direct, None, &plan()).await;
        assert_eq!(without["steps"].as_array().map(Vec::len), Some(8), "{sdk:?}: {without}");
        assert_eq!(sdk.session(&plain.url(), None, &plan()).await, without, "{sdk:?} through a plain Envoy");
        let through = sdk.session(&guarded.url(), Some(&token), &plan()).await;
        assert_eq!(through, without, "{sdk:?} through Airlock");
    }
    assert!(guarded.signer.verify().is_valid());
}

async fn clients_understand_refusals(shape: Shape) {
    let (_server, direct) = everything();
    let address = address_of(&direct);
    let gateway = Gateway::start(shape, address, demo_policy()).await;
    let issuer = Issuer::default();
    let token = issuer.token("alice@example.com", "mcp:read");
    let plan = json!({ "steps": [
        { "call": "gzip-file-as-resource", "arguments": {} },
        { "call": "get-env", "arguments": {} },
    ]});
    for sdk in Sdk::ALL {
        let outcome = sdk.session(&gateway.url(), Some(&token), &plan).await;
        let refused = &outcome["steps"][0]["error"];
        assert_eq!(refused["code"], -31403, "{sdk:?}: {outcome}");
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("this tool fetches any address"), "{sdk:?}: {message}");
        let text = outcome["steps"][1]["ok"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("Jane Roe, [EMAIL], [CARD]"), "{sdk:?}: {text}");

        let outcome = sdk.session(&gateway.url(), Some(&issuer.forged()), &plan).await;
        assert_eq!(outcome["error"]["status"], 401, "{sdk:?}: {outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_no_difference_through_the_whole_chain() {
    clients_see_no_difference(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_no_difference_through_a_chain_of_filters() {
    clients_see_no_difference(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_understand_refusals_of_the_whole_chain() {
    clients_understand_refusals(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_understand_refusals_of_a_chain_of_filters() {
    clients_understand_refusals(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_in_the_readme_are_answered_as_it_says() {
    let (_server, direct) = everything();
    let address = address_of(&direct);
    let gateway = Gateway::start(Shape::Whole, address, demo_policy()).await;
    let readme = read_to_string(repository().join("README.md")).unwrap();
    let blocks = readme.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<Value> = blocks.map(|block| serde_json::from_str(block).unwrap()).collect();
    let [plan, steps] = blocks.as_slice() else { panic!("a plan and what comes of it") };
    let token = Issuer::default().token("developer@example.com", "mcp:read");
    let outcome = Sdk::TypeScriptTwo.session(&gateway.url(), Some(&token), plan).await;
    assert_eq!(outcome["steps"], *steps);
}
