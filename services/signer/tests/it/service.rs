//! The routes.

use airlock_receipt::KeySet;
use airlock_signer::{BearerToken, Settings};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::http::{get, post, post_batch, send};
use crate::sample::{batch, export, record, start, verify};

#[tokio::test]
async fn records_become_receipts_that_verify_with_the_published_keys() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    let mut news = state.subscribe();
    assert_eq!(post_batch(&state, &batch("a", 0..3)).await, json!({"appended": 3, "known": 0}));
    assert_eq!(post_batch(&state, &batch("b", 3..5)).await, json!({"appended": 2, "known": 0}));
    assert_eq!(post_batch(&state, &batch("a", 5..6)).await, json!({"appended": 1, "known": 0}));

    let keys = get(&state, "/v1/keys").await;
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    let first = get(&state, "/v1/receipts?limit=4").await;
    assert_eq!(
        (first.status, &first.headers["content-type"]),
        (StatusCode::OK, &"application/x-ndjson".parse().unwrap())
    );
    assert_eq!(first.headers["airlock-next-after"], "3");
    let rest = get(&state, "/v1/receipts?after=3").await;
    let end = get(&state, "/v1/receipts?after=5").await;
    assert_eq!((end.body.len(), &end.headers["airlock-next-after"]), (0, &"5".parse().unwrap()));

    let bundle = [first.body, rest.body].concat();
    assert_eq!(bundle, export(state.store()));
    let report = verify(&bundle, KeySet::from_jwks(&keys.body).unwrap());
    assert!(report.is_valid(), "{report:?}");
    assert_eq!((report.receipts, report.sessions), (6, 2));
    for number in 0..6_u64 {
        assert_eq!(news.recv().await.unwrap().id.to_string(), format!("{number:032x}"));
    }
}

#[tokio::test]
async fn a_record_that_is_delivered_again_is_stored_once() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    let twice = json!({"records": [record("a", 1), record("a", 1), record("a", 2)]});
    assert_eq!(post_batch(&state, &twice).await, json!({"appended": 2, "known": 1}));
    assert_eq!(post_batch(&state, &twice).await, json!({"appended": 0, "known": 3}));
    assert_eq!(state.store().len().unwrap(), 2);
}

#[tokio::test]
async fn an_id_is_not_taken_for_another_record() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    post_batch(&state, &batch("a", [1])).await;
    let mut other = record("a", 1);
    other["decision"]["effect"] = json!("deny");
    let reply = post_batch(&state, &json!({"records": [other, record("a", 2)]})).await;
    assert_eq!((&reply["appended"], &reply["known"]), (&json!(1), &json!(0)));
    assert_eq!(reply["rejected"][0]["reason"], "id_conflict");
}

#[tokio::test]
async fn a_malformed_record_does_not_block_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    let mut secret = record("a", 2);
    secret["what"]["password-hunter2"] = json!("hunter2");
    let mut value = record("a", 3);
    value["what"]["operation"] = json!("hunter2");
    let mut contradictory = record("a", 4);
    contradictory["who"]["anonymous"] = json!(true);
    let records =
        json!({"records": [record("a", 1), secret, value, "hunter2", contradictory, record("a", 5)]});
    let reply = post_batch(&state, &records).await;
    assert_eq!((&reply["appended"], &reply["known"]), (&json!(2), &json!(0)));
    let rejected = reply["rejected"].as_array().unwrap();
    let found: Vec<_> =
        rejected.iter().map(|entry| (&entry["index"], &entry["id"], &entry["reason"])).collect();
    let id = |number: u64| json!(format!("{number:032x}"));
    let malformed = json!("malformed_record");
    assert_eq!(
        found,
        [
            (&json!(1), &id(2), &malformed),
            (&json!(2), &id(3), &malformed),
            (&json!(3), &json!(null), &malformed),
            (&json!(4), &id(4), &json!("contradictory_identity")),
        ]
    );
    assert!(rejected[1]["message"].as_str().unwrap().contains("`what.operation`"), "{}", rejected[1]);
    assert!(!rejected[1].to_string().contains("hunter2"), "values are not repeated");
    let report = verify(&export(state.store()), state.store().keys().unwrap());
    assert!(report.is_valid() && report.receipts == 2, "{report:?}");
}

#[tokio::test]
async fn bodies_that_are_no_batch_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    let cases = [
        (String::new(), StatusCode::BAD_REQUEST, "malformed_batch"),
        ("[]".to_owned(), StatusCode::BAD_REQUEST, "malformed_batch"),
        (r#"{"records":[]"#.to_owned(), StatusCode::BAD_REQUEST, "malformed_batch"),
        (r#"{"records":[],"more":1}"#.to_owned(), StatusCode::BAD_REQUEST, "malformed_batch"),
        (r#"{"records":[],"records":[]}"#.to_owned(), StatusCode::BAD_REQUEST, "malformed_batch"),
        ("[".repeat(1 << 20), StatusCode::BAD_REQUEST, "malformed_batch"),
        (format!(r#"{{"records":[0{}]}}"#, ",0".repeat(1000)), StatusCode::BAD_REQUEST, "too_many_records"),
        (" ".repeat((4 << 20) + 1), StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
    ];
    for (body, status, reason) in cases {
        let start: String = body.chars().take(40).collect();
        let reply = post(&state, body).await;
        assert_eq!((reply.status, reply.reason()), (status, json!(reason)), "{start}");
    }
    assert_eq!(post_batch(&state, &json!({"records": []})).await, json!({"appended": 0, "known": 0}));
    let plain =
        Request::post("/v1/receipts").header("content-type", "text/plain").body(Body::from("{}")).unwrap();
    assert_eq!(send(&state, plain).await.reason(), "unsupported_media_type");
    assert!(state.store().is_empty().unwrap());
}

#[tokio::test]
async fn unknown_routes_methods_and_parameters_are_answered_in_json() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    let cases = [
        ("/", StatusCode::NOT_FOUND, "not_found"),
        ("/v1/receipts/1", StatusCode::NOT_FOUND, "not_found"),
        ("/v1/receipts?limit=0", StatusCode::BAD_REQUEST, "malformed_query"),
        ("/v1/receipts?limit=1001", StatusCode::BAD_REQUEST, "malformed_query"),
        ("/v1/receipts?after=-1", StatusCode::BAD_REQUEST, "malformed_query"),
        ("/v1/receipts?before=1", StatusCode::BAD_REQUEST, "malformed_query"),
    ];
    for (path, status, reason) in cases {
        let reply = get(&state, path).await;
        assert_eq!((reply.status, reply.reason()), (status, json!(reason)), "{path}");
    }
    let delete = send(&state, Request::delete("/v1/receipts").body(Body::empty()).unwrap()).await;
    assert_eq!(
        (delete.status, delete.reason()),
        (StatusCode::METHOD_NOT_ALLOWED, json!("method_not_allowed"))
    );
}

#[tokio::test]
async fn with_a_token_only_its_bearers_write_and_read() {
    let directory = tempfile::tempdir().unwrap();
    let token = BearerToken::new("correct-horse-battery").unwrap();
    let state = start(directory.path(), Settings { bearer_token: Some(token), ..Settings::default() });
    let request = |authorization: Option<&str>, write: bool| {
        let request = if write { Request::post("/v1/receipts") } else { Request::get("/v1/receipts") };
        let request = request.header("content-type", "application/json");
        let request = match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        request.body(Body::from(if write { batch("a", [1]).to_string() } else { String::new() })).unwrap()
    };
    for write in [true, false] {
        for wrong in [None, Some("Bearer correct-horse-batterz"), Some("Basic correct-horse-battery")] {
            let reply = send(&state, request(wrong, write)).await;
            assert_eq!((reply.status, reply.reason()), (StatusCode::UNAUTHORIZED, json!("unauthorized")));
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
        }
        let reply = send(&state, request(Some("Bearer correct-horse-battery"), write)).await;
        assert_eq!(reply.status, StatusCode::OK);
    }
    assert_eq!(get(&state, "/v1/keys").await.status, StatusCode::OK, "public keys are public");
    assert_eq!(get(&state, "/health/ready").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_overloaded_signer_says_so_before_it_reads_the_body() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings { max_waiting_bytes: 100, ..Settings::default() });
    let reply = post(&state, batch("a", [1]).to_string()).await;
    assert_eq!((reply.status, reply.reason()), (StatusCode::SERVICE_UNAVAILABLE, json!("queue_full")));
    assert_eq!(reply.headers["retry-after"], "1");
}

#[tokio::test]
async fn the_share_of_memory_comes_back_after_each_batch() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings { max_waiting_bytes: 4 << 20, ..Settings::default() });
    for number in 0..20 {
        post_batch(&state, &batch("a", [number])).await;
    }
    assert_eq!(state.store().len().unwrap(), 20);
}

#[tokio::test]
async fn health_tells_a_working_database_from_a_broken_one() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    assert_eq!(get(&state, "/health/live").await.status, StatusCode::OK);
    assert_eq!(get(&state, "/health/ready").await.status, StatusCode::OK);
    let other = rusqlite::Connection::open(directory.path().join("receipts.db")).unwrap();
    other.execute_batch("DROP TABLE probe; DROP TABLE receipts").unwrap();
    assert_eq!(get(&state, "/health/ready").await.reason(), "store_unavailable");
    let reply = post(&state, batch("a", [1]).to_string()).await;
    assert_eq!((reply.status, reply.reason()), (StatusCode::SERVICE_UNAVAILABLE, json!("store_unavailable")));
    assert_eq!(get(&state, "/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_closed_signer_refuses_and_leaves_one_file_that_opens_again() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    post_batch(&state, &batch("a", 0..3)).await;
    state.close().await;
    let reply = post(&state, batch("a", [9]).to_string()).await;
    assert_eq!((reply.status, reply.reason()), (StatusCode::SERVICE_UNAVAILABLE, json!("stopping")));
    drop(state);
    assert!(!directory.path().join("receipts.db-wal").exists());
    let state = start(directory.path(), Settings::default());
    post_batch(&state, &batch("a", 3..5)).await;
    let report = verify(&export(state.store()), state.store().keys().unwrap());
    assert!(report.is_valid() && report.receipts == 5, "{report:?}");
}
