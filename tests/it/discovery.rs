//! Official clients that are new to a server find out where to sign in, do so, and get through.

use airlock_tests::{
    client::Call,
    gateway::Shape,
    process::Process,
    provider::{Client, Provider, Resource},
    repository,
    sdk::{Sdk, everything},
    site::Plan,
    suites::free_port,
    upstream::Upstream,
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

/// The same through the gateway in front of a server that protects nothing. Nothing of it is configured at the client.
async fn clients_sign_in_through_the_gateway(shape: Shape) {
    let (_server, url) = everything();
    let upstream = url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().parse().unwrap();
    let site = Plan::new().await.open(shape, upstream).await;
    for sdk in Sdk::ALL {
        let outcome = sdk.sign_in(&site.resource, "alice", None, &plan()).await;
        came_through(sdk, &outcome);
        assert_eq!(outcome["steps"][0]["ok"]["content"][0]["text"], "Echo: hello", "{sdk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_sign_in_through_the_whole_chain() {
    clients_sign_in_through_the_gateway(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_sign_in_through_a_chain_of_filters() {
    clients_sign_in_through_the_gateway(Shape::Chain).await;
}

/// An official client binds its token to a key, and gives the gateway the nonce that it asks for.
#[tokio::test(flavor = "multi_thread")]
async fn an_official_client_signs_in_with_a_bound_token_and_nonces() {
    let (_server, url) = everything();
    let upstream = url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().parse().unwrap();
    let plan_of_site =
        Plan::new().await.asking_for_nonces().with("/identity/issuers/0/dpop", json!("required"));
    let site = plan_of_site.open(Shape::Whole, upstream).await;
    site.provider.require_nonces(true).await;
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let outcome = Sdk::TypeScriptTwo.sign_in(&site.resource, "alice", Some(algorithm), &plan()).await;
        assert_eq!(outcome["steps"][0]["ok"]["content"][0]["text"], "Echo: hello", "{algorithm}: {outcome}");
        assert_eq!(outcome["token"]["type"], "DPoP", "{algorithm}");
        let requests = outcome["requests"].as_array().unwrap();
        let refused = requests.iter().filter(|request| *request == "POST server/mcp 401").count();
        assert_eq!(refused, 2, "once for a token, once for a nonce: {requests:?}");
    }
}

/// A client whose token lacks a scope is told which, asks for it, and keeps those that it had.
#[tokio::test(flavor = "multi_thread")]
async fn clients_ask_for_the_scope_that_they_lack() {
    let (_server, url) = everything();
    let upstream = url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().parse().unwrap();
    let site = Plan::new()
        .await
        .with("/policy/rules/1/tools", json!(["get-sum"]))
        .open(Shape::Whole, upstream)
        .await;
    let plan = json!({ "steps": [
        { "call": "echo", "arguments": { "message": "before" } },
        { "call": "get-sum", "arguments": { "a": 1, "b": 2 } },
        { "call": "echo", "arguments": { "message": "after" } },
    ] });
    for sdk in Sdk::ALL {
        let outcome = sdk.sign_in(&site.resource, "alice", None, &plan).await;
        for step in outcome["steps"].as_array().unwrap() {
            assert!(step["ok"].is_object(), "{sdk:?}: {outcome}");
        }
        assert_eq!(outcome["token"]["scope"], "mcp:read mcp:write", "{sdk:?}");
        let requests = outcome["requests"].as_array().unwrap();
        let refused = requests.iter().filter(|request| *request == "POST server/mcp 403").count();
        assert_eq!(refused, 1, "{sdk:?}: {requests:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_can_read_the_metadata_and_nothing_else() {
    let (upstream, address) = Upstream::start().await;
    let site = Plan::new().await.open(Shape::Whole, address).await;
    let get = |path: &'static str| Call::post("").method("GET").path(path).send(site.gateway.address);
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        let answer = get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let metadata = answer.json();
        assert_eq!(metadata["resource"], site.resource);
        assert_eq!(metadata["authorization_servers"], json!([site.provider.issuer()]));
        assert_eq!(metadata["scopes_supported"], json!(["mcp:read"]));
        assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
    }
    for path in ["/.well-known/oauth-protected-resource/other", "/.well-known/oauth-authorization-server"] {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
    let answer = Call::tool("echo", &json!({})).send(site.gateway.address).await;
    let challenge = answer.headers["www-authenticate"].to_str().unwrap().to_owned();
    let metadata = site.resource.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");
    assert_eq!(challenge, format!("Bearer resource_metadata=\"{metadata}\", scope=\"mcp:read\""));
    assert!(upstream.received().is_empty());
}
