//! Official clients that are new to a server find out where to sign in, do so, and get through.

use airlock_tests::{
    process::Process,
    provider::{Client, Provider, Resource},
    repository,
    sdk::Sdk,
    suites::free_port,
};
use serde_json::{Value, json};

const SCOPE: &str = "mcp:read";

/// What a client asks of the server and of the provider from the first refusal to the first success.
const DISCOVERY: [&str; 6] = [
    "POST server/mcp 401",
    "GET server/.well-known/oauth-protected-resource/mcp 200",
    "GET provider/.well-known/oauth-authorization-server 200",
    "POST provider/reg 201",
    "POST provider/token 200",
    "POST server/mcp",
];

fn plan() -> Value {
    json!({ "steps": [{ "call": "echo", "arguments": { "message": "hello" } }] })
}

/// Fails unless the client came through as everybody does.
fn came_through(sdk: Sdk, outcome: &Value) {
    assert!(outcome["steps"][0]["ok"].is_object(), "{sdk:?}: {outcome}");
    let requests: Vec<&str> =
        outcome["requests"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (request, expected) in requests.iter().zip(DISCOVERY) {
        assert!(request.starts_with(expected), "{sdk:?}: {requests:?}");
    }
    // Only the probe for a newer protocol may be refused after that, and not for want of a token.
    let refused = requests.iter().skip(1).filter(|request| request.ends_with(" 401")).count();
    assert_eq!(refused, 0, "{sdk:?}: {requests:?}");
    assert_eq!(outcome["token"]["scope"], SCOPE, "{sdk:?}");
}

/// A server of the TypeScript SDK that protects itself is what the gateway is measured by.
#[tokio::test(flavor = "multi_thread")]
async fn clients_sign_in_to_a_server_that_protects_itself() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let provider = Provider::start(&[Resource::new(&url, &[SCOPE])]).await;
    let server = Process::start(
        std::process::Command::new("node").arg(repository().join("tests/servers/protected.mjs")).args([
            &port.to_string(),
            &provider.issuer(),
            SCOPE,
        ]),
    );
    server.line(|line| line.strip_prefix("listening on ").map(drop));
    for sdk in Sdk::ALL {
        let outcome = sdk.sign_in(&url, "alice", None, &plan()).await;
        came_through(sdk, &outcome);
        assert_eq!(outcome["steps"][0]["ok"]["content"][0]["text"], "alice: hello", "{sdk:?}");
    }
}

/// What the other tests rely on: the provider and its client speak every flow, bind tokens to keys, and ask for nonces.
#[tokio::test(flavor = "multi_thread")]
async fn the_provider_issues_tokens_in_every_flow() {
    let resource = "http://127.0.0.1:9/mcp";
    let mut provider = Provider::start(&[Resource::new(resource, &[SCOPE])]).await;
    let client = Client::start(&provider);
    assert_eq!(client.credentials(resource, SCOPE, None).await.kind, "Bearer");
    assert_eq!(client.code(resource, SCOPE, "bob", Some("Ed25519")).await.kind, "DPoP");
    provider.require_nonces(true).await;
    let grant = client.device(resource, SCOPE, "alice", Some("ES256")).await;
    assert_eq!(grant.kind, "DPoP");
    assert_eq!(
        grant.steps.first_chunk(),
        Some(&[
            "GET /.well-known/oauth-authorization-server 200".to_owned(),
            "POST /reg 201".to_owned(),
            "POST /device/auth 200".to_owned(),
            "POST /token 400".to_owned(),
        ])
    );
    assert_eq!(grant.steps.last().unwrap(), "POST /token 200");
    provider.stop();
    provider.start_again().await;
    provider.rotate().await;
    assert_eq!(provider.requested("/jwks").await, 0);
    let rsa = Resource { algorithm: "RS256", shape: "okta", ..Resource::new(resource, &[SCOPE]) };
    provider.protect(&[rsa]).await;
    assert_eq!(client.device(resource, SCOPE, "alice", Some("RS256")).await.kind, "DPoP");
}
