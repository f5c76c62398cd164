use airlock_mcp::{sse, transport};

use crate::{
    Denial, Directive, Exchange, Host, Mode, Options, Refusal, Side, Stage, chain::record_refusal,
    denial::rpc,
};

/// How the response of an exchange is being handled.
#[derive(Default)]
pub(crate) enum Answer {
    /// Passed on as it comes.
    #[default]
    Passing,
    /// Passed on as it comes, and shown to the stages that observe.
    Observing,
    /// Gathered until it is whole; so many bytes are there.
    Gathering { size: usize, kind: Kind },
    /// Searched event by event.
    Streaming(sse::Splitter),
    /// Cut off: what still comes is dropped.
    Cut,
    /// The proxy would not take a body out: nothing more of it passes.
    Stuck,
}

/// What a whole body is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Text,
    /// Nothing that can be read: only an empty body passes.
    Other,
}

impl Answer {
    pub(crate) fn headers(
        &mut self,
        stages: &[Box<dyn Stage>],
        exchange: &mut Exchange,
        host: &mut dyn Host,
        options: &Options,
        end_of_stream: bool,
    ) -> Directive {
        exchange.facts.status = exchange.response_headers.text(":status").and_then(|code| code.parse().ok());
        *self = if observed(stages) { Self::Observing } else { Self::Passing };
        // A reply of this chain or of a filter further in is ours already.
        if exchange.facts.refusal.is_some() {
            return Directive::Continue;
        }
        match self.plan(stages, exchange, host, options, end_of_stream) {
            Ok(directive) => directive,
            Err(denial) if enforced(stages, exchange) => refuse(exchange, host, &denial),
            Err(denial) => {
                exchange.facts.observed.push(Refusal::from(&denial));
                Directive::Continue
            }
        }
    }

    fn plan(
        &mut self,
        stages: &[Box<dyn Stage>],
        exchange: &mut Exchange,
        host: &mut dyn Host,
        options: &Options,
        end_of_stream: bool,
    ) -> Result<Directive, Denial> {
        outwards(stages, exchange, |stage, exchange| stage.response_headers(exchange, host))?;
        if end_of_stream || !stages.iter().any(|stage| stage.reads_response(exchange)) {
            return Ok(Directive::Continue);
        }
        let encoding = exchange.response_headers.text("content-encoding").unwrap_or("identity");
        if !encoding.eq_ignore_ascii_case("identity") {
            return Err(unreadable("response_encoding", "the server's answer is compressed"));
        }
        let content_type = exchange.response_headers.text("content-type").unwrap_or_default();
        if transport::is_event_stream(content_type) {
            *self = Self::Streaming(sse::Splitter::new(options.limits.event_bytes));
            host.remove_header(Side::Response, "content-length")?;
            return Ok(Directive::Continue);
        }
        let kind = if transport::is_json(content_type) {
            Kind::Json
        } else if is_text(content_type) {
            Kind::Text
        } else {
            Kind::Other
        };
        *self = Self::Gathering { size: 0, kind };
        if options.hold_headers {
            return Ok(Directive::Pause);
        }
        host.remove_header(Side::Response, "content-length")?;
        Ok(Directive::Continue)
    }

    pub(crate) fn body(
        &mut self,
        stages: &[Box<dyn Stage>],
        exchange: &mut Exchange,
        host: &mut dyn Host,
        options: &Options,
        size: usize,
        end_of_stream: bool,
    ) -> Directive {
        match self {
            Self::Passing => Directive::Continue,
            Self::Observing => {
                if size > 0
                    && let Ok(bytes) = host.body(Side::Response, size)
                {
                    observe(stages, exchange, &bytes);
                }
                Directive::Continue
            }
            Self::Cut => self.put(stages, exchange, host, size, &[]),
            Self::Stuck => Directive::Pause,
            Self::Streaming(_) => self.stream(stages, exchange, host, size),
            Self::Gathering { size: gathered, kind } => {
                *gathered = size;
                if size > options.limits.response_bytes {
                    return self.block(stages, exchange, host, options, &too_large(options));
                }
                if *kind == Kind::Other && size > 0 {
                    let denial = unreadable(
                        "response_type",
                        "the server's answer is neither JSON nor an event stream",
                    );
                    return self.block(stages, exchange, host, options, &denial);
                }
                if !end_of_stream {
                    return Directive::Pause;
                }
                self.release(stages, exchange, host, options)
            }
        }
    }

    pub(crate) fn trailers(
        &mut self,
        stages: &[Box<dyn Stage>],
        exchange: &mut Exchange,
        host: &mut dyn Host,
        options: &Options,
    ) -> Directive {
        match self {
            Self::Gathering { .. } => self.release(stages, exchange, host, options),
            Self::Stuck => Directive::Pause,
            _ => Directive::Continue,
        }
    }

    /// The whole body is there.
    fn release(
        &mut self,
        stages: &[Box<dyn Stage>],
        exchange: &mut Exchange,
        host: &mut dyn Host,
        options: &Options,
    ) -> Directive {
        let Self::Gathering { size, kind } = *self else { return Directive::Continue };
        if size == 0 {
            *self = Self::Passing;
            return Directive::Continue;
        }
        let outcome = host.body(Side::Response, size);
        let outcome = outcome.map_err(Denial::from).and_then(|body| {
            let replaced = rewrite(stages, exchange, &body, kind)?;
            if let Some(replaced) = &replaced {
                if options.hold_headers {
                    host.set_header(Side::Response, "content-length", &replaced.len().to_string())?;
                }
                host.replace_body(Side::Response, size, replaced)?;
            }
            Ok(replaced.unwrap_or(body))
        });
        match outcome {
            Ok(sent) => {
                observe(stages, exchange, &sent);
                *self = Self::Passing;
                Directive::Continue
            }
            Err(denial) => self.block(stages, exchange, host, options, &denial),
        }
    }

    /// A whole body that may not be passed on: refused with a status while the headers are held, otherwise replaced.
    /// Where all stages observe, it is passed on after all.
    fn block(
        &mut self,
        stages: &[Box<dyn Stage>],
        exchange: &mut Exchange,
        host: &mut dyn Host,
        options: &Options,
        denial: &Denial,
    ) -> Directive {
        let Self::Gathering { size, .. } = *self else { return Directive::Pause };
        if !enforced(stages, exchange) {
            exchange.facts.observed.push(Refusal::from(denial));
            *self = Self::Observing;
            return self.body(stages, exchange, host, options, size, false);
        }
        if options.hold_headers {
            // The reply comes back through the response hooks, where the observing stages see its body.
            *self = Self::Observing;
            return refuse(exchange, host, denial);
        }
        record_refusal(exchange, host, denial, true);
        let id = exchange.facts.message.as_ref().and_then(|message| message.id.clone());
        let body = denial.body(id.as_ref());
        *self = Self::Cut;
        self.put(stages, exchange, host, size, &body)
    }

    /// Sends `bytes` in the place of the piece that has come; where the proxy does not take them the piece stays back.
    fn put(
        &mut self,
        stages: &[Box<dyn Stage>],
        exchange: &mut Exchange,
        host: &mut dyn Host,
        size: usize,
        bytes: &[u8],
    ) -> Directive {
        if host.replace_body(Side::Response, size, bytes).is_err() {
            *self = Self::Stuck;
            return Directive::Pause;
        }
        observe(stages, exchange, bytes);
        Directive::Continue
    }

    /// A piece of an event stream: complete events go on, the rest waits for its end.
    fn stream(
        &mut self,
        stages: &[Box<dyn Stage>],
        exchange: &mut Exchange,
        host: &mut dyn Host,
        size: usize,
    ) -> Directive {
        let Self::Streaming(splitter) = self else { return Directive::Continue };
        let mut sent = Vec::new();
        let result = match host.body(Side::Response, size) {
            Ok(piece) => split(splitter, &piece, stages, exchange, &mut sent),
            Err(error) => Err(error.into()),
        };
        if !enforced(stages, exchange) {
            if let Err(denial) = result {
                exchange.facts.observed.push(Refusal::from(&denial));
                *self = Self::Observing;
            }
            return Self::Observing.body(stages, exchange, host, &Options::default(), size, false);
        }
        if let Err(denial) = result {
            record_refusal(exchange, host, &denial, true);
            let id = exchange.facts.message.as_ref().and_then(|message| message.id.clone());
            sent.extend_from_slice(b"event: message\ndata: ");
            sent.extend_from_slice(&denial.body(id.as_ref()));
            sent.extend_from_slice(b"\n\n");
            *self = Self::Cut;
        }
        self.put(stages, exchange, host, size, &sent)
    }
}

/// Appends to `sent` what may leave of the events that `piece` completes.
fn split(
    splitter: &mut sse::Splitter,
    piece: &[u8],
    stages: &[Box<dyn Stage>],
    exchange: &mut Exchange,
    sent: &mut Vec<u8>,
) -> Result<(), Denial> {
    let events = splitter.push(piece).map_err(|_| {
        unreadable("response_event_too_large", "an event of the server's answer is too large")
    })?;
    for event in events {
        let data = event.data().filter(|data| !data.is_empty());
        let replaced = match &data {
            Some(data) => rewrite(stages, exchange, data, Kind::Json)?,
            None => None,
        };
        match replaced {
            Some(replaced) => sent.extend_from_slice(&event.with_data(&replaced)),
            None => sent.extend_from_slice(event.raw()),
        }
    }
    Ok(())
}

/// Shows a message to every stage that reads responses, innermost first, and returns what they made of it.
fn rewrite(
    stages: &[Box<dyn Stage>],
    exchange: &mut Exchange,
    message: &[u8],
    kind: Kind,
) -> Result<Option<Vec<u8>>, Denial> {
    let mut replaced: Option<Vec<u8>> = None;
    outwards(stages, exchange, |stage, exchange| {
        if !stage.reads_response(exchange) {
            return Ok(());
        }
        let now = replaced.as_deref().unwrap_or(message);
        let next = match kind {
            Kind::Json => stage.response_message(exchange, now)?,
            Kind::Text => stage.response_text(exchange, now)?,
            Kind::Other => None,
        };
        if next.is_some() {
            replaced = next;
        }
        Ok(())
    })?;
    Ok(replaced)
}

/// Runs a response hook of every stage, innermost first; a refusal of an observing stage is noted.
fn outwards(
    stages: &[Box<dyn Stage>],
    exchange: &mut Exchange,
    mut hook: impl FnMut(&dyn Stage, &mut Exchange) -> Result<(), Denial>,
) -> Result<(), Denial> {
    for stage in stages.iter().rev() {
        if let Err(denial) = hook(stage.as_ref(), exchange) {
            match stage.mode() {
                Mode::Enforce => return Err(denial),
                Mode::Observe => exchange.facts.observed.push(Refusal::from(&denial)),
            }
        }
    }
    Ok(())
}

fn refuse(exchange: &mut Exchange, host: &mut dyn Host, denial: &Denial) -> Directive {
    record_refusal(exchange, host, denial, true);
    let id = exchange.facts.message.as_ref().and_then(|message| message.id.clone());
    // A reply that the proxy does not take leaves the response paused: nothing of it reaches the client.
    let _ = host.reply(&denial.reply(id.as_ref()));
    Directive::Pause
}

/// Whether a stage that reads responses means its refusals.
fn enforced(stages: &[Box<dyn Stage>], exchange: &Exchange) -> bool {
    stages.iter().any(|stage| stage.mode() == Mode::Enforce && stage.reads_response(exchange))
}

fn observed(stages: &[Box<dyn Stage>]) -> bool {
    stages.iter().any(|stage| stage.observes_bytes())
}

fn observe(stages: &[Box<dyn Stage>], exchange: &mut Exchange, bytes: &[u8]) {
    for stage in stages.iter().filter(|stage| stage.observes_bytes()) {
        stage.response_bytes(exchange, bytes);
    }
}

fn is_text(content_type: &str) -> bool {
    content_type.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"))
}

fn unreadable(reason: &'static str, message: &str) -> Denial {
    Denial::new(502, rpc::BAD_ANSWER, reason, message)
}

fn too_large(options: &Options) -> Denial {
    let limit = options.limits.response_bytes;
    let message = format!("the server's answer is larger than the {limit} bytes that this gateway reads");
    Denial::new(502, rpc::BAD_ANSWER, "response_too_large", message)
}
