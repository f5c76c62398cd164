//! Chains in memory: a stage that censors, a stage that watches, and everything a proxy can do to them.

mod batch;
mod request;
mod response;
mod waiting;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use proptest::prelude::*;

use crate::{
    Chain, Denial, Exchange, Headers, Host, Limits, Mode, Next, Options, Stage,
    memory::{self, MemoryHost, Passed},
};

const CLEAN: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"say":"hello"}}"#;
const SECRET: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"say":"secret"}}"#;
const CENSORED: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"say":"(removed)"}}"#;
const FORBIDDEN: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"say":"forbidden"}}"#;

/// A body as it arrives.
type Pieces<'a> = &'a [&'a [u8]];

/// Header lines.
type Lines<'a> = &'a [(&'a str, &'a str)];

/// Reason codes that are to be noted.
type Reasons<'a> = &'a [&'a str];

/// Replaces `secret` and refuses `forbidden`, in both directions.
#[derive(Default)]
struct Censor {
    mode: Mode,
    verdicts: Rc<Cell<u32>>,
}

impl Censor {
    fn censored(&self, bytes: &[u8], status: u16) -> Result<Option<Vec<u8>>, Denial> {
        let text = String::from_utf8_lossy(bytes);
        if text.contains("forbidden") {
            return Err(Denial::new(status, -31403, "forbidden_word", "that must not be said"));
        }
        Ok(text.contains("secret").then(|| text.replace("secret", "(removed)").into_bytes()))
    }
}

impl Stage for Censor {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn reads_request(&self, _exchange: &Exchange) -> bool {
        true
    }

    fn request_body(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        self.verdicts.set(self.verdicts.get() + 1);
        if exchange.message().is_err() {
            return Ok(());
        }
        match self.censored(exchange.request_body().unwrap_or_default(), 403)? {
            Some(body) if self.mode == Mode::Enforce => exchange.rewrite_request(body),
            _ => Ok(()),
        }
    }

    fn reads_response(&self, _exchange: &Exchange) -> bool {
        true
    }

    // What an observing stage returns all the same must not matter.
    fn response_message(&self, _exchange: &mut Exchange, json: &[u8]) -> Result<Option<Vec<u8>>, Denial> {
        self.censored(json, 502)
    }

    fn response_text(&self, _exchange: &mut Exchange, text: &[u8]) -> Result<Option<Vec<u8>>, Denial> {
        self.censored(text, 502)
    }
}

/// Keeps the bytes that it is shown.
#[derive(Clone, Default)]
struct Watcher {
    mode: Mode,
    request: Rc<RefCell<Vec<u8>>>,
    response: Rc<RefCell<Vec<u8>>>,
}

impl Stage for Watcher {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn observes_bytes(&self) -> bool {
        true
    }

    fn request_bytes(&self, _exchange: &mut Exchange, bytes: &[u8]) {
        self.request.borrow_mut().extend_from_slice(bytes);
    }

    fn response_bytes(&self, _exchange: &mut Exchange, bytes: &[u8]) {
        self.response.borrow_mut().extend_from_slice(bytes);
    }
}

/// Refuses at one hook, and reads nothing.
struct Refuser {
    mode: Mode,
    hook: Hook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hook {
    RequestHeaders,
    BeforeUpstream,
    ResponseHeaders,
}

impl Refuser {
    fn at(&self, hook: Hook) -> Result<(), Denial> {
        if self.hook == hook { Err(Denial::new(503, -31503, "refused_there", "no")) } else { Ok(()) }
    }
}

impl Stage for Refuser {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn request_headers(&self, _exchange: &mut Exchange, _host: &mut dyn Host) -> Result<Next, Denial> {
        self.at(Hook::RequestHeaders).map(|()| Next::On)
    }

    fn before_upstream(&self, _exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        self.at(Hook::BeforeUpstream)
    }

    fn response_headers(&self, _exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        self.at(Hook::ResponseHeaders)
    }
}

/// A watcher and a censor in a proxy.
struct Scene {
    host: MemoryHost,
    chain: Chain,
    exchange: Rc<RefCell<Exchange>>,
    watcher: Watcher,
    verdicts: Rc<Cell<u32>>,
}

impl Scene {
    fn new(mode: Mode, options: Options) -> Self {
        Self::with(mode, options, None)
    }

    fn with(mode: Mode, options: Options, inner: Option<Refuser>) -> Self {
        let watcher = Watcher { mode, ..Watcher::default() };
        let censor = Censor { mode, ..Censor::default() };
        let verdicts = Rc::clone(&censor.verdicts);
        let mut stages: Vec<Box<dyn Stage>> = vec![Box::new(watcher.clone()), Box::new(censor)];
        stages.extend(inner.map(|stage| Box::new(stage) as Box<dyn Stage>));
        let (chain, exchange) = memory::chain(stages, options);
        Self { host: MemoryHost::with_request(memory::post()), chain, exchange, watcher, verdicts }
    }

    /// A scene whose request has gone to the server.
    fn answering(mode: Mode, options: Options) -> Self {
        let mut scene = Self::new(mode, options);
        assert_eq!(scene.request(&[CLEAN.as_bytes()], false), Passed::On(CLEAN.into()));
        scene
    }

    fn request(&mut self, pieces: &[&[u8]], trailers: bool) -> Passed {
        self.host.request(&mut self.chain, pieces, trailers)
    }

    fn response(&mut self, headers: Headers, pieces: &[&[u8]], trailers: bool) -> Passed {
        self.host.response(&mut self.chain, headers, pieces, trailers)
    }

    /// Reason codes of what was refused and of what would have been.
    fn reasons(&self) -> (Option<String>, Vec<String>) {
        let facts = &self.exchange.borrow().facts;
        let refused = facts.refusal.as_ref().map(|refusal| refusal.reason.clone());
        (refused, facts.observed.iter().map(|refusal| refusal.reason.clone()).collect())
    }
}

fn options(hold_headers: bool) -> Options {
    let limits = Limits { request_bytes: 100, response_bytes: 200, event_bytes: 100 };
    Options { hold_headers, limits }
}

fn headers_with(mut headers: Headers, lines: &[(&str, &str)]) -> Headers {
    for (name, value) in lines {
        headers.set(name, value.as_bytes());
    }
    headers
}

/// The pieces of `body` between the places of `cuts`, empty ones included.
fn cut<'a>(body: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

fn error_of(body: &[u8]) -> (serde_json::Value, String) {
    let error: serde_json::Value = serde_json::from_slice(body).unwrap();
    (error["id"].clone(), error["error"]["data"]["reason"].as_str().unwrap().to_owned())
}
