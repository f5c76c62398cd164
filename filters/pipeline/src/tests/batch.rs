//! Batches: stages see one message at a time, and one refusal refuses all.

use super::*;
use crate::memory::Departed;

fn batch_of(messages: &[&str]) -> String {
    format!(" [{}]\n", messages.join(" , "))
}

fn scene_with(lines: Lines<'_>) -> Scene {
    let limits = Limits { request_bytes: 1_000, response_bytes: 1_000, event_bytes: 1_000 };
    let mut scene = Scene::new(Mode::Enforce, Options { hold_headers: true, limits });
    scene.host.request_headers = headers_with(memory::post(), lines);
    scene
}

#[test]
fn every_message_of_a_batch_is_judged_and_changed_in_its_place() {
    for lines in [&[] as Lines<'_>, &[("mcp-protocol-version", "2025-03-26")]] {
        let mut scene = scene_with(lines);
        let body = batch_of(&[CLEAN, SECRET, CLEAN]);
        let expected = batch_of(&[CLEAN, CENSORED, CLEAN]);
        assert_eq!(scene.request(&[body.as_bytes()], false), Passed::On(expected.clone().into()));
        let headers = scene.host.upstream.headers.unwrap();
        assert_eq!(headers.text("content-length"), Some(expected.len().to_string().as_str()));
        assert_eq!(scene.verdicts.get(), 3);
        let facts = &scene.exchange.borrow().facts;
        assert_eq!((facts.batch.len(), facts.message.is_none()), (3, true));
        assert!(
            facts.batch.iter().all(|part| part.message.as_ref().unwrap().method.as_deref() == Some("ping"))
        );
        assert_ne!(facts.batch[0].id, facts.batch[1].id);
    }
}

#[test]
fn one_refused_message_refuses_the_batch() {
    let mut scene = scene_with(&[]);
    let other = CLEAN.replace("\"id\":7", "\"id\":\"b\"");
    let notification = CLEAN.replace("\"id\":7,", "");
    let body = batch_of(&[&other, FORBIDDEN, &notification]);
    let Passed::Refused(reply) = scene.request(&[body.as_bytes()], false) else { panic!() };
    let errors: Vec<serde_json::Value> = serde_json::from_slice(&reply.body).unwrap();
    let told: Vec<_> = errors
        .iter()
        .map(|error| (error["id"].to_string(), error["error"]["data"]["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("\"b\"".to_owned(), "forbidden_word"), ("7".to_owned(), "forbidden_word")]);
    assert_eq!(scene.host.upstream, Departed::default());
}

#[test]
fn what_is_no_batch_is_judged_as_one_message() {
    let body = batch_of(&[FORBIDDEN]);
    for lines in [
        &[("mcp-protocol-version", "2025-06-18")] as Lines<'_>,
        &[("mcp-protocol-version", "2026-07-28")],
        &[("mcp-method", "ping")],
    ] {
        let mut scene = scene_with(lines);
        assert!(
            matches!(scene.request(&[body.as_bytes()], false), Passed::On(_)),
            "the censor reads no batch"
        );
        assert_eq!((scene.verdicts.get(), scene.exchange.borrow().facts.batch.len()), (1, 0), "{lines:?}");
        assert!(scene.exchange.borrow_mut().message().is_err());
    }
}

#[test]
fn a_session_is_not_opened_in_a_batch() {
    let mut exchange = Exchange::default();
    exchange.facts.batch.push(crate::Part::default());
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    exchange.keep_body(body.into());
    assert_eq!(exchange.message().unwrap_err().reason, "rpc_batch");
    exchange.facts.batch.clear();
    assert!(exchange.message().is_ok());
}

#[test]
fn answers_come_one_at_a_time_as_well() {
    for (lines, expected) in [
        (&[] as Lines<'_>, batch_of(&[CLEAN, CENSORED])),
        (&[("mcp-protocol-version", "2025-06-18")], batch_of(&[CLEAN, CENSORED])),
    ] {
        for (content_type, before, after) in
            [("application/json", "", ""), ("text/event-stream", "data: ", "\n\n")]
        {
            let mut scene = scene_with(lines);
            scene.request(&[CLEAN.as_bytes()], false);
            let headers = Headers::from([(":status", "200"), ("content-type", content_type)]);
            let batch = |messages: &[&str]| format!("{before}{}{after}", batch_of(messages).trim());
            let passed = scene.response(headers, &[batch(&[CLEAN, SECRET]).as_bytes()], false);
            assert_eq!(passed, Passed::On(format!("{before}{}{after}", expected.trim()).into()));
        }
    }
}

#[test]
fn places_are_spliced_in_order() {
    let spliced =
        |changes: &[(std::ops::Range<usize>, Vec<u8>)]| crate::batch::spliced(b"0123456789", changes);
    assert_eq!(spliced(&[]), b"0123456789");
    assert_eq!(
        spliced(&[(0..1, b"ab".to_vec()), (4..4, b"c".to_vec()), (9..10, Vec::new())]),
        b"ab123c45678"
    );
}
