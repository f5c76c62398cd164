use std::rc::Rc;

use airlock_pipeline::{CallAnswer, Chain, Directive, Exchange, Options, Stage, memory};
use serde_json::{Value, json};

use super::fixtures::*;
use crate::{Memory, TokenValidator};

fn fetching() -> Value {
    with(
        "/issuers",
        json!([{"issuer": ISSUER, "algorithms": ["EdDSA"], "cluster": "idp", "jwks_uri": "https://issuer.example.com/keys"}]),
    )
}

/// One worker with a request that has begun.
struct Worker {
    stages: Rc<[Box<dyn Stage>]>,
    memory: Memory,
    host: memory::MemoryHost,
}

impl Worker {
    fn new() -> Self {
        let memory = Memory::default();
        let stage: TokenValidator = stage(fetching(), &memory).unwrap();
        let host = memory::MemoryHost { now: NOW * 1_000_000, ..memory::MemoryHost::default() };
        Self { stages: Rc::new([Box::new(stage)]), memory, host }
    }

    fn begin(&mut self, token: &str) -> (Chain, Directive) {
        let mut headers = memory::post();
        headers.set("authorization", format!("Bearer {token}").as_bytes());
        self.host.request_headers = headers;
        self.host.reply = None;
        let exchange = Rc::<std::cell::RefCell<Exchange>>::default();
        let mut chain = Chain::new(Rc::clone(&self.stages), exchange, Options::default());
        let directive = chain.request_headers(&mut self.host, true);
        (chain, directive)
    }

    /// Lets the provider answer what is due; whether anything was.
    fn provide(&mut self, keys: &[Value]) -> bool {
        let upkeep = self.stages[0].upkeep(&mut self.host);
        let Some(call) = upkeep.calls.first() else { return false };
        let answer = CallAnswer { status: 200, body: json!({ "keys": keys }).to_string().into_bytes() };
        assert!(self.stages[0].answered(call.id, Some(answer), &mut self.host).wake);
        true
    }

    fn fail(&mut self) {
        let upkeep = self.stages[0].upkeep(&mut self.host);
        for call in upkeep.calls {
            self.stages[0].answered(call.id, None, &mut self.host);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.host.now += seconds * 1_000_000;
    }

    fn refusal(&self) -> Option<(u16, &'static str)> {
        self.host.reply.as_ref().map(|reply| (reply.status, reply.reason))
    }
}

fn fresh() -> Value {
    claims_with("exp", json!(NOW + 100_000))
}

#[test]
fn the_first_request_waits_for_the_first_keys_and_passes() {
    let mut worker = Worker::new();
    let (mut chain, directive) = worker.begin(&key().sign(&fresh()));
    assert_eq!(directive, Directive::Pause);
    assert_eq!(chain.resume(&mut worker.host), Directive::Pause, "nothing has come yet");
    assert!(worker.provide(&[key().public_jwk()]));
    assert_eq!(chain.resume(&mut worker.host), Directive::Continue);
    assert_eq!(worker.begin(&key().sign(&fresh())).1, Directive::Continue, "the next does not wait");
}

#[test]
fn a_request_with_a_new_key_waits_until_the_issuer_publishes_it() {
    let mut worker = Worker::new();
    assert!(worker.provide(&[key().public_jwk()]));
    let (mut chain, directive) = worker.begin(&client_key().sign(&fresh()));
    assert_eq!((directive, worker.refusal()), (Directive::Pause, None));
    assert!(!worker.provide(&[]), "too soon");
    worker.pass(5);
    assert!(worker.provide(&[key().public_jwk(), client_key().public_jwk()]));
    assert_eq!(chain.resume(&mut worker.host), Directive::Continue);
}

#[test]
fn a_key_that_nobody_publishes_is_refused_after_one_look() {
    let mut worker = Worker::new();
    assert!(worker.provide(&[key().public_jwk()]));
    worker.pass(5);
    let (mut chain, _) = worker.begin(&client_key().sign(&fresh()));
    assert!(worker.provide(&[key().public_jwk()]));
    chain.resume(&mut worker.host);
    assert_eq!(worker.refusal(), Some((401, "token_key_unknown")));
}

#[test]
fn while_the_issuer_is_down_known_keys_do_and_unknown_ones_are_nobodys_fault() {
    let mut worker = Worker::new();
    assert!(worker.provide(&[key().public_jwk()]));
    let remembered = key().sign(&fresh());
    assert_eq!(worker.begin(&remembered).1, Directive::Continue);
    worker.pass(400);
    worker.fail();
    assert_eq!(worker.begin(&remembered).1, Directive::Continue);
    assert_eq!(worker.begin(&key().sign(&fresh())).1, Directive::Continue);
    worker.pass(5);
    let (mut chain, directive) = worker.begin(&client_key().sign(&fresh()));
    assert_eq!((directive, worker.refusal()), (Directive::Pause, None));
    worker.fail();
    chain.resume(&mut worker.host);
    assert_eq!(worker.refusal(), Some((503, "keys_unavailable")));
    let retry = worker.host.reply.as_ref().unwrap().headers.iter().any(|(name, _)| *name == "retry-after");
    assert!(retry);
}

#[test]
fn a_remembered_token_does_not_outlive_its_key() {
    let mut worker = Worker::new();
    assert!(worker.provide(&[key().public_jwk()]));
    let token = key().sign(&fresh());
    assert_eq!(worker.begin(&token).1, Directive::Continue);
    worker.pass(300);
    assert!(worker.provide(&[client_key().public_jwk()]));
    worker.pass(5);
    let (mut chain, _) = worker.begin(&token);
    assert!(worker.provide(&[client_key().public_jwk()]));
    chain.resume(&mut worker.host);
    assert_eq!(worker.refusal(), Some((401, "token_key_unknown")));
}

#[test]
fn more_requests_than_may_wait_are_refused() {
    let mut worker = Worker::new();
    let mut chains = Vec::new();
    for number in 0..300 {
        let (chain, directive) = worker.begin(&key().sign(&claims_with("jti", json!(number.to_string()))));
        assert_eq!(directive, Directive::Pause);
        if worker.refusal().is_none() {
            chains.push(chain);
        }
    }
    assert_eq!((chains.len(), worker.refusal()), (256, Some((503, "keys_unavailable"))));
    drop(chains);
    worker.begin(&key().sign(&claims()));
    assert_eq!(worker.refusal(), None, "places are given back");
    assert!(worker.memory.known().keys.place().is_some());
}
