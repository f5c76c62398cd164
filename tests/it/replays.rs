//! Proofs of possession and the workers of one gateway.

use airlock_jose::issue::{SigningKey, access_token_hash};
use airlock_tests::{
    client::{Answer, Call},
    gateway::{Configuration, Gateway, Shape},
    tokens::{AUDIENCE, Issuer},
    upstream::Upstream,
};
use serde_json::json;

/// A client with a key and a token that is bound to it.
struct Client {
    key: SigningKey,
    token: String,
}

impl Client {
    fn new() -> Self {
        let key = SigningKey::from_seed([8; 32]).unwrap();
        let token = Issuer::default().bound("alice@example.com", "mcp:read", key.key_id());
        Self { key, token }
    }

    fn proof(&self, id: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        self.key.sign_proof(&json!({
            "jti": id, "htm": "POST", "htu": AUDIENCE, "iat": now, "ath": access_token_hash(&self.token),
        }))
    }

    fn call(&self, proof: &str) -> Call {
        Call::tool("echo", &json!({}))
            .header("authorization", format!("DPoP {}", self.token).as_bytes())
            .header("dpop", proof.as_bytes())
    }
}

/// The server as clients know it, behind a gateway that is reached under another name.
fn configuration() -> Configuration {
    let resource = json!([{ "resource": AUDIENCE, "hosts": ["127.0.0.1"] }]);
    let mut configuration = Configuration::default();
    configuration.0["identity"]["resources"] = resource;
    configuration
}

fn outcome(answer: &Answer) -> String {
    if answer.status == 200 { "200".to_owned() } else { format!("{} {}", answer.status, answer.reason()) }
}

async fn one_proof_at_two_workers_at_once_is_accepted_once(shape: Shape) {
    const PROOFS: usize = 50;
    const SENT_AT_ONCE: usize = 8;
    let (upstream, address) = Upstream::start().await;
    let gateway = Gateway::with_workers(2, shape, address, configuration()).await;
    let client = Client::new();
    for number in 0..PROOFS {
        let proof = client.proof(&format!("proof-{number}"));
        let at = gateway.address;
        let calls: Vec<_> = std::iter::repeat_with(|| tokio::spawn(client.call(&proof).send(at)))
            .take(SENT_AT_ONCE)
            .collect();
        let mut accepted = 0;
        for call in calls {
            match outcome(&call.await.unwrap()).as_str() {
                "200" => accepted += 1,
                other => assert_eq!(other, "401 proof_replayed"),
            }
        }
        assert_eq!(accepted, 1, "proof {number}");
    }
    assert_eq!(upstream.received().len(), PROOFS);
    for worker in 0..2 {
        let stat = format!("listener.127.0.0.1_0.worker_{worker}.downstream_cx_total");
        assert!(gateway.stat(&stat).await > 0, "worker {worker} took part");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_proof_at_two_workers_at_once_is_accepted_once_in_the_whole_chain() {
    one_proof_at_two_workers_at_once_is_accepted_once(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_proof_at_two_workers_at_once_is_accepted_once_in_a_chain_of_filters() {
    one_proof_at_two_workers_at_once_is_accepted_once(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_stays_spent_when_the_configuration_changes() {
    let (upstream, address) = Upstream::start().await;
    let mut gateway = Gateway::start(Shape::Whole, address, configuration()).await;
    let client = Client::new();
    let proof = client.proof("proof");
    assert_eq!(outcome(&client.call(&proof).send(gateway.address).await), "200");
    let denied = json!({ "token_ids": ["another"] });
    let changed = gateway.configuration().with("/identity/issuers/0/denied", denied);
    gateway.reconfigure(changed.with("/identity/dpop", json!({ "window_seconds": 600 })));
    airlock_tests::eventually("the new configuration", || async {
        let updated = gateway.stat("extension_config_discovery.http_filter.airlock.update_success").await;
        (updated >= 2).then_some(())
    })
    .await;
    assert_eq!(outcome(&client.call(&proof).send(gateway.address).await), "401 proof_replayed");
    assert_eq!(outcome(&client.call(&client.proof("next")).send(gateway.address).await), "200");
    assert_eq!(upstream.received().len(), 2);
}

/// A deny list reaches tokens that were verified before, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_denied_is_refused_from_then_on() {
    let (_upstream, address) = Upstream::start().await;
    let mut gateway = Gateway::start(Shape::Whole, address, Configuration::default()).await;
    let token = Issuer::default().token("mallory@example.com", "mcp:read");
    let call = || Call::tool("echo", &json!({})).token(&token).send(gateway.address);
    assert_eq!(outcome(&call().await), "200");
    let denied = json!({ "subjects": ["mallory@example.com"] });
    let changed = gateway.configuration().with("/identity/issuers/0/denied", denied);
    gateway.reconfigure(changed);
    let call = || Call::tool("echo", &json!({})).token(&token).send(gateway.address);
    airlock_tests::eventually("the deny list", || async {
        (outcome(&call().await) == "403 subject_denied").then_some(())
    })
    .await;
    let receipt =
        gateway.signer.receipt("the refusal", |record| record.decision.reason.as_str() == "subject_denied");
    assert_eq!(receipt.await.who.subject.unwrap().as_str(), "mallory@example.com");
}
