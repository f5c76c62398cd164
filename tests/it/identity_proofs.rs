//! Tokens that are bound to a key (RFC 9449), from registration to the call, with a client and proofs that are not ours.

use airlock_tests::{
    client::{Answer, Call},
    gateway::Shape,
    site::Plan,
    upstream::Upstream,
};
use serde_json::json;

/// The challenges of an answer, in order.
fn challenges(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all("www-authenticate");
    lines.iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

/// Registers, lets alice sign in on another device, and calls with a proof of each algorithm.
async fn a_token_of_the_device_flow_works_with_the_key_that_it_is_bound_to(shape: Shape) {
    let (upstream, address) = Upstream::start().await;
    let site = Plan::new().await.open(shape, address).await;
    site.provider.require_nonces(true).await;
    for algorithm in ["ES256", "Ed25519", "RS256"] {
        let grant = site.client.device(&site.resource, "mcp:read", "alice", Some(algorithm)).await;
        assert_eq!(grant.kind, "DPoP");
        let proof = site.proof(&grant, None).await;
        assert_eq!(site.call(&grant, Some(&proof)).await.status, 200, "{algorithm}");

        let again = site.call(&grant, Some(&proof)).await;
        assert_eq!((again.status, again.reason().as_str()), (401, "proof_replayed"), "{algorithm}");
        let next = site.proof(&grant, None).await;
        assert_eq!(site.call(&grant, Some(&next)).await.status, 200, "{algorithm}");
    }
    let received = upstream.received();
    assert_eq!(received.len(), 6);
    assert!(
        received
            .iter()
            .all(|request| ["authorization", "dpop"].iter().all(|name| !request.headers.contains_key(*name)))
    );
    let receipt = site.gateway.signer.receipt("alice", |record| record.who.subject.is_some()).await;
    assert_eq!(receipt.who.subject.unwrap().as_str(), "alice");
    assert_eq!(receipt.who.issuer.unwrap().as_str(), site.provider.issuer());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_device_flow_works_with_the_key_that_it_is_bound_to_in_the_whole_chain() {
    a_token_of_the_device_flow_works_with_the_key_that_it_is_bound_to(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_device_flow_works_with_the_key_that_it_is_bound_to_in_a_chain_of_filters() {
    a_token_of_the_device_flow_works_with_the_key_that_it_is_bound_to(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_token_is_worth_nothing_without_its_key() {
    let (upstream, address) = Upstream::start().await;
    let site = Plan::new().await.open(Shape::Whole, address).await;
    let [stolen, own] =
        ["alice", "mallory"].map(|login| site.client.code(&site.resource, "mcp:read", login, Some("ES256")));
    let (stolen, own) = (stolen.await, own.await);
    let unbound = site.client.credentials(&site.resource, "mcp:read", None).await;
    let client = &site.client;
    let with_own_key = {
        // A proof under the thief's key for the stolen token.
        client.proof(&own.but(stolen.token.clone()), "POST", &site.resource, None).await
    };
    let call = || Call::tool("echo", &json!({}));
    let bearer = |call: Call, token: &str| call.token(token);
    let elsewhere = format!("{}/other", site.resource);
    let cases = [
        ("proof_missing", bearer(call(), &stolen.token)),
        ("proof_missing", stolen.on(call(), None)),
        ("proof_binding", stolen.on(call(), Some(&with_own_key))),
        ("proof_token", stolen.on(call(), Some(&client.proof(&own, "POST", &site.resource, None).await))),
        ("proof_method", own.on(call(), Some(&client.proof(&own, "GET", &site.resource, None).await))),
        ("proof_uri", own.on(call(), Some(&client.proof(&own, "POST", &elsewhere, None).await))),
        ("proof_malformed", own.on(call(), Some("abc"))),
        ("proof_repeated", own.on(call(), Some(&site.proof(&own, None).await)).header("dpop", b"abc")),
        ("token_unbound", {
            let proof = client.proof(&own, "POST", &site.resource, None).await;
            call()
                .header("authorization", format!("DPoP {}", unbound.token).as_bytes())
                .header("dpop", proof.as_bytes())
        }),
    ];
    for (reason, call) in cases {
        let answer = call.send(site.gateway.address).await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, reason));
        let challenges = challenges(&answer);
        assert!(challenges[0].starts_with("Bearer resource_metadata="), "{challenges:?}");
        assert!(
            challenges[1].starts_with("DPoP ") && challenges[1].contains("algs=\"ES256"),
            "{challenges:?}"
        );
    }
    assert!(upstream.received().is_empty());
    assert_eq!(site.call(&own, Some(&site.proof(&own, None).await)).await.status, 200);
}

/// The gateway asks for a nonce, takes what it gave, and asks for nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_needs_the_nonce_that_the_gateway_asks_for() {
    let (upstream, address) = Upstream::start().await;
    let site = Plan::new().await.asking_for_nonces().open(Shape::Whole, address).await;
    let grant = site.client.device(&site.resource, "mcp:read", "alice", Some("ES256")).await;
    let refused = site.call(&grant, Some(&site.proof(&grant, None).await)).await;
    assert_eq!((refused.status, refused.reason().as_str()), (401, "proof_nonce"));
    assert!(
        challenges(&refused)
            .iter()
            .any(|line| line.starts_with("DPoP ") && line.contains("error=\"use_dpop_nonce\""))
    );
    let nonce = refused.headers["dpop-nonce"].to_str().unwrap().to_owned();

    assert_eq!(site.call(&grant, Some(&site.proof(&grant, Some(&nonce)).await)).await.status, 200);
    assert_eq!(
        site.call(&grant, Some(&site.proof(&grant, Some(&nonce)).await)).await.status,
        200,
        "it is good for more than one"
    );
    let invented = site.call(&grant, Some(&site.proof(&grant, Some("invented")).await)).await;
    assert_eq!((invented.status, invented.reason().as_str()), (401, "proof_nonce"));
    assert_eq!(upstream.received().len(), 2);
}

/// An unbound token is refused where tokens must be bound, and says how they are to be.
#[tokio::test(flavor = "multi_thread")]
async fn unbound_tokens_are_refused_where_they_must_be_bound() {
    for (requirement, scope, status) in [
        (json!("required"), "mcp:read", 401),
        (json!("optional"), "mcp:read", 200),
        (json!({ "scopes": ["mcp:write"] }), "mcp:read", 200),
        (json!({ "scopes": ["mcp:write"] }), "mcp:read mcp:write", 401),
    ] {
        let (_upstream, address) = Upstream::start().await;
        let site = Plan::new()
            .await
            .with("/identity/issuers/0/dpop", requirement.clone())
            .open(Shape::Whole, address)
            .await;
        let unbound = site.client.credentials(&site.resource, scope, None).await;
        let answer = site.call(&unbound, None).await;
        assert_eq!(answer.status, status, "{requirement}: {}", answer.text());
        let bound = site.client.credentials(&site.resource, scope, Some("ES256")).await;
        assert_eq!(
            site.call(&bound, Some(&site.proof(&bound, None).await)).await.status,
            200,
            "{requirement}"
        );
    }
}

/// The token of one resource is none for another, although the issuer is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_resource_is_refused() {
    let (upstream, address) = Upstream::start().await;
    let mut plan = Plan::new().await;
    let other = "https://other.example.com/mcp";
    plan.provider.protect(&[airlock_tests::provider::Resource::new(other, &["mcp:read"])]).await;
    let site = plan.open(Shape::Whole, address).await;
    let grant = site.client.credentials(other, "mcp:read", None).await;
    let answer = site.call(&grant, None).await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "token_audience"));
    assert!(upstream.received().is_empty());
}
