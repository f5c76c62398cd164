use crate::{
    Denial, Directive, Facts, Headers, Host, HostError, Reply, Side,
    batch::each_message,
    denial::rpc,
    publish,
    turn::{Asked, Readers, Turn},
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
        /// Whether the proxy has held the body while a stage waited, and hands it over as it lets the headers go.
        replayed: bool,
    },
    /// The stage of that index has to be asked again, or none any more; nothing leaves meanwhile.
    Waiting { stage: usize, arrived: Arrived },
    /// The verdict has fallen and the request is on its way.
    Released,
    /// A reply has been given.
    Replied,
    /// The proxy did not take the reply: nothing passes in either direction.
    Stuck,
}

/// What has come after the headers while the request stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// So many bytes of the body are there.
    size: usize,
    end: End,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not yet.
    Open,
    /// With its headers or the last piece of its body.
    Said,
    /// With trailers, which are still there.
    Trailers,
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
        let verdict = if turn.exchange.request_headers.is_empty() {
            Err(HostError.into())
        } else {
            let end = if end_of_stream { End::Said } else { End::Open };
            self.ask(turn, 0, Arrived { size: 0, end })
        };
        self.settle(turn, verdict)
    }

    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) -> Directive {
        let Self::Waiting { stage, arrived } = *self else { return Directive::Pause };
        let verdict = self.ask(turn, stage, arrived);
        if let Self::Gathering { replayed, .. } = self {
            *replayed = verdict == Ok(Directive::Continue);
        }
        self.settle(turn, verdict)
    }

    /// An answer has come while the request stood still, so that it is not the server's: the proxy has given the
    /// request up, and nothing of it is to leave any more.
    pub(crate) fn overtaken(&mut self) {
        if matches!(self, Self::Waiting { .. }) {
            *self = Self::Replied;
        }
    }

    pub(crate) fn refuse(&mut self, turn: &mut Turn<'_>, denial: Denial) -> Directive {
        match self {
            Self::Replied | Self::Stuck => Directive::Pause,
            Self::Streaming | Self::Gathering { .. } | Self::Waiting { .. } | Self::Released => {
                self.settle(turn, Err(denial))
            }
        }
    }

    /// Asks the stages from that of index `from` inwards, and goes on with what has come of the body if they agree.
    fn ask(&mut self, turn: &mut Turn<'_>, from: usize, arrived: Arrived) -> Result<Directive, Denial> {
        match turn.ask(from)? {
            Asked::All => {}
            Asked::Reply(reply) => return Ok(self.answer(turn, &reply)),
            Asked::Wait { stage } => {
                *self = Self::Waiting { stage, arrived };
                return Ok(Directive::Pause);
            }
        }
        *self = Self::Streaming;
        let Arrived { size, end } = arrived;
        let readers = turn.request_readers();
        let enforced = readers == Readers::Enforcing;
        if readers == Readers::None {
            return self.pass_on(turn, size);
        }
        let limit = turn.options.limits.request_bytes;
        if size > limit || declares_more(&turn.exchange.request_headers, limit) {
            return self.give_up(turn, size, enforced, too_large(turn));
        }
        *self = Self::Gathering { size, enforced, replayed: false };
        if end != End::Open {
            return self.ended(turn, end);
        }
        if enforced && !turn.options.hold_headers {
            // The headers leave now and the body may change later, so its length must not be promised.
            turn.host.remove_header(Side::Request, "content-length")?;
        }
        // Bytes that came while a stage waited have been held together with the headers, and leave with them.
        let held = turn.options.hold_headers || size > 0;
        Ok(if held { Directive::Pause } else { Directive::Continue })
    }

    /// A stage answers in the server's stead.
    fn answer(&mut self, turn: &mut Turn<'_>, reply: &Reply) -> Directive {
        publish(turn.host, "decision", "answer");
        turn.exchange.facts.answered = true;
        self.reply(turn, reply)
    }

    /// The request has come to its end.
    fn ended(&mut self, turn: &mut Turn<'_>, end: End) -> Result<Directive, Denial> {
        if end == End::Trailers {
            // A server could merge trailers into headers that were judged without them. MCP has no use for them.
            turn.host.drop_request_trailers()?;
        }
        self.judge(turn)
    }

    pub(crate) fn body(&mut self, turn: &mut Turn<'_>, size: usize, end_of_stream: bool) -> Directive {
        let verdict = match *self {
            Self::Replied | Self::Stuck => return Directive::Pause,
            Self::Waiting { stage, .. } => {
                let end = if end_of_stream { End::Said } else { End::Open };
                *self = Self::Waiting { stage, arrived: Arrived { size, end } };
                return Directive::Pause;
            }
            Self::Released => return Directive::Continue,
            Self::Streaming => self.pass(turn, size),
            Self::Gathering { enforced, replayed, .. } => {
                *self = Self::Gathering { size, enforced, replayed };
                if size > turn.options.limits.request_bytes {
                    self.give_up(turn, size, enforced, too_large(turn))
                } else if end_of_stream {
                    self.ended(turn, End::Said)
                } else {
                    return Directive::Pause;
                }
            }
        };
        self.settle(turn, verdict)
    }

    pub(crate) fn trailers(&mut self, turn: &mut Turn<'_>) -> Directive {
        match self {
            Self::Replied | Self::Stuck => Directive::Pause,
            Self::Released | Self::Streaming => Directive::Continue,
            Self::Waiting { arrived, .. } => {
                arrived.end = End::Trailers;
                Directive::Pause
            }
            // Envoy loses the body of a request that goes on with its trailers in the midst of being replayed: decided
            // later, it does not.
            Self::Gathering { size, replayed: true, .. } => {
                let arrived = Arrived { size: *size, end: End::Trailers };
                *self = Self::Waiting { stage: turn.stages.len(), arrived };
                Directive::Pause
            }
            Self::Gathering { .. } => {
                let verdict = self.ended(turn, End::Trailers);
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
        let Self::Gathering { size, enforced, .. } = *self else { return Ok(Directive::Continue) };
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
        self.pass_on(turn, size)
    }

    /// Lets a request go whose body nobody judges, with so many bytes of it that are there.
    fn pass_on(&mut self, turn: &mut Turn<'_>, size: usize) -> Result<Directive, Denial> {
        if size > 0 {
            self.pass(turn, size)?;
        }
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
        self.reply(turn, &denial.reply(body))
    }

    fn reply(&mut self, turn: &mut Turn<'_>, reply: &Reply) -> Directive {
        // A reply that the proxy does not take leaves the request paused: it runs into the proxy's time limit and
        // never reaches the server.
        *self = match turn.host.reply(reply) {
            Ok(()) => Self::Replied,
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
    turn.note(&denial);
    Ok(())
}

/// Fills in what the first filter of a chain finds out about every request.
fn open(facts: &mut Facts, headers: &Headers, host: &mut dyn Host) {
    let path = headers.text(":path").unwrap_or_default();
    facts.id = record_id(host);
    facts.started_at = host.now_micros();
    facts.http_method = headers.text(":method").unwrap_or_default().to_owned();
    facts.host = headers.text(":authority").unwrap_or_default().to_owned();
    facts.path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
}

/// 32 hexadecimal digits that tell a record from all others.
pub(crate) fn record_id(host: &mut dyn Host) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut id = String::with_capacity(32);
    let digits = host.random().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    id.extend(digits.filter_map(|digit| DIGITS.get(usize::from(digit)).map(|digit| char::from(*digit))));
    id
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
