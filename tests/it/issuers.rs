//! Several issuers side by side, each with an algorithm of its own.

use airlock_tests::{
    client::Call,
    gateway::{Configuration, Gateway, Shape},
    tokens::{AUDIENCE, foreign, issuer_of},
    upstream::Upstream,
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_every_algorithm_are_verified_against_their_own_issuer() {
    let made = ["ES256", "RS256", "EdDSA"].map(|algorithm| (algorithm, foreign(algorithm)));
    let issuers: Vec<Value> = made
        .iter()
        .map(|(algorithm, (jwk, _))| {
            json!({
                "issuer": issuer_of(algorithm), "audiences": [AUDIENCE], "algorithms": [algorithm],
                "jwks": { "keys": [jwk] },
            })
        })
        .collect();
    let (upstream, address) = Upstream::start().await;
    let configuration = Configuration::default().with("/identity/issuers", json!(issuers));
    let gateway = Gateway::start(Shape::Whole, address, configuration).await;
    for (algorithm, (_, token)) in &made {
        let call = |token: &str| Call::tool("echo", &json!({})).token(token).send(gateway.address);
        assert_eq!(call(token).await.status, 200, "{algorithm}");

        // The same claims under the signature of another key of the same kind.
        let (_, other) = foreign(algorithm);
        let claims = token.rsplit_once('.').unwrap().0;
        let forged = format!("{claims}.{}", other.rsplit_once('.').unwrap().1);
        let answer = call(&forged).await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, "token_signature"), "{algorithm}");
    }
    assert_eq!(upstream.received().len(), made.len());
    let record = gateway.signer.receipt("RS256", |record| {
        record.who.issuer.as_ref().is_some_and(|issuer| issuer.as_str() == issuer_of("RS256"))
    });
    assert_eq!(record.await.who.subject.unwrap().as_str(), "alice@example.com");
}
