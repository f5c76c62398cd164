use airlock_mcp::sse;

use crate::{
    Denial, Directive, Options, Side,
    denial::rpc,
    search::{Kind, Reading, kind_of, search, search_events},
    turn::{Readers, Turn},
};

/// How the response of an exchange is being handled.
#[derive(Default)]
pub(crate) enum Answer {
    /// Passed on as it comes.
    #[default]
    Passing,
    /// Passed on as it comes, and no longer shown to anybody: a piece of it was missed.
    Missed,
    /// Passed on as it comes, while stages that only observe look for what they would have changed.
    Watching(Watch),
    /// Gathered until it is whole; so many bytes are there.
    Gathering { size: usize, kind: Kind },
    /// Searched event by event.
    Streaming(sse::Splitter),
    /// Its headers have gone and the rest is refused: what still comes is dropped.
    Cut,
    /// Nothing of it passes any more: a reply has taken its place, or the proxy would not do what was needed.
    Closed,
}

/// What is being watched.
pub(crate) enum Watch {
    Whole { copy: Vec<u8>, kind: Kind },
    Events(sse::Splitter),
}

impl Answer {
    pub(crate) fn headers(&mut self, turn: &mut Turn<'_>, end_of_stream: bool) -> Directive {
        if !turn.exchange.response_headers.is_empty() {
            let status = turn.exchange.response_headers.text(":status");
            turn.exchange.facts.status = status.and_then(|code| code.parse().ok());
        }
        // A reply of this chain or of a filter further in is ours already.
        if turn.exchange.facts.refusal.is_some() || turn.exchange.facts.answered {
            return Directive::Continue;
        }
        match self.plan(turn, end_of_stream) {
            Ok(directive) => directive,
            Err(denial) => self.refuse(turn, &denial),
        }
    }

    fn plan(&mut self, turn: &mut Turn<'_>, end_of_stream: bool) -> Result<Directive, Denial> {
        turn.outwards(|stage, exchange, host| stage.response_headers(exchange, host))?;
        let readers = turn.response_readers();
        if end_of_stream || readers == Readers::None {
            return Ok(Directive::Continue);
        }
        let reading = kind_of(&turn.exchange.response_headers);
        if readers == Readers::Observing {
            match reading {
                Ok(reading) => *self = Self::Watching(Watch::new(reading, &turn.options)),
                Err(denial) => turn.note(&denial),
            }
            return Ok(Directive::Continue);
        }
        *self = match reading? {
            Reading::Events => Self::Streaming(sse::Splitter::new(turn.options.limits.event_bytes)),
            Reading::Whole(kind) => Self::Gathering { size: 0, kind },
        };
        if turn.options.hold_headers && matches!(self, Self::Gathering { .. }) {
            return Ok(Directive::Pause);
        }
        turn.host.remove_header(Side::Response, "content-length")?;
        Ok(Directive::Continue)
    }

    pub(crate) fn body(&mut self, turn: &mut Turn<'_>, size: usize, end_of_stream: bool) -> Directive {
        match self {
            Self::Passing => self.pass(turn, size),
            Self::Missed => Directive::Continue,
            Self::Watching(_) => self.watch(turn, size, end_of_stream),
            Self::Gathering { size: gathered, kind } => {
                *gathered = size;
                if size > turn.options.limits.response_bytes {
                    let denial = too_large(&turn.options);
                    self.block(turn, &denial)
                } else if *kind == Kind::Other && size > 0 {
                    self.block(turn, &wrong_type())
                } else if end_of_stream {
                    self.release(turn)
                } else {
                    Directive::Pause
                }
            }
            Self::Streaming(_) => self.stream(turn, size),
            Self::Cut => self.put(turn, size, &[]),
            Self::Closed => Directive::Pause,
        }
    }

    pub(crate) fn trailers(&mut self, turn: &mut Turn<'_>) -> Directive {
        match self {
            Self::Gathering { .. } => self.release(turn),
            Self::Watching(_) => self.watch(turn, 0, true),
            Self::Closed => Directive::Pause,
            Self::Passing | Self::Missed | Self::Streaming(_) | Self::Cut => Directive::Continue,
        }
    }

    fn pass(&mut self, turn: &mut Turn<'_>, size: usize) -> Directive {
        if turn.observers() != Readers::None {
            match turn.body(Side::Response, size) {
                Ok(bytes) => turn.observe_response(&bytes),
                Err(_) => self.miss(turn),
            }
        }
        Directive::Continue
    }

    /// Gives up the digest: none is better than one of other bytes.
    fn miss(&mut self, turn: &mut Turn<'_>) {
        turn.exchange.response_digest = None;
        *self = Self::Missed;
    }

    /// A piece that passes whatever is found in it.
    fn watch(&mut self, turn: &mut Turn<'_>, size: usize, end_of_stream: bool) -> Directive {
        let Self::Watching(watch) = self else { return Directive::Continue };
        let Ok(piece) = turn.body(Side::Response, size) else {
            self.miss(turn);
            return Directive::Continue;
        };
        turn.observe_response(&piece);
        if let Err(denial) = watch.see(turn, &piece, end_of_stream) {
            turn.note(&denial);
            *self = Self::Passing;
        }
        Directive::Continue
    }

    /// The whole body is there.
    fn release(&mut self, turn: &mut Turn<'_>) -> Directive {
        let Self::Gathering { size, kind } = *self else { return Directive::Continue };
        if size == 0 {
            *self = Self::Passing;
            return Directive::Continue;
        }
        match searched(turn, size, kind) {
            Ok(sent) => {
                turn.observe_response(&sent);
                *self = Self::Passing;
                Directive::Continue
            }
            Err(denial) => self.block(turn, &denial),
        }
    }

    /// A whole body that may not be passed on: refused with a status while the headers are held, otherwise replaced.
    fn block(&mut self, turn: &mut Turn<'_>, denial: &Denial) -> Directive {
        let Self::Gathering { size, .. } = *self else { return Directive::Pause };
        if turn.options.hold_headers {
            return self.refuse(turn, denial);
        }
        turn.record_refusal(denial, true);
        let body = turn.exchange.refusal_body(denial);
        *self = Self::Cut;
        self.put(turn, size, &body)
    }

    /// A piece of an event stream: complete events go on, the rest waits for its end. What has no end is dropped.
    fn stream(&mut self, turn: &mut Turn<'_>, size: usize) -> Directive {
        let Self::Streaming(splitter) = self else { return Directive::Pause };
        let mut sent = Vec::new();
        let outcome = turn
            .body(Side::Response, size)
            .and_then(|piece| search_events(turn, splitter, &piece, &mut sent).map(|()| piece));
        match outcome {
            Ok(piece) if piece == sent => {
                turn.observe_response(&sent);
                return Directive::Continue;
            }
            Ok(_) => {}
            Err(denial) => {
                turn.record_refusal(&denial, true);
                sent.extend_from_slice(b"event: message\ndata: ");
                sent.extend_from_slice(&turn.exchange.refusal_body(&denial));
                sent.extend_from_slice(b"\n\n");
                *self = Self::Cut;
            }
        }
        self.put(turn, size, &sent)
    }

    /// Puts `bytes` in the place of a piece. Where the proxy does not do it, the piece stays where it is.
    fn put(&mut self, turn: &mut Turn<'_>, size: usize, bytes: &[u8]) -> Directive {
        if size == 0 && bytes.is_empty() {
            return Directive::Continue;
        }
        if turn.host.replace_body(Side::Response, size, bytes).is_err() {
            turn.exchange.response_digest = None;
            *self = Self::Closed;
            return Directive::Pause;
        }
        turn.observe_response(bytes);
        Directive::Continue
    }

    /// Answers in the server's stead while its headers are held. The proxy hands such a reply to the client directly,
    /// past the response hooks, so that what they would have seen is told here.
    fn refuse(&mut self, turn: &mut Turn<'_>, denial: &Denial) -> Directive {
        *self = Self::Closed;
        turn.record_refusal(denial, true);
        let reply = denial.reply(turn.exchange.refusal_body(denial));
        // A reply that the proxy does not take leaves the response paused: nothing of it reaches the client.
        if turn.host.reply(&reply).is_ok() {
            turn.exchange.facts.status = Some(reply.status);
            turn.observe_response(&reply.body);
        }
        Directive::Pause
    }
}

impl Watch {
    fn new(reading: Reading, options: &Options) -> Self {
        match reading {
            Reading::Events => Self::Events(sse::Splitter::new(options.limits.event_bytes)),
            Reading::Whole(kind) => Self::Whole { copy: Vec::new(), kind },
        }
    }

    /// Takes in a piece. An error ends the watch: it says why an enforcing chain would have refused the answer.
    fn see(&mut self, turn: &mut Turn<'_>, piece: &[u8], end_of_stream: bool) -> Result<(), Denial> {
        match self {
            Self::Events(splitter) => search_events(turn, splitter, piece, &mut Vec::new()),
            Self::Whole { kind: Kind::Other, .. } if !piece.is_empty() => Err(wrong_type()),
            Self::Whole { copy, .. }
                if copy.len().saturating_add(piece.len()) > turn.options.limits.response_bytes =>
            {
                Err(too_large(&turn.options))
            }
            Self::Whole { copy, kind } => {
                copy.extend_from_slice(piece);
                if end_of_stream && !copy.is_empty() {
                    search(turn, &std::mem::take(copy), *kind)?;
                }
                Ok(())
            }
        }
    }
}

/// Searches a body that is whole, and puts what the stages made of it in its place. Returns what the client gets.
fn searched(turn: &mut Turn<'_>, size: usize, kind: Kind) -> Result<Vec<u8>, Denial> {
    let body = turn.body(Side::Response, size)?;
    let Some(replaced) = search(turn, &body, kind)? else { return Ok(body) };
    if turn.options.hold_headers {
        turn.host.set_header(Side::Response, "content-length", &replaced.len().to_string())?;
    }
    turn.host.replace_body(Side::Response, size, &replaced)?;
    Ok(replaced)
}

fn wrong_type() -> Denial {
    Denial::unreadable_answer("response_type", "the server's answer is neither JSON nor an event stream")
}

fn too_large(options: &Options) -> Denial {
    let limit = options.limits.response_bytes;
    let message = format!("the server's answer is larger than the {limit} bytes that this gateway reads");
    Denial::new(502, rpc::BAD_ANSWER, "response_too_large", message)
}
