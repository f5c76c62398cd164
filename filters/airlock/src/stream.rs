use std::{cell::RefCell, rc::Rc};

use airlock_pipeline::{Chain, Denial, Directive, Exchange, Facts, HostError, rpc};
use proxy_wasm::{
    traits::{Context, HttpContext},
    types::Action,
};

use crate::{
    hostcalls::{self, Level},
    proxy::{self, Proxy},
    root::{Configured, SLOTS, WAITING},
    shared::Link,
};

/// Name of the property that filters of one chain find their exchange by.
const EXCHANGE: &str = "airlock.exchange";

/// One filter on one HTTP stream, as the SDK knows it.
pub(crate) struct StreamContext {
    context: u32,
    stream: Rc<RefCell<Stream>>,
}

/// One filter on one HTTP stream.
pub(crate) struct Stream(State);

enum State {
    /// The filter's configuration is not there: nothing passes.
    Unconfigured,
    /// No request headers have come.
    Idle(Rc<Configured>),
    /// At work.
    Running { configured: Rc<Configured>, chain: Chain, exchange: Rc<RefCell<Exchange>>, link: Link },
    /// The exchange could not be joined, or is over: nothing passes.
    Lost,
}

impl Stream {
    pub(crate) fn new(configured: Option<Rc<Configured>>) -> Self {
        Self(configured.map_or(State::Unconfigured, State::Idle))
    }

    fn join(&mut self) {
        let State::Idle(configured) = &self.0 else { return };
        let configured = Rc::clone(configured);
        self.0 = joined(configured).unwrap_or_else(|problem| {
            hostcalls::log(Level::Error, problem);
            State::Lost
        });
    }

    /// Whether a stage waits, so that [`Stream::resume`] has to be called.
    fn waits(&self) -> bool {
        matches!(&self.0, State::Running { chain, .. } if chain.is_waiting())
    }

    /// Asks the stage that waits again, while calls to the proxy concern this stream; whether one still waits.
    pub(crate) fn resume(&mut self) -> bool {
        if self.waits()
            && self.run_request(|chain| chain.resume(&mut Proxy::default())) == Directive::Continue
            && hostcalls::continue_request().is_err()
        {
            self.refuse(HostError.into());
        }
        self.waits()
    }

    fn refuse(&mut self, denial: Denial) {
        self.run_request(|chain| chain.refuse_request(&mut Proxy::default(), denial));
    }

    /// Runs one callback of the response; a filter that is not at work leaves it alone.
    fn run(&mut self, callback: impl FnOnce(&mut Chain) -> Directive) -> Directive {
        let State::Running { chain, exchange, link, .. } = &mut self.0 else { return Directive::Continue };
        load(link, &mut exchange.borrow_mut().facts);
        let directive = callback(chain);
        let _ = share(link, &exchange.borrow().facts);
        directive
    }

    /// Runs one callback of the request. What filters in other VMs have found out and cannot tell, or cannot be told,
    /// could have refused it, so nothing passes then.
    fn run_request(&mut self, callback: impl FnOnce(&mut Chain) -> Directive) -> Directive {
        let State::Running { chain, exchange, link, .. } = &mut self.0 else { return Directive::Pause };
        let mut directive = if load(link, &mut exchange.borrow_mut().facts) {
            callback(chain)
        } else {
            chain.refuse_request(&mut Proxy::default(), lost())
        };
        if !share(link, &exchange.borrow().facts) && directive == Directive::Continue {
            directive = chain.refuse_request(&mut Proxy::default(), lost());
        }
        directive
    }

    fn request_headers(&mut self, end_of_stream: bool) -> Directive {
        self.join();
        let denial = match self.0 {
            State::Unconfigured => unconfigured(),
            State::Lost => lost(),
            State::Idle(_) | State::Running { .. } => {
                return self.run_request(|chain| chain.request_headers(&mut Proxy::default(), end_of_stream));
            }
        };
        proxy::count(&format!("refused.{}", denial.reason));
        let _ = hostcalls::reply(&denial.reply(denial.body(None)));
        Directive::Pause
    }

    /// The proxy says that it is over.
    fn finish(&mut self) {
        self.run(|chain| {
            chain.finish(&mut Proxy::default());
            Directive::Continue
        });
        if let State::Running { chain, exchange, link, .. } = std::mem::replace(&mut self.0, State::Lost) {
            drop(chain);
            SLOTS.with_borrow_mut(|slots| slots.leave(&link));
            drop(exchange);
        }
    }
}

/// Finds the exchange of the request that the proxy is at, or opens it.
fn joined(configured: Rc<Configured>) -> Result<State, &'static str> {
    const APART: &str = "airlock: filters of this chain run in different VMs: give all filters the same `vm_id` and \
                         module, or set `proxy.separate_vms: true` in each";
    let property = hostcalls::property(EXCHANGE)
        .map_err(|_| "airlock: the proxy does not say which exchange a request belongs to")?;
    let plan = &configured.plan;
    let joined = SLOTS
        .with_borrow_mut(|slots| slots.join(property.as_deref(), plan.separate_vms))
        .map_err(|_| APART)?;
    if property.is_none() {
        hostcalls::set_property(EXCHANGE, &joined.link.property()).map_err(|_| APART)?;
    }
    let chain = Chain::new(Rc::clone(&plan.stages), Rc::clone(&joined.exchange), plan.options);
    Ok(State::Running { configured, chain, exchange: joined.exchange, link: joined.link })
}

fn unconfigured() -> Denial {
    Denial::new(500, rpc::UNAVAILABLE, "unconfigured", "this gateway has no valid configuration")
}

fn lost() -> Denial {
    let message = "the filters of this gateway do not find one another";
    Denial::new(500, rpc::UNAVAILABLE, "exchange_lost", message)
}

/// Every request that waits holds a place and its body, so that their number has a limit.
fn full() -> Denial {
    let message = "too many requests wait for what this gateway is fetching: try again later";
    Denial::new(503, rpc::UNAVAILABLE, "waiting_full", message)
}

fn action(directive: Directive) -> Action {
    match directive {
        Directive::Continue => Action::Continue,
        Directive::Pause => Action::Pause,
    }
}

/// Reads what filters in other VMs have found out, if there are any; whether the proxy has handed it over.
fn load(link: &mut Link, facts: &mut Facts) -> bool {
    if !link.separate_vms() {
        return true;
    }
    let property = hostcalls::property(EXCHANGE);
    if let Ok(property) = &property {
        link.load(property.as_deref(), facts);
    }
    property.is_ok()
}

/// Writes the facts for filters in other VMs, if there are any and something has changed; whether the proxy takes them.
fn share(link: &mut Link, facts: &Facts) -> bool {
    if !link.separate_vms() {
        return true;
    }
    link.store(facts).is_none_or(|property| hostcalls::set_property(EXCHANGE, &property).is_ok())
}

impl StreamContext {
    pub(crate) fn new(context: u32, stream: Stream) -> Self {
        Self { context, stream: Rc::new(RefCell::new(stream)) }
    }

    fn wait_if_needed(&self) {
        let waits = self.stream.borrow().waits();
        if waits && let Err(denial) = self.wait() {
            self.stream.borrow_mut().refuse(denial);
        }
    }

    /// The request stands still: the root has to hear of it soon.
    fn wait(&self) -> Result<(), Denial> {
        if let State::Running { configured, .. } = &self.stream.borrow().0 {
            if !WAITING.with_borrow_mut(|waiting| waiting.enter(self.context, &self.stream)) {
                return Err(full());
            }
            configured.hurry()?;
        }
        Ok(())
    }

    fn request(&self, callback: impl FnOnce(&mut Chain) -> Directive) -> Action {
        action(self.stream.borrow_mut().run_request(callback))
    }

    fn response(&self, callback: impl FnOnce(&mut Chain) -> Directive) -> Action {
        action(self.stream.borrow_mut().run(callback))
    }
}

impl Context for StreamContext {}

impl HttpContext for StreamContext {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let directive = self.stream.borrow_mut().request_headers(end_of_stream);
        self.wait_if_needed();
        action(directive)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.request(|chain| chain.request_body(&mut Proxy::default(), size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let action = self.request(|chain| chain.request_trailers(&mut Proxy::default()));
        self.wait_if_needed();
        action
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.response(|chain| chain.response_headers(&mut Proxy::default(), end_of_stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.response(|chain| chain.response_body(&mut Proxy::default(), size, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.response(|chain| chain.response_trailers(&mut Proxy::default()))
    }

    fn on_log(&mut self) {
        WAITING.with_borrow_mut(|waiting| waiting.leave(self.context));
        self.stream.borrow_mut().finish();
    }
}
