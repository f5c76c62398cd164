//! Clients with certificates: what Envoy verifies and the filter decides on.

use airlock_jose::issue::SigningKey;
use airlock_tests::{
    client::{Answer, Call, Http},
    eventually,
    gateway::{Configuration, Gateway},
    tls::{Authority, ClientCertificate, Names, refusal},
    tokens::{AUDIENCE, ISSUER, Issuer},
    upstream::Upstream,
};
use serde_json::{Value, json};

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

/// A call with this token from a client with this certificate.
async fn call(
    gateway: &Gateway,
    authority: &Authority,
    certificate: Option<&ClientCertificate>,
    token: &str,
) -> Answer {
    let client = authority.client(certificate);
    Call::tool("echo", &json!({})).tls(&client).token(token).send(gateway.address).await
}

/// A token for the holder of a certificate (RFC 8705 section 3).
fn bound_to(certificate: &ClientCertificate) -> String {
    let key = SigningKey::from_seed([7; 32]).unwrap();
    key.sign(&json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice@example.com", "client_id": "test-client",
        "scope": "mcp:read", "exp": 4_000_000_000_u64, "cnf": { "x5t#S256": certificate.thumbprint() },
    }))
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.reason())
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

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_certificate_works_with_that_certificate_alone() {
    let authority = Authority::default();
    let (gateway, upstream) = start(Configuration::default(), &authority, false).await;
    // The same names, issued twice: what counts is the certificate.
    let (own, other) = (authority.issue(AGENT), authority.issue(AGENT));
    let token = bound_to(&own);
    for certificate in [Some(&other), None] {
        let answer = call(&gateway, &authority, certificate, &token).await;
        assert_eq!(told(&answer), (401, "token_certificate".to_owned()));
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
    }
    assert!(upstream.received().is_empty());

    // The second connection of a client takes up the session of the first, and shows no certificate again.
    let client = authority.client(Some(&own));
    for http in [Http::One, Http::One, Http::Two] {
        let call = Call::tool("echo", &json!({})).over(http).tls(&client).token(&token);
        let answer = call.send(gateway.address).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // A token that was good before is judged again.
    let answer = call(&gateway, &authority, Some(&other), &token).await;
    assert_eq!(told(&answer), (401, "token_certificate".to_owned()));
    gateway.signer.refusal("token_certificate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_can_have_to_be_bound_to_a_certificate() {
    let authority = Authority::default();
    let configuration = Configuration::default().with("/identity/issuers/0/mtls", json!("required"));
    let (gateway, _) = start(configuration, &authority, false).await;
    let own = authority.issue(AGENT);
    let unbound = Issuer::default().token("alice@example.com", "mcp:read");
    let answer = call(&gateway, &authority, Some(&own), &unbound).await;
    assert_eq!(told(&answer), (401, "token_unbound".to_owned()));
    assert_eq!(call(&gateway, &authority, Some(&own), &bound_to(&own)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_say_which_certificates_may_call() {
    let rules: [(Value, Names<'_>); 4] = [
        (
            json!({ "organizational_units": ["Agents", "Batch, nightly"] }),
            Names { organizational_unit: Some("Batch, nightly"), ..Names::default() },
        ),
        (
            json!({ "common_names": ["agent-*.agents.example.com"] }),
            Names { common_name: Some("agent-2.agents.example.com"), ..Names::default() },
        ),
        (
            json!({ "dns_names": ["*.agents.example.com"] }),
            Names { dns_names: &["agent-3.agents.example.com"], ..Names::default() },
        ),
        (
            json!({ "uris": ["spiffe://example.com/agent/*"] }),
            Names { uris: &["spiffe://example.com/agent/4"], ..Names::default() },
        ),
    ];
    let others = [
        Names::default(),
        Names { common_name: Some("x,OU=Agents"), organizational_unit: Some("Agents+"), ..Names::default() },
        Names { common_name: Some("agent-2.agents.example.com.evil.example"), ..Names::default() },
        // Of several names the first counts.
        Names { dns_names: &["www.example.com", "agent-3.agents.example.com"], ..Names::default() },
        Names { uris: &["spiffe://example.com/agent/4/admin"], ..Names::default() },
    ];
    let authority = Authority::default();
    let all: Vec<&Value> = rules.iter().map(|(rule, _)| rule).collect();
    let configuration = Configuration::default().with("/identity/client_certificates", json!(all));
    let (mut gateway, upstream) = start(configuration.clone(), &authority, false).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    for (rule, names) in &rules {
        let answer = call(&gateway, &authority, Some(&authority.issue(*names)), &token).await;
        assert_eq!(answer.status, 200, "{rule}: {}", answer.text());
    }
    for names in others {
        let answer = call(&gateway, &authority, Some(&authority.issue(names)), &token).await;
        assert_eq!(told(&answer), (403, "certificate_not_allowed".to_owned()), "{names:?}");
    }
    let answer = call(&gateway, &authority, None, &token).await;
    assert_eq!(told(&answer), (403, "certificate_missing".to_owned()));
    assert_eq!(upstream.called().len(), rules.len());

    // Rules change while the gateway runs.
    let known = authority.issue(AGENT);
    assert_eq!(call(&gateway, &authority, Some(&known), &token).await.status, 200);
    let closed = json!([{ "organizational_units": ["Nobody"] }]);
    gateway.reconfigure(configuration.with("/identity/client_certificates", closed));
    eventually("the new rules", async || {
        let answer = call(&gateway, &authority, Some(&known), &token).await;
        (told(&answer) == (403, "certificate_not_allowed".to_owned())).then_some(())
    })
    .await;
}
