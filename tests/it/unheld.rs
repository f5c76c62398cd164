//! Where the proxy cannot hold headers, the body of a refused call still stays here.

use airlock_tests::{
    client::{Call, Http},
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::json;

async fn what_is_refused_has_no_body_upstream(shape: Shape) {
    let (upstream, address) = Upstream::start().await;
    let gateway = Gateway::start(shape, address, Configuration::default()).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");

    for http in [Http::One, Http::Two] {
        let arguments = json!({ "to": "bob@example.com" });
        let answer =
            Call::tool("echo", &arguments).token(&token).over(http).cut(11).send(gateway.address).await;
        assert_eq!(answer.json()["result"]["content"][0]["text"], "write to [EMAIL], card [CARD]");

        let answer =
            Call::tool("drop", &arguments).token(&token).over(http).cut(11).send(gateway.address).await;
        assert_eq!(answer.reason(), "policy_denied");

        let named =
            Call::tool("drop", &json!({})).header("mcp-method", b"tools/call").header("mcp-name", b"drop");
        let answer = named.token(&token).over(http).send(gateway.address).await;
        assert_eq!(answer.reason(), "policy_denied", "judged by its headers");

        assert_eq!(
            Call::tool("echo", &json!({})).over(http).send(gateway.address).await.reason(),
            "token_missing"
        );

        let answer =
            Call::tool("compressed", &json!({})).token(&token).over(http).send(gateway.address).await;
        assert_eq!(answer.reason(), "response_encoding");
        let answer = Call::tool("large", &json!({})).token(&token).over(http).send(gateway.address).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (200, "response_too_large"),
            "the status has gone"
        );
        assert_eq!(answer.json()["id"], 1);
    }
    let called = upstream.called();
    assert!(!called.contains(&"drop".to_owned()), "{called:?}");
    let received = upstream.received();
    assert!(received.iter().all(|request| !request.headers.contains_key("authorization")));
    assert!(!String::from_utf8_lossy(&received[0].body).contains("bob@"));
    assert!(gateway.signer.verify().is_valid());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_has_no_body_upstream_of_the_whole_chain() {
    what_is_refused_has_no_body_upstream(Shape::WholeUnheld).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_has_no_body_upstream_of_a_chain_of_filters() {
    what_is_refused_has_no_body_upstream(Shape::ChainUnheld).await;
}
