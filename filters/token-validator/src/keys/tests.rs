use airlock_jose::issue::SigningKey;
use airlock_pipeline::{CallAnswer, OutgoingCall, memory::MemoryHost};
use serde_json::{Value, json};

use super::*;
use crate::configuration::IssuerConfiguration;

const ISSUER: &str = "https://idp.example.com/tenant";
const START_MS: u64 = 1_700_000_000_000;
const REFRESH_MS: u64 = 300_000;
const UNKNOWN_KEY_MS: u64 = 5_000;
const TIMEOUT_MS: u64 = 5_000;
const KEEP_MS: u64 = 86_400_000;

/// A worker of the proxy; what workers share is in the host.
struct Worker {
    source: Rc<RefCell<Source>>,
    keys: Keys,
    warnings: Vec<String>,
}

impl Worker {
    fn new() -> Self {
        let configured = json!({"issuer": ISSUER, "cluster": "idp"});
        let configured: IssuerConfiguration = serde_json::from_value(configured).unwrap();
        let mut keys = Keys::default();
        let source = keys.source(Settings::new(&configured, "idp").unwrap());
        Self { source, keys, warnings: Vec::new() }
    }

    fn tick(&mut self, host: &mut MemoryHost) -> airlock_pipeline::Upkeep {
        self.source.borrow_mut().upkeep(&mut self.keys.next_call, host).unwrap()
    }

    fn answer(
        &mut self,
        call: u32,
        answer: Option<&CallAnswer>,
        host: &mut MemoryHost,
    ) -> airlock_pipeline::Upkeep {
        self.source.borrow_mut().answered(call, answer, &mut self.keys.next_call, host).unwrap()
    }

    /// Makes one attempt with this provider, if one is due. Returns the paths that were asked for.
    fn attempt(
        &mut self,
        host: &mut MemoryHost,
        provider: impl Fn(&str) -> Option<CallAnswer>,
    ) -> Vec<String> {
        let mut paths = Vec::new();
        let mut calls = self.tick(host).calls;
        while let Some(OutgoingCall { id, path, authority, cluster, method, .. }) = calls.pop() {
            assert_eq!((authority.as_str(), cluster.as_str(), method), ("idp.example.com", "idp", "GET"));
            let following = self.answer(id, provider(&path).as_ref(), host);
            assert_eq!(following.wake, following.calls.is_empty(), "whoever waits is woken at the end");
            calls = following.calls;
            self.warnings.extend(following.warnings);
            paths.push(path);
        }
        paths
    }

    /// A request that begins to wait now.
    fn request(&self, host: &MemoryHost) -> Wait {
        Wait { since_ms: now(host), after: None, place: self.keys.place().unwrap() }
    }

    fn missing(&self, request: &mut Wait, host: &mut MemoryHost) -> Missing {
        let has_keys = self.held(host).is_some();
        self.source.borrow_mut().missing(has_keys, request, host).unwrap()
    }

    /// How many keys are held.
    fn held(&self, host: &MemoryHost) -> Option<usize> {
        self.source.borrow().held(now(host)).map(|(keys, _)| keys.len())
    }
}

fn host() -> MemoryHost {
    MemoryHost { now: START_MS * 1_000, ..MemoryHost::default() }
}

fn now(host: &MemoryHost) -> u64 {
    host.now / 1_000
}

fn pass(host: &mut MemoryHost, milliseconds: u64) {
    host.now += milliseconds * 1_000;
}

fn ok(body: &Value) -> Option<CallAnswer> {
    Some(CallAnswer { status: 200, body: body.to_string().into_bytes() })
}

fn key_set(seeds: &[u8]) -> Value {
    let keys: Vec<Value> =
        seeds.iter().map(|seed| SigningKey::from_seed([*seed; 32]).unwrap().public_jwk()).collect();
    json!({ "keys": keys })
}

/// A provider with OpenID's metadata and these keys.
fn provider(seeds: &'static [u8]) -> impl Fn(&str) -> Option<CallAnswer> {
    |path| match path {
        "/tenant/.well-known/openid-configuration" => {
            ok(&json!({ "issuer": ISSUER, "jwks_uri": "https://idp.example.com/keys?v=2" }))
        }
        "/keys?v=2" => ok(&key_set(seeds)),
        _ => Some(CallAnswer { status: 404, body: Vec::new() }),
    }
}

fn down(_path: &str) -> Option<CallAnswer> {
    None
}

#[test]
fn keys_are_found_by_discovery_and_the_first_request_waits_for_them() {
    let (mut host, mut worker) = (host(), Worker::new());
    assert_eq!(worker.missing(&mut worker.request(&host), &mut host), Missing::Wait);
    let paths = worker.attempt(&mut host, provider(&[1]));
    assert_eq!(
        paths,
        [
            "/.well-known/oauth-authorization-server/tenant",
            "/tenant/.well-known/openid-configuration",
            "/keys?v=2"
        ]
    );
    assert_eq!(worker.held(&host), Some(1));
    assert!(worker.attempt(&mut host, provider(&[1])).is_empty(), "nothing is due");
}

#[test]
fn one_worker_fetches_for_all_and_a_new_configuration_fetches_nothing() {
    let (mut host, mut first, mut second) = (host(), Worker::new(), Worker::new());
    let under_way = first.tick(&mut host);
    assert_eq!(under_way.calls.len(), 1);
    assert!(second.tick(&mut host).calls.is_empty(), "the first is at it");
    let mut request = second.request(&host);
    assert_eq!(second.missing(&mut request, &mut host), Missing::Wait);

    let following = first.answer(under_way.calls[0].id, None, &mut host).calls;
    let following =
        first.answer(following[0].id, provider(&[1])(&following[0].path).as_ref(), &mut host).calls;
    first.answer(following[0].id, provider(&[1])(&following[0].path).as_ref(), &mut host);
    assert_eq!(second.missing(&mut request, &mut host), Missing::Look);
    assert_eq!(second.held(&host), Some(1));
    let mut third = Worker::new();
    assert!(third.tick(&mut host).wake);
    assert_eq!(third.held(&host), Some(1));
}

#[test]
fn keys_are_renewed_in_time_and_those_that_are_withdrawn_are_gone() {
    let (mut host, mut worker) = (host(), Worker::new());
    worker.attempt(&mut host, provider(&[1, 2]));
    pass(&mut host, REFRESH_MS - 1);
    assert!(worker.attempt(&mut host, provider(&[2])).is_empty());
    pass(&mut host, 1);
    assert_eq!(worker.attempt(&mut host, provider(&[2])).len(), 3);
    assert_eq!(worker.held(&host), Some(1));
}

#[test]
fn an_unknown_key_brings_about_a_fetch_and_a_flood_of_them_no_more_than_one_at_a_time() {
    let (mut host, mut worker) = (host(), Worker::new());
    worker.attempt(&mut host, provider(&[1]));
    pass(&mut host, 1_000);
    let mut request = worker.request(&host);
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Wait);
    assert!(worker.attempt(&mut host, provider(&[1, 2])).is_empty(), "too soon after the last");
    pass(&mut host, UNKNOWN_KEY_MS - 1_000);
    assert!(!worker.attempt(&mut host, provider(&[1, 2])).is_empty());
    assert_eq!(worker.held(&host), Some(2), "the new key is there, the old one still");

    let fetches = (0..1_000).filter(|_| {
        pass(&mut host, 100);
        worker.missing(&mut worker.request(&host), &mut host);
        !worker.attempt(&mut host, provider(&[1, 2])).is_empty()
    });
    let most = 100_000 / UNKNOWN_KEY_MS;
    assert!((1..=most).contains(&(fetches.count() as u64)));
}

#[test]
fn a_request_that_is_asked_again_while_its_fetch_is_under_way_goes_on_waiting() {
    let (mut host, mut worker) = (host(), Worker::new());
    worker.attempt(&mut host, provider(&[1]));
    pass(&mut host, 1_000);
    let mut request = worker.request(&host);
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Wait);
    pass(&mut host, UNKNOWN_KEY_MS - 1_000);
    let under_way = worker.tick(&mut host);
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Wait);
    let following = worker.answer(under_way.calls[0].id, None, &mut host).calls;
    let answer = |call: &OutgoingCall| provider(&[1, 2])(&call.path);
    let following = worker.answer(following[0].id, answer(&following[0]).as_ref(), &mut host).calls;
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Wait);
    worker.answer(following[0].id, answer(&following[0]).as_ref(), &mut host);
    assert_eq!(worker.held(&host), Some(2));
}

#[test]
fn a_key_that_the_issuer_does_not_have_is_unknown_once_it_was_asked() {
    let (mut host, mut worker) = (host(), Worker::new());
    worker.attempt(&mut host, provider(&[1]));
    pass(&mut host, UNKNOWN_KEY_MS);
    let mut request = worker.request(&host);
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Wait);
    worker.attempt(&mut host, provider(&[1]));
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Unknown);
    // Whether it has one while it cannot be asked is not known.
    pass(&mut host, UNKNOWN_KEY_MS);
    let mut request = worker.request(&host);
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Wait);
    worker.attempt(&mut host, down);
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Unavailable);
}

#[test]
fn keys_are_kept_while_the_issuer_is_down_up_to_a_bound() {
    let (mut host, mut worker) = (host(), Worker::new());
    worker.attempt(&mut host, provider(&[1]));
    let mut attempts = 0;
    let step = 500;
    for _ in 0..(KEEP_MS / step) {
        pass(&mut host, step);
        attempts += usize::from(!worker.attempt(&mut host, down).is_empty());
        assert_eq!(worker.held(&host), Some(1));
    }
    // About once a minute: the time between attempts doubles up to that.
    assert!((1_000..1_600).contains(&attempts), "{attempts}");
    pass(&mut host, step);
    assert_eq!(worker.held(&host), None, "too old");
    let mut request = Wait { since_ms: now(&host) - TIMEOUT_MS, ..worker.request(&host) };
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Unavailable);
    pass(&mut host, 60_000);
    worker.attempt(&mut host, provider(&[2]));
    assert_eq!(worker.held(&host), Some(1));
}

#[test]
fn a_request_waits_for_an_issuer_that_is_down_no_longer_than_a_fetch_may_take() {
    let (mut host, mut worker) = (host(), Worker::new());
    worker.attempt(&mut host, down);
    let mut request = worker.request(&host);
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Wait, "it may come back");
    pass(&mut host, TIMEOUT_MS);
    assert_eq!(worker.missing(&mut request, &mut host), Missing::Unavailable);
}

#[test]
fn what_is_no_key_set_changes_nothing() {
    let private = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]});
    let answers = [
        Some(CallAnswer { status: 500, body: key_set(&[9]).to_string().into_bytes() }),
        Some(CallAnswer { status: 301, body: key_set(&[9]).to_string().into_bytes() }),
        Some(CallAnswer { status: 200, body: b"<html>".to_vec() }),
        Some(CallAnswer { status: 200, body: b"{\"keys\":[],\"keys\":[]}".to_vec() }),
        ok(&json!({ "keys": [] })),
        ok(&private),
        None,
    ];
    for answer in answers {
        let (mut host, mut worker) = (host(), Worker::new());
        worker.attempt(&mut host, provider(&[1]));
        pass(&mut host, REFRESH_MS);
        let broken =
            |path: &str| if path.starts_with("/keys") { answer.clone() } else { provider(&[1])(path) };
        assert_eq!(worker.attempt(&mut host, broken).len(), 3);
        assert_eq!(worker.held(&host), Some(1), "{answer:?}");
        assert_eq!(host.counters["keys_not_fetched"], 1);
        assert_eq!(worker.warnings.len(), 1);
        assert!(worker.warnings[0].contains(ISSUER), "{:?}", worker.warnings);
    }
}

#[test]
fn another_worker_takes_over_from_one_that_dies() {
    let (mut host, mut dying, mut other) = (host(), Worker::new(), Worker::new());
    assert_eq!(dying.tick(&mut host).calls.len(), 1);
    drop(dying);
    pass(&mut host, TIMEOUT_MS);
    assert!(other.tick(&mut host).calls.is_empty());
    pass(&mut host, 2 * TIMEOUT_MS);
    assert_eq!(other.tick(&mut host).calls.len(), 1);
}

#[test]
fn answers_that_come_too_late_or_to_nobody_are_left_alone() {
    let (mut host, mut worker) = (host(), Worker::new());
    let call = worker.tick(&mut host).calls[0].id;
    pass(&mut host, 3 * TIMEOUT_MS);
    let again = worker.tick(&mut host).calls[0].id;
    assert_ne!(call, again);
    let late = worker.answer(call, ok(&key_set(&[1])).as_ref(), &mut host);
    assert!(late.calls.is_empty() && !late.wake);
    assert_eq!(worker.held(&host), None);
}

#[test]
fn places_of_those_who_wait_are_bounded_and_given_back() {
    let keys = Keys::default();
    let taken: Vec<_> = (0..WAITING).map(|_| keys.place().unwrap()).collect();
    assert!(keys.place().is_none());
    drop(taken);
    assert!(keys.place().is_some());
}

#[test]
fn the_same_settings_are_the_same_source() {
    let mut worker = Worker::new();
    let configured = json!({"issuer": ISSUER, "cluster": "idp"});
    let mut configured: IssuerConfiguration = serde_json::from_value(configured).unwrap();
    let same = worker.keys.source(Settings::new(&configured, "idp").unwrap());
    assert!(Rc::ptr_eq(&same, &worker.source));
    configured.refresh_seconds = 7;
    let other = worker.keys.source(Settings::new(&configured, "idp").unwrap());
    assert!(!Rc::ptr_eq(&other, &worker.source));
}

#[test]
fn settings_that_lead_nowhere_are_refused_with_the_place() {
    let cases = [
        (json!({"issuer": "urn:example:issuer"}), "issuer: `urn:example:issuer` is no URL"),
        (json!({"issuer": "https://login.example.com/{tenant}/v2.0"}), "jwks_uri: say where"),
        (json!({"issuer": ISSUER, "jwks_uri": "/keys"}), "jwks_uri: `/keys` is no URL"),
        (
            json!({"issuer": ISSUER, "jwks_uri": "https://a/", "discovery_uri": "https://a/"}),
            "discovery_uri: ",
        ),
    ];
    for (configured, problem) in cases {
        let configured: IssuerConfiguration = serde_json::from_value(configured).unwrap();
        let error = Settings::new(&configured, "idp").unwrap_err();
        assert!(error.starts_with(problem), "{error}");
    }
}
