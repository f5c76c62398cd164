use std::{cell::RefCell, rc::Rc};

use airlock_pipeline::{Chain, Denial, Directive, Exchange, Facts, Options, Stage, rpc};
use proxy_wasm::{
    traits::{Context, HttpContext},
    types::Action,
};

use crate::{
    hostcalls::{self, Level},
    proxy::Proxy,
    root::SLOTS,
    shared::Link,
};

/// Name of the property that filters of one chain find their exchange by.
const EXCHANGE: &str = "airlock.exchange";

/// One filter on one HTTP stream.
pub(crate) struct Stream {
    stages: Rc<[Box<dyn Stage>]>,
    options: Options,
    separate_vms: bool,
    state: State,
}

enum State {
    /// The filter's configuration is not there: nothing passes.
    Unconfigured,
    /// No request headers have come.
    Idle,
    /// At work.
    Running { chain: Chain, exchange: Rc<RefCell<Exchange>>, link: Link },
    /// The exchange could not be joined: nothing passes.
    Lost,
}

impl Stream {
    pub(crate) fn new(stages: Rc<[Box<dyn Stage>]>, options: Options, separate_vms: bool) -> Self {
        Self { stages, options, separate_vms, state: State::Idle }
    }

    pub(crate) fn unconfigured() -> Self {
        Self {
            stages: Rc::new([]),
            options: Options::default(),
            separate_vms: false,
            state: State::Unconfigured,
        }
    }

    fn join(&mut self) {
        let Ok(property) = hostcalls::property(EXCHANGE) else {
            self.state = State::Lost;
            return hostcalls::log(
                Level::Error,
                "airlock: the proxy does not say which exchange a request belongs to",
            );
        };
        let joined = SLOTS.with_borrow_mut(|slots| slots.join(property.as_deref(), self.separate_vms));
        self.state = match joined {
            Ok(joined) => {
                if property.is_none() && hostcalls::set_property(EXCHANGE, &joined.link.property()).is_err() {
                    State::Lost
                } else {
                    let chain =
                        Chain::new(Rc::clone(&self.stages), Rc::clone(&joined.exchange), self.options);
                    State::Running { chain, exchange: joined.exchange, link: joined.link }
                }
            }
            Err(_) => State::Lost,
        };
        if matches!(self.state, State::Lost) {
            let remedy =
                "give all filters the same `vm_id` and module, or set `proxy.separate_vms: true` in each";
            hostcalls::log(
                Level::Error,
                &format!("airlock: filters of this chain run in different VMs: {remedy}"),
            );
        }
    }

    /// Runs one callback of the response; a filter that is not at work leaves it alone.
    fn run(&mut self, callback: impl FnOnce(&mut Chain) -> Directive) -> Action {
        let State::Running { chain, exchange, link } = &mut self.state else { return Action::Continue };
        load(link, &mut exchange.borrow_mut().facts);
        let directive = callback(chain);
        let _ = share(link, &exchange.borrow().facts);
        action(directive)
    }

    /// Runs one callback of the request. What filters in other VMs have found out and cannot tell, or cannot be told,
    /// could have refused it, so nothing passes then.
    fn run_request(&mut self, callback: impl FnOnce(&mut Chain) -> Directive) -> Action {
        let State::Running { chain, exchange, link } = &mut self.state else { return Action::Pause };
        let mut directive = if load(link, &mut exchange.borrow_mut().facts) {
            callback(chain)
        } else {
            chain.refuse_request(&mut Proxy, lost())
        };
        if !share(link, &exchange.borrow().facts) && directive == Directive::Continue {
            directive = chain.refuse_request(&mut Proxy, lost());
        }
        action(directive)
    }
}

fn unconfigured() -> Denial {
    Denial::new(500, rpc::UNAVAILABLE, "unconfigured", "this gateway has no valid configuration")
}

fn lost() -> Denial {
    let message = "the filters of this gateway do not find one another";
    Denial::new(500, rpc::UNAVAILABLE, "exchange_lost", message)
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

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        if matches!(self.state, State::Idle) {
            self.join();
        }
        let denial = match self.state {
            State::Unconfigured => unconfigured(),
            State::Lost => lost(),
            State::Idle | State::Running { .. } => {
                return self.run_request(|chain| chain.request_headers(&mut Proxy, end_of_stream));
            }
        };
        let _ = hostcalls::reply(&denial.reply(denial.body(None)));
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.run_request(|chain| chain.request_body(&mut Proxy, size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.run_request(|chain| chain.request_trailers(&mut Proxy))
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.run(|chain| chain.response_headers(&mut Proxy, end_of_stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.run(|chain| chain.response_body(&mut Proxy, size, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.run(|chain| chain.response_trailers(&mut Proxy))
    }

    fn on_log(&mut self) {
        self.run(|chain| {
            chain.finish(&mut Proxy);
            Directive::Continue
        });
        if let State::Running { chain, exchange, link } = std::mem::replace(&mut self.state, State::Idle) {
            drop(chain);
            SLOTS.with_borrow_mut(|slots| slots.leave(&link));
            drop(exchange);
        }
    }
}
