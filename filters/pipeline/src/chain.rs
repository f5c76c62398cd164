use std::{cell::RefCell, rc::Rc};

use serde::Deserialize;

use crate::{
    Denial, Exchange, Facts, Headers, Host, HostError, Mode, Refusal, Side, Stage, denial::rpc, publish,
    response::Answer,
};

/// What the proxy has to do after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Pass on what there is.
    Continue,
    /// Keep what there is and wait for more, or for good after a reply.
    Pause,
}

/// Sizes that a chain reads at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Request body, bytes. The proxy's own buffer must be larger, or its error takes the place of ours.
    pub request_bytes: usize,
    /// Response body that is not an event stream, bytes.
    pub response_bytes: usize,
    /// One event of an event stream, bytes.
    pub event_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_bytes: 1 << 20, response_bytes: 4 << 20, event_bytes: 4 << 20 }
    }
}

/// How a chain lives in its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the proxy can hold headers back until the body has been judged (Envoy:
    /// `allow_on_headers_stop_iteration`). Where it cannot, the server may see the headers of a call that is refused.
    pub hold_headers: bool,
    /// Sizes that are read at most.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self { hold_headers: true, limits: Limits::default() }
    }
}

/// One or more stages at work on one exchange.
///
/// Traps of the proxy that this type answers for: a request with trailers never ends its body, so the verdict falls
/// in the body's last piece or in the trailers, and exactly once; a body that changes its length needs its
/// `content-length` corrected; the proxy's own answers pass the response hooks as well.
pub struct Chain {
    stages: Rc<[Box<dyn Stage>]>,
    exchange: Rc<RefCell<Exchange>>,
    options: Options,
    request: Request,
    answer: Answer,
}

/// How far the request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Nothing is read; pieces are passed on.
    Streaming,
    /// The body is being gathered; so many bytes are there.
    Gathering(usize),
    /// The verdict has fallen and the request is on its way.
    Released,
    /// A reply has been given.
    Refused,
}

impl Chain {
    /// A chain of `stages`, outermost first, on an exchange that other filters may share.
    pub fn new(stages: Rc<[Box<dyn Stage>]>, exchange: Rc<RefCell<Exchange>>, options: Options) -> Self {
        Self { stages, exchange, options, request: Request::Streaming, answer: Answer::default() }
    }

    /// The request's headers have come; `end_of_stream` if there will be no body.
    pub fn request_headers(&mut self, host: &mut dyn Host, end_of_stream: bool) -> Directive {
        let exchange = Rc::clone(&self.exchange);
        let exchange = &mut *exchange.borrow_mut();
        exchange.request_headers = host.headers(Side::Request);
        exchange.headers_held = self.options.hold_headers;
        if exchange.request_headers == Headers::default() {
            // Every request has headers: the proxy does not hand them over, and nothing can be judged without them.
            return self.refuse(exchange, host, &HostError.into());
        }
        if exchange.facts.id.is_empty() {
            open(&mut exchange.facts, &exchange.request_headers, host);
        }
        match self.on_headers(exchange, host, end_of_stream) {
            Ok(directive) => directive,
            Err(denial) => self.refuse(exchange, host, &denial),
        }
    }

    fn on_headers(
        &mut self,
        exchange: &mut Exchange,
        host: &mut dyn Host,
        end_of_stream: bool,
    ) -> Result<Directive, Denial> {
        each(&self.stages, exchange, host, |stage, exchange, host| stage.request_headers(exchange, host))?;
        if !self.stages.iter().any(|stage| stage.reads_request(exchange)) {
            each(&self.stages, exchange, host, |stage, exchange, host| {
                stage.before_upstream(exchange, host)
            })?;
            return Ok(Directive::Continue);
        }
        let declared = exchange.request_headers.text("content-length").and_then(|length| length.parse().ok());
        if declared.is_some_and(|length: usize| length > self.options.limits.request_bytes) {
            return Err(self.request_too_large());
        }
        self.request = Request::Gathering(0);
        if end_of_stream {
            return self.judge(exchange, host).map(|()| Directive::Continue);
        }
        if self.options.hold_headers {
            return Ok(Directive::Pause);
        }
        // The headers leave now and the body may change later, so its length must not be promised.
        host.remove_header(Side::Request, "content-length")?;
        Ok(Directive::Continue)
    }

    /// A piece of the request's body has come; `size` bytes can be read.
    pub fn request_body(&mut self, host: &mut dyn Host, size: usize, end_of_stream: bool) -> Directive {
        let exchange = Rc::clone(&self.exchange);
        let exchange = &mut *exchange.borrow_mut();
        match self.request {
            Request::Refused => Directive::Pause,
            Request::Released => Directive::Continue,
            Request::Streaming => {
                if self.observed() && size > 0 {
                    match host.body(Side::Request, size) {
                        Ok(bytes) => observe_request(&self.stages, exchange, &bytes),
                        Err(error) => return self.refuse(exchange, host, &error.into()),
                    }
                }
                Directive::Continue
            }
            Request::Gathering(_) => {
                self.request = Request::Gathering(size);
                let verdict = if size > self.options.limits.request_bytes {
                    Err(self.request_too_large())
                } else if end_of_stream {
                    self.judge(exchange, host)
                } else {
                    return Directive::Pause;
                };
                self.settle(exchange, host, verdict)
            }
        }
    }

    /// The request's trailers have come: the body ended without saying so.
    pub fn request_trailers(&mut self, host: &mut dyn Host) -> Directive {
        let exchange = Rc::clone(&self.exchange);
        let exchange = &mut *exchange.borrow_mut();
        exchange.facts.trailers = true;
        match self.request {
            Request::Refused => Directive::Pause,
            Request::Released | Request::Streaming => Directive::Continue,
            Request::Gathering(_) => {
                let verdict = self.judge(exchange, host);
                self.settle(exchange, host, verdict)
            }
        }
    }

    /// The whole body is there: the one place where a request that paused is decided.
    fn judge(&mut self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        let Request::Gathering(size) = self.request else { return Ok(()) };
        let body = if size == 0 { Vec::new() } else { host.body(Side::Request, size)? };
        observe_request(&self.stages, exchange, &body);
        exchange.keep_body(body);
        each(&self.stages, exchange, host, |stage, exchange, host| stage.request_body(exchange, host))?;
        each(&self.stages, exchange, host, |stage, exchange, host| stage.before_upstream(exchange, host))?;
        if let Some(body) = exchange.take_rewritten() {
            if self.options.hold_headers {
                host.set_header(Side::Request, "content-length", &body.len().to_string())?;
            }
            host.replace_body(Side::Request, size, &body)?;
        }
        self.request = Request::Released;
        Ok(())
    }

    fn settle(
        &mut self,
        exchange: &mut Exchange,
        host: &mut dyn Host,
        verdict: Result<(), Denial>,
    ) -> Directive {
        match verdict {
            Ok(()) => Directive::Continue,
            Err(denial) => self.refuse(exchange, host, &denial),
        }
    }

    fn refuse(&mut self, exchange: &mut Exchange, host: &mut dyn Host, denial: &Denial) -> Directive {
        self.request = Request::Refused;
        record_refusal(exchange, host, denial, false);
        let id = exchange.facts.message.as_ref().and_then(|message| message.id.clone());
        // A reply that the proxy does not take leaves the request paused: it runs into the proxy's time limit and
        // never reaches the server.
        let _ = host.reply(&denial.reply(id.as_ref()));
        Directive::Pause
    }

    fn request_too_large(&self) -> Denial {
        let limit = self.options.limits.request_bytes;
        let message = format!("the request body is larger than the {limit} bytes that this gateway reads");
        Denial::new(413, rpc::TOO_LARGE, "request_too_large", message)
    }

    /// The response's headers have come, the server's or a reply's.
    pub fn response_headers(&mut self, host: &mut dyn Host, end_of_stream: bool) -> Directive {
        let exchange = Rc::clone(&self.exchange);
        let exchange = &mut *exchange.borrow_mut();
        exchange.response_headers = host.headers(Side::Response);
        self.answer.headers(&self.stages, exchange, host, &self.options, end_of_stream)
    }

    /// A piece of the response's body has come; `size` bytes can be read.
    pub fn response_body(&mut self, host: &mut dyn Host, size: usize, end_of_stream: bool) -> Directive {
        let exchange = Rc::clone(&self.exchange);
        let exchange = &mut *exchange.borrow_mut();
        self.answer.body(&self.stages, exchange, host, &self.options, size, end_of_stream)
    }

    /// The response's trailers have come.
    pub fn response_trailers(&mut self, host: &mut dyn Host) -> Directive {
        let exchange = Rc::clone(&self.exchange);
        let exchange = &mut *exchange.borrow_mut();
        self.answer.trailers(&self.stages, exchange, host, &self.options)
    }

    /// The exchange is over.
    pub fn finish(&mut self, host: &mut dyn Host) {
        let exchange = Rc::clone(&self.exchange);
        let exchange = &mut *exchange.borrow_mut();
        for stage in self.stages.iter() {
            stage.finish(exchange, host);
        }
    }

    fn observed(&self) -> bool {
        self.stages.iter().any(|stage| stage.observes_bytes())
    }
}

/// Fills in what the first filter of a chain finds out about every request.
fn open(facts: &mut Facts, headers: &Headers, host: &mut dyn Host) {
    let path = headers.text(":path").unwrap_or_default();
    facts.id = host.random().iter().map(|byte| format!("{byte:02x}")).collect();
    facts.started_at = host.now_micros();
    facts.http_method = headers.text(":method").unwrap_or_default().to_owned();
    facts.host = headers.text(":authority").unwrap_or_default().to_owned();
    facts.path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
}

/// Runs one hook of every stage, outermost first; a refusal of an observing stage is noted and the next stage runs.
fn each(
    stages: &[Box<dyn Stage>],
    exchange: &mut Exchange,
    host: &mut dyn Host,
    hook: impl Fn(&dyn Stage, &mut Exchange, &mut dyn Host) -> Result<(), Denial>,
) -> Result<(), Denial> {
    for stage in stages {
        if let Err(denial) = hook(stage.as_ref(), exchange, host) {
            match stage.mode() {
                Mode::Enforce => return Err(denial),
                Mode::Observe => exchange.facts.observed.push(Refusal::from(&denial)),
            }
        }
    }
    Ok(())
}

fn observe_request(stages: &[Box<dyn Stage>], exchange: &mut Exchange, bytes: &[u8]) {
    for stage in stages.iter().filter(|stage| stage.observes_bytes()) {
        stage.request_bytes(exchange, bytes);
    }
}

/// Puts a refusal on record for later stages and filters and for the proxy's own logs.
pub(crate) fn record_refusal(
    exchange: &mut Exchange,
    host: &mut dyn Host,
    denial: &Denial,
    answer_withheld: bool,
) {
    publish(host, "decision", "deny");
    publish(host, "reason", denial.reason);
    if let Some(rule) = &denial.rule {
        publish(host, "rule", rule);
    }
    exchange.facts.refusal = Some(Refusal { answer_withheld, ..Refusal::from(denial) });
}
