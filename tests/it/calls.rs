//! What happens to a call that is well-formed.

use airlock_receipt::{Effect, OutcomeState};
use airlock_tests::{
    client::{Call, Http},
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use serde_json::json;

async fn guarded(shape: Shape) -> (Gateway, Upstream) {
    let (upstream, address) = Upstream::start().await;
    (Gateway::start(shape, address, Configuration::default()).await, upstream)
}

async fn an_allowed_call_is_cleaned_both_ways_and_recorded(shape: Shape) {
    let (gateway, upstream) = guarded(shape).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");

    for (http, size) in [(Http::One, usize::MAX), (Http::One, 1), (Http::Two, 7), (Http::Two, usize::MAX)] {
        let arguments = json!({ "message": "card 4111 1111 1111 1111", "n": 1 });
        let answer = Call::tool("echo", &arguments)
            .token(&token)
            .header("accept-encoding", b"gzip, br")
            .over(http)
            .cut(size)
            .send(gateway.address)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.json()["result"]["content"][0]["text"].clone();
        assert_eq!(text, "write to [EMAIL], card [CARD]");
        assert_eq!(answer.headers["content-length"], answer.body.len().to_string());
    }

    let received = upstream.received();
    assert_eq!(received.len(), 4);
    for request in received {
        assert!(!request.headers.contains_key("authorization"), "the client's token stays here");
        assert!(!request.headers.contains_key("accept-encoding"), "what is compressed cannot be searched");
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["params"]["arguments"], json!({ "message": "card [CARD]", "n": 1 }));
    }

    let record = gateway.signer.receipt("the call", |record| record.what.name.is_some()).await;
    assert_eq!(record.decision.effect, Effect::Allow);
    assert_eq!(record.decision.rule.as_ref().unwrap().as_str(), "reads");
    assert_eq!(record.outcome.state, OutcomeState::Completed);
    assert_eq!(record.who.subject.as_ref().unwrap().as_str(), "alice@example.com");
    assert_eq!(record.what.server.as_ref().unwrap().as_str(), "test");
    let card = record.findings.iter().find(|(class, _)| class.as_str() == "card").unwrap().1;
    assert_eq!((card.request.value(), card.response.value()), (1, 1));
    assert!(gateway.signer.verify().is_valid());
}

async fn who_may_not_call_is_told_and_recorded(shape: Shape) {
    let (gateway, upstream) = guarded(shape).await;
    let issuer = Issuer::default();
    let reader = issuer.token("alice@example.com", "mcp:read");
    let nothing = json!({});

    let answer = Call::tool("echo", &nothing).send(gateway.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "token_missing"));
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert_eq!(answer.headers["content-type"], "application/json");

    let answer = Call::tool("echo", &nothing).token(&issuer.forged()).send(gateway.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "token_signature"));
    assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));

    let answer = Call::tool("save", &nothing).token(&reader).send(gateway.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "policy_scope"));
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert_eq!(challenge, r#"Bearer error="insufficient_scope", scope="mcp:read mcp:write""#);

    let answer = Call::tool("drop", &nothing).token(&reader).send(gateway.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (200, "policy_denied"));
    assert_eq!(answer.json()["id"], 1);
    assert_eq!(answer.json()["error"]["message"], "nothing is dropped here");

    let answer = Call::tool("unheard-of", &nothing).token(&reader).send(gateway.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (200, "policy_default"));

    let answer = Call::tool("echo", &nothing).token(&reader).path("/other").send(gateway.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (404, "unknown_server"));

    assert!(upstream.received().is_empty(), "nothing of a refused call reaches the server");
    for reason in [
        "token_missing",
        "token_signature",
        "policy_scope",
        "policy_denied",
        "policy_default",
        "unknown_server",
    ] {
        let record = gateway.signer.refusal(reason).await;
        assert_eq!(record.outcome.state, OutcomeState::Denied);
    }
    assert!(gateway.signer.verify().is_valid());
}

async fn answers_that_cannot_be_searched_do_not_pass(shape: Shape) {
    let (gateway, _upstream) = guarded(shape).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");
    for (tool, reason) in [("compressed", "response_encoding"), ("large", "response_too_large")] {
        let answer = Call::tool(tool, &json!({})).token(&token).send(gateway.address).await;
        assert_eq!((answer.status, answer.reason().as_str()), (502, reason));
        gateway.signer.refusal(reason).await;
    }
    let answer = Call::tool("page", &json!({})).token(&token).send(gateway.address).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (502, "ask [EMAIL]"),
        "an error page is searched too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_call_is_cleaned_both_ways_and_recorded_by_the_whole_chain() {
    an_allowed_call_is_cleaned_both_ways_and_recorded(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_call_is_cleaned_both_ways_and_recorded_by_a_chain_of_filters() {
    an_allowed_call_is_cleaned_both_ways_and_recorded(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_call_is_cleaned_both_ways_and_recorded_by_filters_in_separate_vms() {
    an_allowed_call_is_cleaned_both_ways_and_recorded(Shape::SeparateVms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_call_is_told_and_recorded_by_filters_in_separate_vms() {
    who_may_not_call_is_told_and_recorded(Shape::SeparateVms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_call_is_told_and_recorded_by_the_whole_chain() {
    who_may_not_call_is_told_and_recorded(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_call_is_told_and_recorded_by_a_chain_of_filters() {
    who_may_not_call_is_told_and_recorded(Shape::Chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_searched_do_not_pass_the_whole_chain() {
    answers_that_cannot_be_searched_do_not_pass(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_searched_do_not_pass_a_chain_of_filters() {
    answers_that_cannot_be_searched_do_not_pass(Shape::Chain).await;
}
