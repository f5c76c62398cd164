//! Tokens as two large providers make them, with the few lines of configuration that they take.

use airlock_tests::{
    gateway::Shape,
    provider::Resource,
    site::{Plan, Site},
    upstream::Upstream,
};
use serde_json::{Value, json};

const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// A gateway whose one issuer makes tokens of `shape` for `audience`.
async fn site(
    shape: &'static str,
    audience: &str,
    issuer: impl FnOnce(&str) -> Value,
    upstream: std::net::SocketAddr,
) -> Site {
    let mut plan = Plan::new().await;
    let resource = Resource { shape, algorithm: "RS256", ..Resource::new(audience, &["mcp:read"]) };
    plan.provider.protect(&[resource]).await;
    let origin = plan.provider.issuer();
    plan.with("/identity/issuers", json!([issuer(&origin)]))
        .with("/identity/resources/0/audiences", json!([audience]))
        .with("/identity/resources/0/authorization_servers", json!([origin]))
        .open(Shape::Whole, upstream)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_entra_are_read_by_its_profile() {
    let audience = "api://airlock";
    let (upstream, address) = Upstream::start().await;
    let entra = |origin: &str| {
        json!({
            "profile": "entra", "issuer": format!("{origin}/{{tenant}}/v2.0"), "tenants": [TENANT],
            "cluster": "provider", "jwks_uri": format!("{origin}/common/discovery/v2.0/keys"),
        })
    };
    let site = site("entra", audience, entra, address).await;
    let user = site.client.code(audience, "mcp:read", "alice", None).await;
    let answer = site.call(&user, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let receipt = site.gateway.signer.receipt("alice", |record| record.who.subject.is_some()).await;
    assert_eq!(receipt.who.issuer.unwrap().as_str(), format!("{}/{TENANT}/v2.0", site.provider.issuer()));

    // A program has roles and no scopes: policy decides, not the validator.
    let program = site.client.credentials(audience, "mcp:read", None).await;
    let answer = site.call(&program, None).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "policy_scope"), "{}", answer.text());

    // Groups that are elsewhere are not fetched, and not taken for none.
    let overage = site.client.code(audience, "mcp:read", "overage", None).await;
    let answer = site.call(&overage, None).await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "token_claims"), "{}", answer.text());
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_tenant_are_refused() {
    let audience = "api://airlock";
    let (upstream, address) = Upstream::start().await;
    let entra = |origin: &str| {
        json!({
            "profile": "entra", "issuer": format!("{origin}/{{tenant}}/v2.0"), "tenants": ["another"],
            "cluster": "provider", "jwks_uri": format!("{origin}/common/discovery/v2.0/keys"),
        })
    };
    let site = site("entra", audience, entra, address).await;
    let user = site.client.code(audience, "mcp:read", "alice", None).await;
    let answer = site.call(&user, None).await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "token_issuer"), "{}", answer.text());
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_okta_are_read_by_its_profile() {
    let audience = "api://airlock";
    let (upstream, address) = Upstream::start().await;
    let okta = |origin: &str| {
        json!({
            "profile": "okta", "issuer": format!("{origin}/oauth2/default"), "cluster": "provider",
            "allowed_groups": ["engineering"],
        })
    };
    let site = site("okta", audience, okta, address).await;
    let alice = site.client.device(audience, "mcp:read", "alice", None).await;
    let answer = site.call(&alice, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bob = site.client.device(audience, "mcp:read", "bob", None).await;
    let answer = site.call(&bob, None).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "group_required"), "{}", answer.text());
    assert_eq!(upstream.received().len(), 1);
}
