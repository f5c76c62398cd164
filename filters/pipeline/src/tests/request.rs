use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    Side,
    memory::{Departed, Faults},
};

proptest! {
    #[test]
    fn the_verdict_is_one_and_the_same_wherever_the_body_is_cut(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        trailers: bool,
        hold_headers: bool,
    ) {
        for (body, expected) in [(CLEAN, Some(CLEAN)), (SECRET, Some(CENSORED)), (FORBIDDEN, None)] {
            let mut scene = Scene::new(Mode::Enforce, options(hold_headers));
            let passed = scene.request(&cut(body.as_bytes(), &cuts), trailers);
            match (passed, expected) {
                (Passed::On(sent), Some(expected)) => prop_assert_eq!(sent, expected.as_bytes()),
                (Passed::Refused(reply), None) => {
                    prop_assert_eq!((reply.status, reply.reason), (403, "forbidden_word"));
                    prop_assert_eq!(error_of(&reply.body), (json!(7), "forbidden_word".into()));
                    prop_assert!(scene.host.upstream.body.is_empty());
                    prop_assert_eq!(scene.host.upstream.headers.is_none(), hold_headers);
                }
                (passed, _) => prop_assert!(false, "{body}: {passed:?}"),
            }
            prop_assert_eq!(scene.verdicts.get(), 1);
            prop_assert!(*scene.watcher.request.borrow() == body.as_bytes());
        }
    }
}

#[test]
fn every_end_of_a_request_is_an_end() {
    let body = FORBIDDEN.as_bytes();
    let (first, rest) = body.split_at(20);
    let cases: [(&str, Pieces<'_>, bool); 6] = [
        ("one piece", &[body], false),
        ("an empty last piece", &[first, rest, b""], false),
        ("empty pieces between", &[b"", first, b"", rest], false),
        ("trailers", &[first, rest], true),
        ("an empty piece and trailers", &[body, b""], true),
        ("trailers after a whole body", &[body], true),
    ];
    for (name, pieces, trailers) in cases {
        let mut scene = Scene::new(Mode::Enforce, options(true));
        assert!(matches!(scene.request(pieces, trailers), Passed::Refused(_)), "{name}");
        assert_eq!(scene.host.upstream, Departed::default(), "{name}");
        assert_eq!(scene.verdicts.get(), 1, "{name}");
    }
    for trailers in [false, true] {
        let mut scene = Scene::new(Mode::Enforce, options(true));
        assert_eq!(scene.request(&[], trailers), Passed::On(Vec::new()));
        assert_eq!((scene.verdicts.get(), scene.host.trailers_dropped), (1, trailers));
    }
}

#[test]
fn pieces_after_the_verdict_change_nothing() {
    for (body, expected) in [(CLEAN, crate::Directive::Continue), (FORBIDDEN, crate::Directive::Pause)] {
        let mut scene = Scene::new(Mode::Enforce, options(true));
        scene.request(&[body.as_bytes()], false);
        assert_eq!(scene.chain.request_body(&mut scene.host, 0, true), expected);
        assert_eq!(scene.chain.request_trailers(&mut scene.host), expected);
        assert_eq!(scene.verdicts.get(), 1);
    }
}

#[test]
fn a_request_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let half = [b' '; 60];
    let cases: [(&str, Option<&str>, Pieces<'_>, bool); 7] = [
        ("declared", Some("101"), &[&half, &half], false),
        ("declared beyond any number", Some("99999999999999999999999999"), &[b"{}"], false),
        ("declared with leading zeros", Some("000000000000000000000000000101"), &[b"{}"], false),
        ("one piece", None, &[&[b' '; 101]], false),
        ("several pieces", None, &[&half, &half], false),
        ("with trailers", None, &[&half, &half], true),
        ("declared too small", Some("5"), &[&half, &half], false),
    ];
    for (name, length, pieces, trailers) in cases {
        for hold_headers in [true, false] {
            let mut scene = Scene::new(Mode::Enforce, options(hold_headers));
            if let Some(length) = length {
                scene.host.request_headers.set("content-length", length.as_bytes());
            }
            let Passed::Refused(reply) = scene.request(pieces, trailers) else { panic!("{name}") };
            assert_eq!((reply.status, reply.reason), (413, "request_too_large"), "{name}");
            assert_eq!(error_of(&reply.body).0, json!(null), "{name}");
            assert_eq!(scene.verdicts.get(), 0, "{name}");
            assert!(scene.host.upstream.body.is_empty(), "{name}");
            assert!(!hold_headers || scene.host.upstream.headers.is_none(), "{name}");
        }
    }
    let mut scene = Scene::new(Mode::Enforce, options(true));
    scene.host.request_headers.set("content-length", b"100");
    let largest = format!("{CLEAN:100}");
    assert!(matches!(scene.request(&[largest.as_bytes()], false), Passed::On(_)), "exactly the limit");
}

#[test]
fn content_length_is_that_of_what_leaves() {
    let cases = [
        ("unchanged", true, CLEAN, Some(CLEAN.len())),
        ("longer", true, SECRET, Some(CENSORED.len())),
        ("not held, unchanged", false, CLEAN, None),
        ("not held, longer", false, SECRET, None),
    ];
    for (name, hold_headers, body, expected) in cases {
        let mut scene = Scene::new(Mode::Enforce, options(hold_headers));
        scene.host.request_headers.set("content-length", body.len().to_string().as_bytes());
        let Passed::On(sent) = scene.request(&[body.as_bytes()], false) else { panic!("{name}") };
        let headers = scene.host.upstream.headers.unwrap();
        let length = headers.text("content-length").map(|length| length.parse::<usize>().unwrap());
        assert_eq!(length, expected, "{name}");
        assert!(length.is_none_or(|length| length == sent.len()), "{name}");
    }
}

/// A stage that makes any body the shortest message.
struct Shortener;

impl Stage for Shortener {
    fn reads_request(&self, _exchange: &Exchange) -> bool {
        true
    }

    fn request_body(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        exchange.rewrite_request(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec())
    }
}

#[test]
fn content_length_shrinks_with_the_body() {
    let (mut chain, _) = memory::chain(vec![Box::new(Shortener)], Options::default());
    let mut host = MemoryHost::with_request(headers_with(memory::post(), &[("content-length", "66")]));
    let Passed::On(sent) = host.request(&mut chain, &[CLEAN.as_bytes()], false) else { panic!() };
    let headers = host.upstream.headers.unwrap();
    assert_eq!(headers.text("content-length"), Some(sent.len().to_string().as_str()));
    assert!(sent.len() < CLEAN.len());
}

#[test]
fn what_is_refused_at_any_hook_never_reaches_the_server() {
    for hook in [Hook::RequestHeaders, Hook::BeforeUpstream] {
        let refuser = Refuser { mode: Mode::Enforce, hook };
        let mut scene = Scene::with(Mode::Enforce, options(true), Some(refuser));
        let Passed::Refused(reply) = scene.request(&[CLEAN.as_bytes()], false) else { panic!("{hook:?}") };
        assert_eq!((reply.status, reply.reason), (503, "refused_there"));
        assert_eq!(scene.host.upstream, Departed::default(), "{hook:?}");
        assert!(!scene.exchange.borrow().facts.released);
        assert_eq!(scene.host.properties["airlock.decision"], b"deny");
        assert_eq!(scene.host.properties["airlock.reason"], b"refused_there");
    }
}

#[test]
fn what_the_proxy_does_not_do_refuses_the_request() {
    let faults = [
        ("body", Faults { body: true, ..Faults::default() }),
        ("content-length", Faults { headers: true, ..Faults::default() }),
        ("new body", Faults { replace: true, ..Faults::default() }),
    ];
    for (name, faults) in faults {
        let mut scene = Scene::new(Mode::Enforce, options(true));
        scene.host.faults = faults;
        let Passed::Refused(reply) = scene.request(&[SECRET.as_bytes()], false) else { panic!("{name}") };
        assert_eq!((reply.status, reply.reason), (500, "proxy_failure"), "{name}");
        assert_eq!(scene.host.upstream, Departed::default(), "{name}");
    }
}

#[test]
fn where_a_refusal_is_not_taken_nothing_passes_in_either_direction() {
    for hold_headers in [true, false] {
        let mut scene = Scene::new(Mode::Enforce, options(hold_headers));
        scene.host.faults.reply = true;
        assert_eq!(scene.request(&[FORBIDDEN.as_bytes()], false), Passed::Stuck);
        assert!(scene.host.upstream.body.is_empty());
        // The server saw the headers and answers before the body has come: that is not the refusal.
        let answer = Headers::from([(":status", "200"), ("content-type", "application/json")]);
        assert_eq!(scene.response(answer, &[SECRET.as_bytes()], false), Passed::Stuck);
        assert_eq!(scene.host.downstream, Departed::default());
    }
}

#[test]
fn observation_changes_and_refuses_nothing_and_notes_it() {
    let large = " ".repeat(150);
    let cases: [(&str, Option<&str>, &[u8], Reasons<'_>); 5] = [
        ("clean", None, CLEAN.as_bytes(), &[]),
        ("to be censored", Some("66"), SECRET.as_bytes(), &[]),
        ("to be refused", None, FORBIDDEN.as_bytes(), &["forbidden_word"]),
        ("too large", None, large.as_bytes(), &["request_too_large"]),
        ("declared too large", Some("150"), large.as_bytes(), &["request_too_large"]),
    ];
    for (name, length, body, noted) in cases {
        for (hold_headers, trailers) in [(true, false), (false, false), (true, true), (false, true)] {
            let mut scene = Scene::new(Mode::Observe, options(hold_headers));
            if let Some(length) = length {
                scene.host.request_headers.set("content-length", length.as_bytes());
            }
            let before = scene.host.headers(Side::Request);
            let pieces: Vec<&[u8]> = body.chunks(40).collect();
            assert_eq!(scene.request(&pieces, trailers), Passed::On(body.to_vec()), "{name}");
            assert_eq!(scene.host.upstream.headers.as_ref(), Some(&before), "{name}");
            assert_eq!(scene.watcher.request.borrow().as_slice(), body, "{name}");
            let noted = noted.iter().map(|reason| (*reason).to_owned()).collect();
            assert_eq!(scene.reasons(), (None, noted), "{name}");
        }
    }
}

#[test]
fn observing_stages_do_not_hinder_those_that_enforce() {
    let refuser = Refuser { mode: Mode::Enforce, hook: Hook::BeforeUpstream };
    let mut scene = Scene::with(Mode::Observe, options(true), Some(refuser));
    assert!(matches!(scene.request(&[FORBIDDEN.as_bytes()], false), Passed::Refused(_)));
    assert_eq!(scene.reasons(), (Some("refused_there".to_owned()), vec!["forbidden_word".to_owned()]));

    let refuser = Refuser { mode: Mode::Observe, hook: Hook::RequestHeaders };
    let mut scene = Scene::with(Mode::Enforce, options(true), Some(refuser));
    assert!(matches!(scene.request(&[FORBIDDEN.as_bytes()], false), Passed::Refused(_)));
    assert_eq!(scene.reasons(), (Some("forbidden_word".to_owned()), vec!["refused_there".to_owned()]));
}

#[test]
fn a_body_that_nobody_reads_streams() {
    let watcher = Watcher::default();
    let (mut chain, exchange) = memory::chain(vec![Box::new(watcher.clone())], options(true));
    let mut host = MemoryHost::with_request(memory::post());
    let body = vec![b'x'; 1_000];
    let pieces: Vec<&[u8]> = body.chunks(150).collect();
    assert_eq!(host.request(&mut chain, &pieces, true), Passed::On(body.clone()));
    assert_eq!(*watcher.request.borrow(), body);
    assert!(exchange.borrow().facts.released);
}

#[test]
fn what_is_read_of_a_request_is_known_to_every_stage() {
    let mut scene = Scene::new(Mode::Enforce, options(true));
    scene.host.now = 1_700_000_000_000_000;
    scene.host.request_headers.set(":path", b"/mcp?token=hunter2#x");
    scene.request(&[SECRET.as_bytes()], false);
    let facts = &scene.exchange.borrow().facts;
    assert_eq!(facts.id, "01".repeat(16));
    assert_eq!((facts.path.as_str(), facts.host.as_str()), ("/mcp", "mcp.example.com"));
    assert_eq!((facts.http_method.as_str(), facts.started_at), ("POST", 1_700_000_000_000_000));
    assert!(facts.released);
    // Spans are those of the body that leaves.
    let params = facts.message.as_ref().unwrap().params.clone().unwrap();
    assert_eq!(&CENSORED.as_bytes()[params], br#"{"say":"(removed)"}"#);
}

#[test]
fn refusals_that_are_noted_are_few_and_different() {
    let mut facts = crate::Facts::default();
    for _ in 0..1_000 {
        facts.note(&Denial::new(403, 1, "same", "same"));
    }
    assert_eq!(facts.observed.len(), 1);
    for status in 0..1_000 {
        facts.note(&Denial::new(status, 1, "other", "other"));
    }
    assert_eq!(facts.observed.len(), 8);
}
