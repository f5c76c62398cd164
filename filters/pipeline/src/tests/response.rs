use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    Directive,
    memory::{Departed, Faults},
};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

fn answer(lines: &[(&str, &str)]) -> Headers {
    headers_with(Headers::from([(":status", "200")]), lines)
}

fn typed(content_type: &str) -> Headers {
    answer(&[("content-type", content_type)])
}

/// What a client may get.
enum Expected {
    /// These bytes, and this `content-length`.
    Passes(&'static str, Option<&'static str>),
    /// A 502 with this reason.
    Refused(&'static str),
}

#[test]
fn an_answer_is_searched_whole_or_not_passed_on() {
    use Expected::{Passes, Refused};
    let long = "x".repeat(201);
    let cases: [(&str, Headers, &str, Expected); 21] = [
        ("JSON", typed(JSON), "{\"a\":1}", Passes("{\"a\":1}", None)),
        (
            "JSON that changes",
            answer(&[("content-type", "Application/JSON; charset=utf-8"), ("content-length", "8")]),
            "\"secret\"",
            Passes("\"(removed)\"", Some("11")),
        ),
        ("JSON that is refused", typed(JSON), "\"forbidden\"", Refused("forbidden_word")),
        ("an error page", typed("text/html"), "<p>secret", Passes("<p>(removed)", Some("12"))),
        ("text in UTF-8", typed("text/plain; charset=\"UTF-8\""), "ok", Passes("ok", None)),
        ("text in UTF-16", typed("text/plain; charset=utf-16"), "s\0e\0", Refused("response_type")),
        ("text in UTF-7", typed("text/plain;x=y;Charset=utf-7"), "+AHM-", Refused("response_type")),
        ("no type, empty", answer(&[(":status", "202")]), "", Passes("", None)),
        ("no type", answer(&[]), "a secret", Passes("a (removed)", Some("11"))),
        ("an image", typed("image/png"), "x", Refused("response_type")),
        ("an empty image", typed("image/png"), "", Passes("", None)),
        (
            "compressed",
            answer(&[("content-encoding", "gzip"), ("content-type", JSON)]),
            "x",
            Refused("response_encoding"),
        ),
        (
            "compressed twice",
            answer(&[("content-encoding", "identity, br"), ("content-type", JSON)]),
            "x",
            Refused("response_encoding"),
        ),
        (
            "not compressed",
            answer(&[("content-encoding", "Identity"), ("content-type", JSON)]),
            "{}",
            Passes("{}", None),
        ),
        ("too large", typed(JSON), long.leak(), Refused("response_too_large")),
        (
            "compressed or not",
            Headers::from([
                (":status", "200"),
                ("content-type", "text/plain"),
                ("content-encoding", "identity"),
                ("content-encoding", "gzip"),
            ]),
            "secret",
            Refused("response_encoding"),
        ),
        (
            "of two types",
            Headers::from([(":status", "200"), ("content-type", JSON), ("content-type", "text/plain")]),
            "secret",
            Refused("response_type"),
        ),
        (
            "a compressed stream",
            answer(&[("content-encoding", "gzip"), ("content-type", EVENTS)]),
            "x",
            Refused("response_encoding"),
        ),
        (
            "a failure of the server",
            answer(&[(":status", "500"), ("content-type", JSON)]),
            "{}",
            Passes("{}", None),
        ),
        ("a prefix of a type", typed("text"), "x", Refused("response_type")),
        ("an empty stream", typed(EVENTS), "", Passes("", None)),
    ];
    for (name, headers, body, expected) in cases {
        for trailers in [false, true] {
            let mut scene = Scene::answering(Mode::Enforce, options(true));
            let pieces: Vec<&[u8]> =
                if body.is_empty() { vec![b""] } else { body.as_bytes().chunks(50).collect() };
            let passed = scene.response(headers.clone(), &pieces, trailers);
            let seen = scene.watcher.response.borrow().clone();
            let facts = scene.exchange.borrow().facts.clone();
            match (&expected, passed) {
                (Passes(sent, length), Passed::On(body)) => {
                    assert_eq!(body, sent.as_bytes(), "{name}");
                    assert_eq!(seen, body, "{name}");
                    let headers = scene.host.downstream.headers.as_ref().unwrap();
                    assert_eq!(headers.text("content-length"), *length, "{name}");
                    assert!(facts.ended && facts.refusal.is_none(), "{name}");
                }
                (Refused(reason), Passed::Refused(reply)) => {
                    assert_eq!((reply.status, reply.reason), (502, *reason), "{name}");
                    assert_eq!(error_of(&reply.body), (json!(7), (*reason).to_owned()), "{name}");
                    assert_eq!(scene.host.downstream, Departed::default(), "{name}");
                    // Such a reply does not pass the response hooks: what they would have seen is known all the same.
                    assert_eq!((facts.status, &seen), (Some(502), &reply.body), "{name}");
                    assert!(facts.refusal.as_ref().unwrap().answer_withheld, "{name}");
                    assert_eq!(
                        scene.chain.response_body(&mut scene.host, 0, true),
                        Directive::Pause,
                        "{name}"
                    );
                }
                (_, passed) => panic!("{name}: {passed:?}"),
            }
        }
    }
}

#[test]
fn an_answer_without_a_body_passes() {
    for headers in
        [answer(&[(":status", "202")]), answer(&[(":status", "304"), ("content-encoding", "gzip")])]
    {
        let mut scene = Scene::answering(Mode::Enforce, options(true));
        assert_eq!(scene.response(headers, &[], false), Passed::On(Vec::new()));
        assert!(scene.exchange.borrow().facts.ended);
    }
}

proptest! {
    #[test]
    fn of_a_stream_nothing_leaves_unsearched_wherever_it_is_cut(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        trailers: bool,
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let stream = [
            ": ping", "", "event: message", "id: 1", "data: \"first secret\"", "", "data: \"fine\"", "", "id: 2",
            "data", "", "data: [\"split ", "data: secret\"]", "", "data: \"secret without an end\"",
        ]
        .join(line_end);
        let expected = [
            ": ping", "", "event: message", "id: 1", "data: \"first (removed)\"", "", "data: \"fine\"", "", "id: 2",
            "data", "", "data: [\"split ", "data: (removed)\"]", "", "",
        ]
        .join(line_end);
        let mut scene = Scene::answering(Mode::Enforce, options(true));
        let headers = answer(&[("content-type", EVENTS), ("content-length", "1")]);
        let passed = scene.response(headers, &cut(stream.as_bytes(), &cuts), trailers);
        let Passed::On(sent) = passed else { panic!("{passed:?}") };
        prop_assert_eq!(String::from_utf8(sent.clone()).unwrap(), expected);
        prop_assert_eq!(scene.watcher.response.borrow().clone(), sent);
        let headers = scene.host.downstream.headers.unwrap();
        prop_assert!(!headers.contains("content-length"));
    }

    #[test]
    fn a_stream_ends_with_the_event_that_may_not_pass(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        refused in prop::sample::select(vec!["data: \"forbidden\"\n\n".to_owned(), "x".repeat(150) + "\n\n"]),
    ) {
        let stream = format!("data: 1\n\n{refused}data: \"forbidden\"\n\ndata: 2\n\n");
        let mut scene = Scene::answering(Mode::Enforce, options(true));
        let passed = scene.response(typed(EVENTS), &cut(stream.as_bytes(), &cuts), false);
        let Passed::On(sent) = passed else { panic!("{passed:?}") };
        let sent = String::from_utf8(sent).unwrap();
        let (before, error) = sent.split_once("event: message\ndata: ").unwrap();
        prop_assert!(before.is_empty() || before == "data: 1\n\n", "{before}");
        let (id, reason) = error_of(error.strip_suffix("\n\n").unwrap().as_bytes());
        prop_assert_eq!(id, json!(7));
        prop_assert_eq!(scene.reasons().0, Some(reason));
        // The headers had left: the status is that of the server.
        prop_assert_eq!(scene.exchange.borrow().facts.status, Some(200));
    }
}

#[test]
fn where_headers_have_left_an_error_takes_the_place_of_the_body() {
    let long = "x".repeat(300);
    let cases = [
        ("too large", JSON, long.as_str(), "response_too_large"),
        ("refused", JSON, "\"forbidden\"", "forbidden_word"),
        ("of no type", "image/png", "0123456789", "response_type"),
    ];
    for (name, content_type, body, reason) in cases {
        let mut scene = Scene::answering(Mode::Enforce, options(false));
        let headers = answer(&[("content-type", content_type), ("content-length", "300")]);
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(50).collect();
        let Passed::On(sent) = scene.response(headers, &pieces, false) else { panic!("{name}") };
        assert_eq!(error_of(&sent), (json!(7), reason.to_owned()), "{name}");
        assert_eq!(*scene.watcher.response.borrow(), sent, "{name}");
        assert!(!scene.host.downstream.headers.as_ref().unwrap().contains("content-length"), "{name}");
        assert_eq!(scene.exchange.borrow().facts.status, Some(200), "{name}");
    }
    let mut scene = Scene::answering(Mode::Enforce, options(false));
    let passed = scene.response(typed(JSON), &[b"\"sec", b"ret\""], false);
    assert_eq!(passed, Passed::On(b"\"(removed)\"".to_vec()));
}

#[test]
fn what_the_proxy_does_not_do_lets_nothing_unsearched_leave() {
    let body = Faults { body: true, ..Faults::default() };
    let replace = Faults { replace: true, ..Faults::default() };
    let headers = Faults { headers: true, ..Faults::default() };
    let reply = Faults { reply: true, body: true, ..Faults::default() };
    let stream = "data: \"secret\"\n\n";
    let cases = [
        ("body not shown", true, JSON, "\"secret\"", body),
        ("body not shown, headers gone", false, JSON, "\"secret\"", body),
        ("body not replaced", true, JSON, "\"secret\"", replace),
        ("body not replaced, headers gone", false, JSON, "\"secret\"", replace),
        ("content-length not set", true, JSON, "\"secret\"", headers),
        ("content-length not removed", false, JSON, "\"secret\"", headers),
        ("reply not taken", true, JSON, "\"secret\"", reply),
        ("event not shown", true, EVENTS, stream, body),
        ("event not replaced", true, EVENTS, stream, replace),
        (
            "nothing taken",
            false,
            EVENTS,
            stream,
            Faults { headers: true, body: true, replace: true, reply: true, ..Faults::default() },
        ),
    ];
    for (name, hold_headers, content_type, body, faults) in cases {
        let mut scene = Scene::answering(Mode::Enforce, options(hold_headers));
        scene.host.faults = faults;
        let (first, rest) = body.as_bytes().split_at(4);
        scene.response(typed(content_type), &[first, rest, b""], true);
        let left = String::from_utf8(scene.host.downstream.body).unwrap();
        assert!(!left.contains("secr") && !left.contains("cret"), "{name}: {left}");
    }
}

#[test]
fn a_stage_that_reads_no_answers_can_refuse_one() {
    for hold_headers in [true, false] {
        let refuser = Refuser { mode: Mode::Enforce, hook: Hook::ResponseHeaders };
        let (mut chain, exchange) = memory::chain(vec![Box::new(refuser)], options(hold_headers));
        let mut host = MemoryHost::with_request(memory::post());
        host.request(&mut chain, &[CLEAN.as_bytes()], false);
        let Passed::Refused(reply) = host.response(&mut chain, typed(JSON), &[b"{}"], false) else {
            panic!()
        };
        assert_eq!((reply.status, reply.reason), (503, "refused_there"));
        assert_eq!(exchange.borrow().facts.status, Some(503));
    }
}

#[test]
fn our_own_reply_passes_as_it_is() {
    for hold_headers in [true, false] {
        let mut scene = Scene::new(Mode::Enforce, options(hold_headers));
        let Passed::Refused(reply) = scene.request(&[FORBIDDEN.as_bytes()], false) else { panic!() };
        assert_eq!(scene.host.deliver(&mut scene.chain, &reply), Passed::On(reply.body.clone()));
        assert_eq!(*scene.watcher.response.borrow(), reply.body);
        let facts = &scene.exchange.borrow().facts;
        assert_eq!((facts.status, facts.released, facts.ended), (Some(403), false, true));
        assert!(!facts.refusal.as_ref().unwrap().answer_withheld);
    }
}

#[test]
fn observation_changes_no_byte_of_an_answer_and_notes_it() {
    let long = "x".repeat(300);
    let stream = "data: \"secret\"\n\n: x\n\ndata: \"forbidden\"\n\ndata: \"no end";
    let cases: [(&str, Lines<'_>, &str, Reasons<'_>); 10] = [
        ("clean", &[("content-type", JSON)], "{}", &[]),
        ("to be censored", &[("content-type", JSON), ("content-length", "8")], "\"secret\"", &[]),
        ("to be refused", &[("content-type", JSON)], "\"forbidden\"", &["forbidden_word"]),
        ("text to be refused", &[("content-type", "text/plain")], "forbidden", &["forbidden_word"]),
        (
            "compressed",
            &[("content-type", JSON), ("content-encoding", "br")],
            "secret",
            &["response_encoding"],
        ),
        ("of another type", &[("content-type", "image/png")], "secret", &["response_type"]),
        ("of no type, to be refused", &[], "forbidden", &["forbidden_word"]),
        ("too large", &[("content-type", JSON)], &long, &["response_too_large"]),
        ("a stream", &[("content-type", EVENTS), ("content-length", "54")], stream, &["forbidden_word"]),
        ("nothing", &[], "", &[]),
    ];
    for (name, lines, body, noted) in cases {
        for (hold_headers, trailers) in [(true, false), (false, false), (true, true), (false, true)] {
            let mut scene = Scene::answering(Mode::Observe, options(hold_headers));
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(7).collect();
            let headers = answer(lines);
            assert_eq!(scene.response(headers.clone(), &pieces, trailers), Passed::On(body.into()), "{name}");
            assert_eq!(scene.host.downstream.headers, Some(headers), "{name}");
            assert_eq!(*scene.watcher.response.borrow(), body.as_bytes(), "{name}");
            let noted = noted.iter().map(|reason| (*reason).to_owned()).collect();
            assert_eq!(scene.reasons(), (None, noted), "{name}");
        }
    }
}

#[test]
fn an_observed_answer_leaves_piece_by_piece() {
    let mut scene = Scene::answering(Mode::Observe, options(true));
    scene.host.response_headers = typed(JSON);
    assert_eq!(scene.chain.response_headers(&mut scene.host, false), Directive::Continue);
    scene.host.response_body = b"\"sec".to_vec();
    assert_eq!(scene.chain.response_body(&mut scene.host, 4, false), Directive::Continue);
}

#[test]
fn a_digest_is_given_up_when_a_piece_is_missed() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let watcher = Watcher { mode, ..Watcher::default() };
        let (mut chain, exchange) = memory::chain(vec![Box::new(watcher.clone())], options(true));
        let mut host = MemoryHost::with_request(memory::post());
        host.request(&mut chain, &[], false);
        exchange.borrow_mut().response_digest = Some(airlock_receipt::Digester::sha256());
        host.faults.body = true;
        assert_eq!(host.response(&mut chain, typed(JSON), &[b"1", b"2"], false), Passed::On(b"12".to_vec()));
        assert!(exchange.borrow().response_digest.is_none());
        assert!(watcher.response.borrow().is_empty());
    }
}
