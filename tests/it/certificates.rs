//! Clients with certificates: what Envoy verifies and the filter decides on.

use airlock_tests::{
    client::{Call, Http},
    gateway::{Configuration, Gateway},
    tls::{Authority, Names, refusal},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::json;

/// Names of a client that the rules of these tests let in.
const AGENT: Names<'_> = Names {
    common_name: Some("agent-1.agents.example.com"),
    organizational_unit: Some("Agents"),
    dns_names: &["agent-1.agents.example.com"],
    uris: &["spiffe://example.com/agent/1"],
};

async fn start(configuration: Configuration, authority: &Authority, required: bool) -> (Gateway, Upstream) {
    let (upstream, address) = Upstream::start().await;
    (Gateway::mutual(address, configuration, authority, required).await, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_lets_nobody_in_without_a_certificate_of_its_authority() {
    let (authority, stranger) = (Authority::default(), Authority::default());
    let (gateway, upstream) = start(Configuration::default(), &authority, true).await;
    let known = authority.issue(AGENT);
    let unknown = stranger.issue(AGENT);
    // The other authority has the same name, and another key.
    for (certificate, alert) in [(None, "CertificateRequired"), (Some(&unknown), "DecryptError")] {
        let refused = refusal(gateway.address, authority.client(certificate)).await;
        assert!(refused.contains(alert), "{refused}");
    }
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    for http in [Http::One, Http::Two] {
        let call = Call::tool("echo", &json!({})).over(http).tls(&authority.client(Some(&known)));
        assert_eq!(call.token(&token).send(gateway.address).await.status, 200);
    }
    assert_eq!(upstream.called(), ["echo", "echo"]);
}
