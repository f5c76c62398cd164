use std::{cell::RefCell, rc::Rc};

use serde::Deserialize;

use crate::{Denial, Exchange, Host, Side, Stage, request::Request, response::Answer, turn::Turn};

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
    /// Response body that is not an event stream, bytes. The same holds for the proxy's buffer.
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
/// `content-length` corrected; a reply to a request passes the response hooks as well, a reply that takes the place
/// of an answer does not.
pub struct Chain {
    stages: Rc<[Box<dyn Stage>]>,
    exchange: Rc<RefCell<Exchange>>,
    options: Options,
    request: Request,
    answer: Answer,
}

impl Chain {
    /// A chain of `stages`, outermost first, on an exchange that other filters may share.
    pub fn new(stages: Rc<[Box<dyn Stage>]>, exchange: Rc<RefCell<Exchange>>, options: Options) -> Self {
        Self { stages, exchange, options, request: Request::default(), answer: Answer::default() }
    }

    /// The request's headers have come; `end_of_stream` if there will be no body.
    pub fn request_headers(&mut self, host: &mut dyn Host, end_of_stream: bool) -> Directive {
        self.turn(host, |chain, turn| chain.request.headers(turn, end_of_stream))
    }

    /// A piece of the request's body has come; `size` bytes can be read.
    pub fn request_body(&mut self, host: &mut dyn Host, size: usize, end_of_stream: bool) -> Directive {
        self.turn(host, |chain, turn| chain.request.body(turn, size, end_of_stream))
    }

    /// The request's trailers have come: the body ended without saying so.
    pub fn request_trailers(&mut self, host: &mut dyn Host) -> Directive {
        self.turn(host, |chain, turn| chain.request.trailers(turn))
    }

    /// Whether the request stands still until [`Chain::resume`], because a stage waits or the proxy needs a pause. Headers
    /// and trailers can bring it about.
    pub fn is_waiting(&self) -> bool {
        matches!(self.request, Request::Waiting { .. })
    }

    /// Asks the stage that waits again, and goes on with what has come of the request meanwhile. Of a chain that does
    /// not wait nothing is to be passed on.
    pub fn resume(&mut self, host: &mut dyn Host) -> Directive {
        self.turn(host, |chain, turn| chain.request.resume(turn))
    }

    /// Refuses the request for a reason that lies outside of the stages; once is enough.
    pub fn refuse_request(&mut self, host: &mut dyn Host, denial: Denial) -> Directive {
        self.turn(host, |chain, turn| chain.request.refuse(turn, denial))
    }

    /// The response's headers have come, the server's or a reply's.
    pub fn response_headers(&mut self, host: &mut dyn Host, end_of_stream: bool) -> Directive {
        self.response_turn(host, end_of_stream, |chain, turn| {
            if turn.stages.iter().any(|stage| stage.reads_response_headers()) {
                turn.exchange.response_headers = turn.host.headers(Side::Response);
            }
            chain.answer.headers(turn, end_of_stream)
        })
    }

    /// A piece of the response's body has come; `size` bytes can be read.
    pub fn response_body(&mut self, host: &mut dyn Host, size: usize, end_of_stream: bool) -> Directive {
        self.response_turn(host, end_of_stream, |chain, turn| chain.answer.body(turn, size, end_of_stream))
    }

    /// The response's trailers have come.
    pub fn response_trailers(&mut self, host: &mut dyn Host) -> Directive {
        self.response_turn(host, true, |chain, turn| chain.answer.trailers(turn))
    }

    /// The exchange is over.
    pub fn finish(&mut self, host: &mut dyn Host) {
        self.turn(host, |_, turn| {
            for stage in turn.stages {
                stage.finish(turn.exchange, turn.host);
            }
        });
    }

    fn response_turn(
        &mut self,
        host: &mut dyn Host,
        end_of_stream: bool,
        work: impl FnOnce(&mut Self, &mut Turn<'_>) -> Directive,
    ) -> Directive {
        self.request.overtaken();
        // The refusal was not taken, so that what comes now cannot be it.
        if self.request == Request::Stuck {
            return Directive::Pause;
        }
        self.turn(host, |chain, turn| {
            turn.exchange.facts.ended |= end_of_stream;
            work(chain, turn)
        })
    }

    fn turn<T>(&mut self, host: &mut dyn Host, work: impl FnOnce(&mut Self, &mut Turn<'_>) -> T) -> T {
        let (stages, exchange) = (Rc::clone(&self.stages), Rc::clone(&self.exchange));
        let exchange = &mut exchange.borrow_mut();
        let options = self.options;
        work(self, &mut Turn { stages: &stages, exchange, host, options })
    }
}
