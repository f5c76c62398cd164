//! A stage that needs something that is on its way.

use serde_json::json;

use super::*;
use crate::{Directive, Reply, Side, memory::Departed};

/// Waits so many times, and then does as it is told.
struct Waiter {
    left: Cell<u32>,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    On,
    Refuse,
    Reply,
}

impl Stage for Waiter {
    fn request_headers(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<Next, Denial> {
        if self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            return Ok(Next::Wait);
        }
        match self.then {
            Then::On => {
                exchange.facts.resource_metadata = Some("https://mcp.example.com/metadata".to_owned());
                Ok(Next::On)
            }
            Then::Refuse => Err(Denial::new(401, -31401, "token_expired", "no")),
            Then::Reply => Ok(Next::Reply(metadata())),
        }
    }
}

/// Counts how often it is shown the headers, and sees what stages before it have found out.
#[derive(Clone, Default)]
struct Counter {
    asked: Rc<Cell<u32>>,
    informed: Rc<Cell<bool>>,
}

impl Stage for Counter {
    fn request_headers(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<Next, Denial> {
        self.asked.set(self.asked.get() + 1);
        self.informed.set(exchange.facts.resource_metadata.is_some());
        Ok(Next::On)
    }
}

fn metadata() -> Reply {
    let headers = vec![("content-type", "application/json".to_owned())];
    Reply { status: 200, headers, body: b"{\"resource\":\"x\"}".to_vec(), reason: "resource_metadata" }
}

/// What comes of a request while it stands still.
type Meanwhile<'a> = (&'a str, Pieces<'a>, End);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Said,
    Trailers,
}

/// A chain with a stage before and after the one that waits, and a censor and a watcher behind, unless nobody reads.
struct Waits {
    scene: Scene,
    before: Counter,
    after: Counter,
}

impl Waits {
    fn new(times: u32, then: Then, options: Options, reads: bool) -> Self {
        let (before, after) = (Counter::default(), Counter::default());
        let (watcher, censor) = (Watcher::default(), Censor::default());
        let verdicts = Rc::clone(&censor.verdicts);
        let mut stages: Vec<Box<dyn Stage>> = vec![
            Box::new(watcher.clone()),
            Box::new(before.clone()),
            Box::new(Waiter { left: Cell::new(times), then }),
            Box::new(after.clone()),
        ];
        if reads {
            stages.push(Box::new(censor));
        }
        let (chain, exchange) = memory::chain(stages, options);
        let host = MemoryHost::with_request(memory::post());
        Self { scene: Scene { host, chain, exchange, watcher, verdicts }, before, after }
    }

    /// The headers come, and then the rest while the chain waits. Nothing passes.
    fn arrive(&mut self, pieces: Pieces<'_>, end: End) {
        let Scene { host, chain, .. } = &mut self.scene;
        let bare = pieces.is_empty() && end == End::Said;
        assert_eq!(chain.request_headers(host, bare), Directive::Pause);
        assert!(chain.is_waiting());
        for (index, piece) in pieces.iter().enumerate() {
            host.request_body.extend_from_slice(piece);
            let last = end == End::Said && index + 1 == pieces.len();
            let size = host.request_body.len();
            assert_eq!(chain.request_body(host, size, last), Directive::Pause);
        }
        if end == End::Trailers {
            assert_eq!(chain.request_trailers(host), Directive::Pause);
        }
        assert!(chain.is_waiting() && host.upstream == Departed::default() && host.reply.is_none());
    }

    fn resume(&mut self) -> Directive {
        self.scene.chain.resume(&mut self.scene.host)
    }

    /// The body that leaves once the chain lets it.
    fn left(&self) -> &[u8] {
        &self.scene.host.request_body
    }

    fn reply(&mut self) -> Reply {
        self.scene.host.reply.take().expect("the client has an answer")
    }
}

const MEANWHILE: [Meanwhile<'_>; 6] = [
    ("nothing", &[], End::Open),
    ("a piece", &[SECRET.as_bytes().split_at(20).0], End::Open),
    ("everything, and it has not said so", &[SECRET.as_bytes()], End::Open),
    ("everything", &[SECRET.as_bytes().split_at(20).0, SECRET.as_bytes().split_at(20).1], End::Said),
    ("everything and an empty piece", &[SECRET.as_bytes(), b""], End::Said),
    ("everything and trailers", &[SECRET.as_bytes()], End::Trailers),
];

#[test]
fn what_has_come_meanwhile_is_judged_with_what_comes_later() {
    for (name, pieces, end) in MEANWHILE {
        for (hold_headers, times) in [(true, 1), (true, 3), (false, 1), (false, 2)] {
            let mut waits = Waits::new(times, Then::On, options(hold_headers), true);
            waits.arrive(pieces, end);
            for _ in 1..times {
                assert_eq!(waits.resume(), Directive::Pause, "{name}");
                assert!(waits.scene.chain.is_waiting(), "{name}");
            }
            let mut directive = waits.resume();
            let come = waits.scene.host.request_body.len();
            // Headers that cannot be held leave as soon as they may, unless the body is held with them.
            let leaves = end != End::Open || (!hold_headers && come == 0);
            assert_eq!(directive == Directive::Continue, leaves, "{name}, held: {hold_headers}");
            assert!(!waits.scene.chain.is_waiting());
            if end == End::Open {
                let Scene { host, chain, .. } = &mut waits.scene;
                host.request_body.extend_from_slice(&SECRET.as_bytes()[come..]);
                directive = chain.request_body(host, SECRET.len(), true);
            }
            assert_eq!(directive, Directive::Continue, "{name}");
            assert_eq!(waits.left(), CENSORED.as_bytes(), "{name}");
            assert_eq!(waits.scene.watcher.request.borrow().as_slice(), SECRET.as_bytes(), "{name}");
            let asked = (waits.before.asked.get(), waits.after.asked.get(), waits.scene.verdicts.get());
            assert_eq!(asked, (1, 1, 1), "{name}: each is asked once");
            assert!(waits.after.informed.get(), "{name}");
            let host = &waits.scene.host;
            assert_eq!(host.trailers_dropped, end == End::Trailers, "{name}");
            let length = host.request_headers.text("content-length").map(str::to_owned);
            assert_eq!(length, hold_headers.then(|| CENSORED.len().to_string()), "{name}");
            assert!(waits.scene.exchange.borrow().facts.released, "{name}");
        }
    }
}

#[test]
fn a_body_that_nobody_reads_goes_on_as_it_came() {
    for (name, pieces, end) in MEANWHILE {
        let mut waits = Waits::new(1, Then::On, options(true), false);
        waits.arrive(pieces, end);
        assert_eq!(waits.resume(), Directive::Continue, "{name}");
        assert_eq!(waits.left(), pieces.concat(), "{name}");
        assert_eq!(*waits.scene.watcher.request.borrow(), pieces.concat(), "{name}");
        assert!(waits.scene.exchange.borrow().facts.released && !waits.scene.host.trailers_dropped, "{name}");
    }
}

#[test]
fn a_request_without_a_body_goes_on_as_it_is() {
    let mut waits = Waits::new(1, Then::On, options(true), true);
    waits.arrive(&[], End::Said);
    assert_eq!(waits.resume(), Directive::Continue);
    assert_eq!((waits.left(), waits.scene.verdicts.get()), (b"".as_slice(), 1));
}

#[test]
fn a_refusal_after_waiting_is_a_refusal() {
    for (name, pieces, end) in MEANWHILE {
        for hold_headers in [true, false] {
            let mut waits = Waits::new(1, Then::Refuse, options(hold_headers), true);
            waits.arrive(pieces, end);
            assert_eq!(waits.resume(), Directive::Pause, "{name}");
            let reply = waits.reply();
            assert_eq!((reply.status, reply.reason), (401, "token_expired"), "{name}");
            assert_eq!(waits.scene.reasons().0.as_deref(), Some("token_expired"), "{name}");
            assert_eq!(waits.scene.host.counters["refused.token_expired"], 1, "{name}");
            assert_eq!(waits.after.asked.get(), 0, "{name}");
            assert_eq!(waits.resume(), Directive::Pause, "{name}: nothing follows a refusal");
            assert!(waits.scene.host.reply.is_none(), "{name}");
        }
    }
}

#[test]
fn what_is_forbidden_stays_forbidden_after_waiting() {
    let large = vec![b' '; 101];
    let cases: [(&str, &[u8], End, &str); 3] = [
        ("forbidden", FORBIDDEN.as_bytes(), End::Said, "forbidden_word"),
        ("forbidden, with trailers", FORBIDDEN.as_bytes(), End::Trailers, "forbidden_word"),
        ("too large already", &large, End::Open, "request_too_large"),
    ];
    for (name, body, end, reason) in cases {
        let mut waits = Waits::new(1, Then::On, options(true), true);
        waits.arrive(&[body], end);
        assert_eq!(waits.resume(), Directive::Pause, "{name}");
        assert_eq!(error_of(&waits.reply().body).1, reason, "{name}");
        assert_eq!(waits.scene.host.upstream, Departed::default(), "{name}");
    }
    let mut waits = Waits::new(1, Then::On, options(true), true);
    waits.arrive(&[FORBIDDEN.as_bytes()], End::Trailers);
    waits.scene.host.faults.trailers = true;
    assert_eq!(waits.resume(), Directive::Pause);
    assert_eq!(error_of(&waits.reply().body), (json!(null), "proxy_failure".to_owned()));
}

#[test]
fn a_request_that_ends_while_it_waits_was_not_forwarded() {
    for (name, pieces, end) in MEANWHILE {
        let mut waits = Waits::new(1, Then::On, options(true), true);
        waits.arrive(pieces, end);
        waits.scene.chain.finish(&mut waits.scene.host);
        let facts = &waits.scene.exchange.borrow().facts;
        assert!(!facts.released && facts.refusal.is_none() && !facts.ended, "{name}");
    }
}

#[test]
fn a_request_that_the_proxy_gave_up_does_not_go_on() {
    let mut waits = Waits::new(1, Then::On, options(true), true);
    waits.arrive(&[SECRET.as_bytes()], End::Said);
    let timeout = Headers::from([(":status", "408"), ("content-type", "text/plain")]);
    waits.scene.host.request_body.clear();
    assert_eq!(
        waits.scene.response(timeout, &[b"stream timeout"], false),
        Passed::On(b"stream timeout".to_vec())
    );
    assert!(!waits.scene.chain.is_waiting());
    assert_eq!(waits.resume(), Directive::Pause);
    assert!(!waits.scene.exchange.borrow().facts.released && waits.after.asked.get() == 0);
}

#[test]
fn a_refusal_from_outside_ends_the_wait() {
    let mut waits = Waits::new(1, Then::On, options(true), true);
    waits.arrive(&[], End::Open);
    let denial = Denial::new(503, -31503, "waiting_full", "later");
    assert_eq!(waits.scene.chain.refuse_request(&mut waits.scene.host, denial), Directive::Pause);
    assert_eq!((waits.reply().reason, waits.scene.chain.is_waiting()), ("waiting_full", false));
    assert_eq!(waits.resume(), Directive::Pause);
}

#[test]
fn a_chain_that_does_not_wait_passes_nothing_on_when_it_is_resumed() {
    let mut scene = Scene::new(Mode::Enforce, options(true));
    assert_eq!(scene.chain.resume(&mut scene.host), Directive::Pause);
    assert_eq!(scene.request(&[CLEAN.as_bytes()], false), Passed::On(CLEAN.into()));
    assert_eq!(scene.chain.resume(&mut scene.host), Directive::Pause);
    assert_eq!(scene.verdicts.get(), 1);
}

#[test]
fn a_stage_that_answers_itself_refuses_nothing() {
    for times in [0, 1] {
        let mut waits = Waits::new(times, Then::Reply, options(true), true);
        if times == 0 {
            let Scene { host, chain, .. } = &mut waits.scene;
            assert_eq!(chain.request_headers(host, true), Directive::Pause);
        } else {
            waits.arrive(&[], End::Said);
            assert_eq!(waits.resume(), Directive::Pause);
        }
        let reply = waits.reply();
        assert_eq!(reply, metadata());
        let Scene { host, chain, .. } = &mut waits.scene;
        // Stages that would not let a server answer so have no say in what is not the server's.
        assert_eq!(host.deliver(chain, &reply), Passed::On(reply.body.clone()));
        assert_eq!(*waits.scene.watcher.response.borrow(), reply.body);
        let facts = &waits.scene.exchange.borrow().facts;
        assert!(facts.answered && !facts.released && facts.refusal.is_none() && facts.ended);
        assert_eq!((facts.status, waits.after.asked.get()), (Some(200), 0));
        assert_eq!(waits.scene.host.properties["airlock.decision"], b"answer");
        assert!(waits.scene.host.counters.is_empty());
    }
}

#[test]
fn an_answer_that_is_not_taken_leaves_the_request_stuck() {
    let mut waits = Waits::new(0, Then::Reply, options(true), true);
    waits.scene.host.faults.reply = true;
    assert_eq!(waits.scene.request(&[CLEAN.as_bytes()], false), Passed::Stuck);
    let answer = Headers::from([(":status", "200"), ("content-type", "application/json")]);
    assert_eq!(waits.scene.response(answer, &[SECRET.as_bytes()], false), Passed::Stuck);
}

/// Filters of one chain, each a chain of its own, as one VM shares the exchange or several pass on its facts.
#[test]
fn the_filters_around_one_that_waits_see_the_request_once() {
    for separate_vms in [false, true] {
        let (before, after) = (Counter::default(), Counter::default());
        let stages: [Box<dyn Stage>; 3] = [
            Box::new(before.clone()),
            Box::new(Waiter { left: Cell::new(2), then: Then::On }),
            Box::new(after.clone()),
        ];
        let shared = Rc::<RefCell<Exchange>>::default();
        let exchange = |_| if separate_vms { Rc::default() } else { Rc::clone(&shared) };
        let exchanges = [(); 3].map(exchange);
        let mut host = MemoryHost::with_request(memory::post());
        let mut chains: Vec<Chain> = stages
            .into_iter()
            .zip(&exchanges)
            .map(|(stage, exchange)| Chain::new([stage].into(), Rc::clone(exchange), options(true)))
            .collect();
        // What a property carries from one VM to the next, as JSON.
        let carry = |from: usize, to: usize| {
            if separate_vms {
                let facts = serde_json::to_vec(&exchanges[from].borrow().facts).unwrap();
                exchanges[to].borrow_mut().facts = serde_json::from_slice(&facts).unwrap();
            }
        };
        assert_eq!(chains[0].request_headers(&mut host, false), Directive::Continue);
        carry(0, 1);
        assert_eq!(chains[1].request_headers(&mut host, false), Directive::Pause);
        let id = exchanges[1].borrow().facts.id.clone();
        carry(1, 0);
        assert!(!exchanges[0].borrow().facts.released, "the last filter that saw it has not let it go on");
        host.request_body = CLEAN.into();
        assert_eq!(chains[0].request_body(&mut host, CLEAN.len(), true), Directive::Continue);
        assert_eq!(chains[1].request_body(&mut host, CLEAN.len(), true), Directive::Pause);
        assert_eq!(chains[1].resume(&mut host), Directive::Pause);
        assert_eq!(chains[1].resume(&mut host), Directive::Continue);
        carry(1, 2);
        assert_eq!(chains[2].request_headers(&mut host, false), Directive::Continue);
        assert_eq!(chains[2].request_body(&mut host, CLEAN.len(), true), Directive::Continue);
        carry(2, 0);
        assert_eq!((before.asked.get(), after.asked.get(), after.informed.get()), (1, 1, true));
        let facts = &exchanges[0].borrow().facts;
        assert!(facts.released && facts.id == id && facts.resource_metadata.is_some());
        assert_eq!(host.headers(Side::Request), memory::post());
    }
}

#[test]
fn refusals_are_counted_by_reason_and_noted_ones_apart() {
    for (mode, counter) in
        [(Mode::Enforce, "refused.forbidden_word"), (Mode::Observe, "observed.forbidden_word")]
    {
        let mut scene = Scene::new(mode, options(true));
        scene.request(&[FORBIDDEN.as_bytes()], false);
        assert_eq!(scene.host.counters, [(counter.to_owned(), 1)].into(), "{mode:?}");
    }
}

/// Envoy without held headers: once they go on it shows what it has held meanwhile, and at the end of that replay the
/// body of a request that goes on with its trailers is lost.
#[test]
fn trailers_of_a_replayed_body_are_decided_a_moment_later() {
    for (body, passes) in [(SECRET, true), (FORBIDDEN, false)] {
        let mut waits = Waits::new(1, Then::On, options(false), true);
        waits.arrive(&[], End::Open);
        assert_eq!(waits.resume(), Directive::Continue);
        let Scene { host, chain, .. } = &mut waits.scene;
        host.request_body = body.into();
        assert_eq!(chain.request_body(host, body.len(), false), Directive::Pause);
        assert_eq!(chain.request_trailers(host), Directive::Pause);
        assert!(chain.is_waiting() && host.reply.is_none());
        assert_eq!(waits.resume() == Directive::Continue, passes);
        assert_eq!(waits.scene.host.reply.is_none(), passes);
        assert!(waits.scene.host.trailers_dropped && !waits.scene.chain.is_waiting());
        assert_eq!(
            (waits.before.asked.get(), waits.after.asked.get(), waits.scene.verdicts.get()),
            (1, 1, 1)
        );
        assert!(!passes || waits.left() == CENSORED.as_bytes());
    }
}
