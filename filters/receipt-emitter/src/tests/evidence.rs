use super::*;

/// A queue whose signer is away.
fn unreachable() -> Rc<RefCell<Queue>> {
    let queue = Rc::<RefCell<Queue>>::default();
    queue.borrow_mut().unsent(0);
    queue
}

#[test]
fn while_the_signer_is_away_calls_that_read_go_on_and_others_wait() {
    use PolicyOperation::{Destructive, Financial, List, Read, Session, Stream, Unknown, Write};
    let plain = || configuration(&json!({"plain": true}));
    for operation in [Read, List, Session, Stream, Write, Financial, Destructive, Unknown] {
        let reads = matches!(operation, Read | List | Session | Stream);
        let others = Others { verdict: Some(verdict(true, operation)), ..others() };
        let mut scene = Scene::with(plain(), Mode::Enforce, others, unreachable());
        let passed = scene.ask();
        assert_eq!(scene.exchange.borrow().facts.evidence, Evidence::Queued);
        if reads {
            assert_eq!(passed, Passed::On(CALL.into()), "{operation:?}");
            continue;
        }
        let Passed::Refused(reply) = passed else { panic!("{operation:?}") };
        assert_eq!((reply.status, reply.reason), (503, "evidence_unavailable"));
        assert_eq!(scene.host.upstream, Departed::default());
        assert_eq!(scene.record().decision.reason.as_str(), "evidence_unavailable");
    }
    // Without a policy the method says what a call does.
    let mut scene = Scene::with(plain(), Mode::Enforce, others(), unreachable());
    assert!(matches!(scene.ask(), Passed::Refused(reply) if reply.reason == "evidence_unavailable"));
    // Once records are acknowledged again, everything goes on.
    let queue = unreachable();
    queue.borrow_mut().push(b"1".to_vec(), true);
    queue.borrow_mut().sent(1, 0);
    queue.borrow_mut().acknowledged(1);
    let mut scene = Scene::with(plain(), Mode::Enforce, allowing(), queue);
    assert_eq!(scene.ask(), Passed::On(CALL.into()));
}

#[test]
fn the_guard_alone_reads_what_it_cannot_know_yet() {
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let cases = [
        ("a write", Evidence::Queued, None, CALL, true, Some("evidence_unavailable")),
        ("a list", Evidence::Queued, None, list, true, None),
        ("no message", Evidence::Queued, None, "{", true, Some("json_syntax")),
        ("evidence is kept", Evidence::Kept, None, "{", true, None),
        // A verdict on headers alone is not the last one.
        (
            "allowed as a read by its headers",
            Evidence::Queued,
            Some(verdict(true, PolicyOperation::Read)),
            list,
            false,
            None,
        ),
    ];
    for (name, evidence, verdict, body, hold_headers, reason) in cases {
        let options = Options { hold_headers, ..Options::default() };
        let (mut chain, exchange) = memory::chain(vec![Box::new(ReceiptIntent::default())], options);
        exchange.borrow_mut().facts = Facts { evidence, verdict, ..Facts::default() };
        let mut host = MemoryHost::with_request(memory::post());
        let passed = host.request(&mut chain, &[body.as_bytes()], false);
        match (passed, reason) {
            (Passed::On(sent), None) => assert_eq!(sent, body.as_bytes(), "{name}"),
            (Passed::Refused(reply), Some(reason)) => assert_eq!(reply.reason, reason, "{name}"),
            (passed, _) => panic!("{name}: {passed:?}"),
        }
    }
    let options = Options { hold_headers: false, ..Options::default() };
    let (mut chain, exchange) = memory::chain(vec![Box::new(ReceiptIntent::default())], options);
    exchange.borrow_mut().facts = Facts {
        evidence: Evidence::Queued,
        verdict: Some(verdict(true, PolicyOperation::Read)),
        ..Facts::default()
    };
    let mut host = MemoryHost::with_request(memory::post());
    chain.request_headers(&mut host, false);
    exchange.borrow_mut().facts.verdict = Some(verdict(true, PolicyOperation::Write));
    host.request_body = CALL.into();
    chain.request_body(&mut host, CALL.len(), true);
    assert_eq!(host.reply.unwrap().reason, "evidence_unavailable");
}

#[test]
fn a_full_queue_refuses_every_call_and_observation_does_not_let_it_grow() {
    for (mode, refused) in [(Mode::Enforce, true), (Mode::Observe, false)] {
        let queue = Rc::<RefCell<Queue>>::default();
        let plain = configuration(&json!({"plain": true}));
        for _ in 0..4 {
            queue.borrow_mut().push(b"{}".to_vec(), true);
        }
        for dropped in 1..=3 {
            let mut scene = Scene::with(plain.clone(), mode, allowing(), Rc::clone(&queue));
            match scene.ask() {
                Passed::Refused(reply) if refused => {
                    assert_eq!((reply.status, reply.reason), (503, "evidence_full"));
                    assert_eq!(scene.host.upstream, Departed::default());
                }
                passed => assert_eq!((passed, refused), (Passed::On(CALL.into()), false)),
            }
            scene.chain.finish(&mut scene.host);
            assert_eq!((queue.borrow().len(), queue.borrow().refused()), (4, dropped));
        }
    }
}

#[test]
fn configurations_that_could_not_work_are_refused() {
    let plain = || configuration(&json!({"plain": true}));
    let with = |pointer: &str, value: Value| {
        let mut document = plain();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[name] = value;
        document
    };
    let cases = [
        (configuration(&json!({})), "digests: "),
        (configuration(&json!({"plain": true, "key": KEY, "key_id": "k"})), "digests: "),
        (configuration(&json!({"key": KEY})), "digests: "),
        (configuration(&json!({"key": "planted!", "key_id": "k"})), "digests.key: "),
        (configuration(&json!({"key": "c2hvcnQ", "key_id": "k"})), "digests.key: "),
        (configuration(&json!({"key": KEY, "key_id": ""})), "digests.key_id: "),
        (with("/gateway", json!("")), "gateway: "),
        (with("/gateway", json!("g".repeat(129))), "gateway: "),
        (with("/signer/token", json!("planted\r\n")), "signer.token: "),
        (with("/signer/interval_ms", json!(0)), "signer and queue: "),
        (with("/queue/records", json!(0)), "signer and queue: "),
        (with("/queue/batch", json!(1_001)), "queue.batch: "),
        (with("/queue/length", json!(1)), "unknown field `length`"),
    ];
    for (document, problem) in cases {
        let queue = Rc::default();
        let error = emitter(document, &queue).err().unwrap();
        assert!(error.contains(problem) && !error.contains("planted"), "{error}");
    }
}

#[test]
fn a_configuration_changes_the_queue_only_when_all_of_it_is_accepted() {
    let queue = Rc::<RefCell<Queue>>::default();
    let (_, delivery) = emitter(configuration(&json!({"plain": true})), &queue).unwrap();
    for _ in 0..5 {
        assert!(queue.borrow_mut().push(b"{}".to_vec(), false));
    }
    assert_eq!(delivery.queue.records, 4);
    assert!(!format!("{delivery:?}").contains("planted"));
}

#[test]
fn deliveries_are_bounded_in_bytes_too() {
    let mut queue = Queue::default();
    for _ in 0..5 {
        queue.push(vec![b' '; 1 << 20], true);
    }
    queue.push(vec![b' '; 5 << 20], true);
    for expected in [1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 5 << 20] {
        let body = queue.next_delivery(0).unwrap();
        assert_eq!(body.len(), "{\"records\":[]}".len() + expected);
        queue.sent(1, 0);
        queue.acknowledged(1);
    }
    assert!(queue.is_empty());
}
