//! Event streams are cleaned event by event, and nothing waits for their end.

use std::time::{Duration, Instant};

use airlock_tests::{
    client::Call,
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::Upstream,
};
use http_body_util::BodyExt;
use serde_json::json;

async fn events_leave_clean_as_they_come(shape: Shape) {
    let (_upstream, address) = Upstream::start().await;
    let gateway = Gateway::start(shape, address, Configuration::default()).await;
    let token = Issuer::default().token("alice@example.com", "mcp:read");

    let response = Call::tool("stream", &json!({})).token(&token).open(gateway.address).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let start = Instant::now();
    let mut body = response.into_body();
    let mut received = String::new();
    let mut first = None;
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap_or_default();
        received.push_str(std::str::from_utf8(&piece).unwrap());
        if first.is_none() && received.contains("[EMAIL]") {
            first = Some(start.elapsed());
        }
        assert!(!received.contains("jane.ro"), "{received}");
    }
    assert_eq!(received.matches("from [EMAIL]").count(), 3);
    assert!(received.ends_with("\n\n") && received.contains(r#""result""#), "{received}");
    let (first, all) = (first.unwrap(), start.elapsed());
    assert!(all - first > Duration::from_millis(500), "the first event came after {first:?} of {all:?}");

    let record = gateway.signer.receipt("the stream", |record| !record.findings.is_empty()).await;
    let (class, count) = record.findings.first_key_value().unwrap();
    assert_eq!((class.as_str(), count.response.value()), ("email", 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_leave_clean_as_they_come_through_the_whole_chain() {
    events_leave_clean_as_they_come(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_leave_clean_as_they_come_through_a_chain_of_filters() {
    events_leave_clean_as_they_come(Shape::Chain).await;
}
