use crate::{
    Denial, Directive, Facts, Headers, Host, HostError, Side,
    batch::each_message,
    denial::rpc,
    turn::{Readers, Turn},
};

/// How far the request of an exchange has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Request {
    /// Nothing is read; pieces are passed on.
    #[default]
    Streaming,
    /// The body is being gathered.
    Gathering {
        /// So many bytes are there.
        size: usize,
        /// Whether a stage that reads it means its refusals. Asked once: what stages read depends on what they know.
        enforced: bool,
    },
    /// The verdict has fallen and the request is on its way.
    Released,
    /// A reply has been given.
    Refused,
    /// Refused, and the proxy did not take the reply: nothing passes in either direction.
    Stuck,
}

impl Request {
    pub(crate) fn headers(&mut self, turn: &mut Turn<'_>, end_of_stream: bool) -> Directive {
        turn.exchange.request_headers = turn.host.headers(Side::Request);
        turn.exchange.headers_held = turn.options.hold_headers;
        let facts = &mut turn.exchange.facts;
        facts.released = false;
        if facts.id.is_empty() {
            open(facts, &turn.exchange.request_headers, turn.host);
        }
        // Every request has headers: where the proxy does not hand them over nothing can be judged.
        let verdict = if turn.exchange.request_headers == Headers::default() {
            Err(HostError.into())
        } else {
            self.on_headers(turn, end_of_stream)
        };
        self.settle(turn, verdict)
    }

    pub(crate) fn refuse(&mut self, turn: &mut Turn<'_>, denial: Denial) -> Directive {
        match self {
            Self::Refused | Self::Stuck => Directive::Pause,
            Self::Streaming | Self::Gathering { .. } | Self::Released => self.settle(turn, Err(denial)),
        }
    }

    fn on_headers(&mut self, turn: &mut Turn<'_>, end_of_stream: bool) -> Result<Directive, Denial> {
        turn.inwards(|stage, exchange, host| stage.request_headers(exchange, host))?;
        let readers = turn.request_readers();
        if readers == Readers::None {
            return depart(turn);
        }
        let enforced = readers == Readers::Enforcing;
        if declares_more(&turn.exchange.request_headers, turn.options.limits.request_bytes) {
            refused_by(turn, enforced, too_large(turn))?;
            return depart(turn);
        }
        *self = Self::Gathering { size: 0, enforced };
        if end_of_stream {
            return self.judge(turn);
        }
        if turn.options.hold_headers {
            return Ok(Directive::Pause);
        }
        if enforced {
            // The headers leave now and the body may change later, so its length must not be promised.
            turn.host.remove_header(Side::Request, "content-length")?;
        }
        Ok(Directive::Continue)
    }

    pub(crate) fn body(&mut self, turn: &mut Turn<'_>, size: usize, end_of_stream: bool) -> Directive {
        let verdict = match *self {
            Self::Refused | Self::Stuck => return Directive::Pause,
            Self::Released => return Directive::Continue,
            Self::Streaming => self.pass(turn, size),
            Self::Gathering { enforced, .. } => {
                *self = Self::Gathering { size, enforced };
                if size > turn.options.limits.request_bytes {
                    self.give_up(turn, size, enforced, too_large(turn))
                } else if end_of_stream {
                    self.judge(turn)
                } else {
                    return Directive::Pause;
                }
            }
        };
        self.settle(turn, verdict)
    }

    pub(crate) fn trailers(&mut self, turn: &mut Turn<'_>) -> Directive {
        match self {
            Self::Refused | Self::Stuck => Directive::Pause,
            Self::Released | Self::Streaming => Directive::Continue,
            Self::Gathering { .. } => {
                // A server could merge trailers into headers that were judged without them. MCP has no use for them.
                let dropped = turn.host.drop_request_trailers().map_err(Denial::from);
                let verdict = dropped.and_then(|()| self.judge(turn));
                self.settle(turn, verdict)
            }
        }
    }

    /// A piece that nobody judges.
    fn pass(&mut self, turn: &mut Turn<'_>, size: usize) -> Result<Directive, Denial> {
        let observers = turn.observers();
        if observers != Readers::None {
            match turn.body(Side::Request, size) {
                Ok(bytes) => turn.observe_request(&bytes),
                Err(denial) => {
                    refused_by(turn, observers == Readers::Enforcing, denial)?;
                    // No digest is better than one of other bytes.
                    turn.exchange.request_digest = None;
                    *self = Self::Released;
                }
            }
        }
        Ok(Directive::Continue)
    }

    /// The whole body is there: the one place where a request that paused is decided.
    fn judge(&mut self, turn: &mut Turn<'_>) -> Result<Directive, Denial> {
        let Self::Gathering { size, enforced } = *self else { return Ok(Directive::Continue) };
        let body = match turn.body(Side::Request, size) {
            Ok(body) => body,
            Err(denial) => return self.give_up(turn, size, enforced, denial),
        };
        turn.observe_request(&body);
        turn.exchange.keep_body(body);
        each_message(turn, |turn| {
            turn.inwards(|stage, exchange, host| stage.request_body(exchange, host))?;
            turn.inwards(|stage, exchange, host| stage.before_upstream(exchange, host))
        })?;
        turn.exchange.facts.released = true;
        if let Some(body) = turn.exchange.take_rewritten() {
            if turn.options.hold_headers {
                turn.host.set_header(Side::Request, "content-length", &body.len().to_string())?;
            }
            turn.host.replace_body(Side::Request, size, &body)?;
        }
        *self = Self::Released;
        Ok(Directive::Continue)
    }

    /// A body that cannot be read: refused, or passed on as it is where only observing stages wanted to read it.
    fn give_up(
        &mut self,
        turn: &mut Turn<'_>,
        size: usize,
        enforced: bool,
        denial: Denial,
    ) -> Result<Directive, Denial> {
        refused_by(turn, enforced, denial)?;
        *self = Self::Streaming;
        self.pass(turn, size)?;
        depart(turn)
    }

    fn settle(&mut self, turn: &mut Turn<'_>, verdict: Result<Directive, Denial>) -> Directive {
        let denial = match verdict {
            Ok(directive) => return directive,
            Err(denial) => denial,
        };
        turn.exchange.facts.released = false;
        turn.record_refusal(&denial, false);
        let body = turn.exchange.refusal_body(&denial);
        // A reply that the proxy does not take leaves the request paused: it runs into the proxy's time limit and
        // never reaches the server.
        *self = match turn.host.reply(&denial.reply(body)) {
            Ok(()) => Self::Refused,
            Err(_) => Self::Stuck,
        };
        Directive::Pause
    }
}

/// The last word of every stage before the request leaves for the server.
fn depart(turn: &mut Turn<'_>) -> Result<Directive, Denial> {
    turn.inwards(|stage, exchange, host| stage.before_upstream(exchange, host))?;
    turn.exchange.facts.released = true;
    Ok(Directive::Continue)
}

/// A refusal of the chain itself, on behalf of stages that enforce; on behalf of others it is only noted.
fn refused_by(turn: &mut Turn<'_>, enforced: bool, denial: Denial) -> Result<(), Denial> {
    if enforced {
        return Err(denial);
    }
    turn.exchange.facts.note(&denial);
    Ok(())
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

/// Whether `content-length` promises more than `limit` bytes, however many digits it has.
fn declares_more(headers: &Headers, limit: usize) -> bool {
    let Some(length) = headers.text("content-length") else { return false };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    is_number && length.parse().map_or(true, |length: usize| length > limit)
}

fn too_large(turn: &Turn<'_>) -> Denial {
    let limit = turn.options.limits.request_bytes;
    let message = format!("the request body is larger than the {limit} bytes that this gateway reads");
    Denial::new(413, rpc::TOO_LARGE, "request_too_large", message)
}
