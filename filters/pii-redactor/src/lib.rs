//! Personal data out of what leaves: the arguments of a call before the server sees them, the results before the
//! client does, event by event where the server streams.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

use airlock_mcp::{Kind, Message, transport};
use airlock_pipeline::{Denial, Exchange, Host, Mode, Next, Side, Stage, rpc};
use airlock_redact::{Class, Redactor};
use serde::Deserialize;

/// Configuration of the stage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Whether what is found is replaced, or only counted.
    pub mode: Mode,
    /// What is looked for on the way to the server.
    pub request: Detection,
    /// What is looked for on the way to the client.
    pub response: Detection,
}

/// What is looked for in one direction.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// Classes of data that are found and replaced; an empty list looks for nothing.
    pub detect: Vec<Class>,
}

impl Default for Detection {
    fn default() -> Self {
        Self { detect: vec![Class::Email, Class::Card] }
    }
}

/// The stage.
#[derive(Debug)]
pub struct PiiRedactor {
    mode: Mode,
    request: Option<Redactor>,
    response: Option<Redactor>,
}

impl PiiRedactor {
    /// A stage that cleans as `configuration` says.
    pub fn new(configuration: &Configuration) -> Self {
        let redactor =
            |detection: &Detection| (!detection.detect.is_empty()).then(|| Redactor::new(&detection.detect));
        Self {
            mode: configuration.mode,
            request: redactor(&configuration.request),
            response: redactor(&configuration.response),
        }
    }

    /// Headers that mirror arguments (MCP 2026-07-28, `Mcp-Param-*`) must not carry what is taken out of them. What is
    /// found is counted where it is mirrored from.
    fn clean_mirrors(
        &self,
        redactor: &Redactor,
        exchange: &mut Exchange,
        host: &mut dyn Host,
    ) -> Result<(), Denial> {
        for (name, value) in exchange.request_headers.clone().iter() {
            if !name.starts_with(b"mcp-param-") {
                continue;
            }
            let (Ok(name), Some(decoded)) = (std::str::from_utf8(name), decoded(value)) else {
                // Refused with the body, where the id of the message is known, unless headers leave before it.
                if exchange.headers_held {
                    continue;
                }
                return Err(unsearchable_request());
            };
            let cleaned = redactor.text(decoded.as_bytes());
            if let (Mode::Enforce, Some(output)) = (self.mode, &cleaned.output) {
                host.set_header(
                    Side::Request,
                    name,
                    &transport::encode_header_value(&String::from_utf8_lossy(output)),
                )?;
            }
        }
        Ok(())
    }
}

impl Stage for PiiRedactor {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn request_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<Next, Denial> {
        if self.response.is_some() {
            // A compressed answer could not be searched; without this header the server sends it plain. It is removed
            // in observation too, which would see nothing otherwise; what the answer says does not depend on it.
            host.remove_header(Side::Request, "accept-encoding")?;
        }
        if let Some(redactor) = &self.request {
            self.clean_mirrors(redactor, exchange, host)?;
        }
        Ok(Next::On)
    }

    fn reads_request(&self, _exchange: &Exchange) -> bool {
        self.request.is_some()
    }

    fn request_body(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        let Some(redactor) = &self.request else { return Ok(()) };
        // A value that cannot be decoded here could be decoded by a server that is less strict.
        let undecodable =
            |(name, value): (&[u8], &[u8])| name.starts_with(b"mcp-param-") && decoded(value).is_none();
        if exchange.request_headers.iter().any(undecodable) {
            return Err(unsearchable_request());
        }
        if exchange.request_body().is_none_or(<[u8]>::is_empty) && exchange.facts.http_method != "POST" {
            return Ok(());
        }
        let Some(span) = request_span(redactor, exchange.message()?) else { return Ok(()) };
        let body = exchange.request_body().unwrap_or_default();
        let value = body.get(span.clone()).unwrap_or_default();
        let redacted = redactor.json(value).map_err(|_| unsearchable_request())?;
        let cleaned = redacted.output.filter(|_| self.mode == Mode::Enforce);
        let rewritten = cleaned.map(|output| splice(body, span, &output));
        exchange.facts.found_in_request.merge(&redacted.findings);
        rewritten.map_or(Ok(()), |body| exchange.rewrite_request(body))
    }

    fn reads_response(&self, _exchange: &Exchange) -> bool {
        self.response.is_some()
    }

    fn response_message(&self, exchange: &mut Exchange, json: &[u8]) -> Result<Option<Vec<u8>>, Denial> {
        let Some(redactor) = &self.response else { return Ok(None) };
        let span = response_span(exchange, json);
        let value = json.get(span.clone()).unwrap_or_default();
        let redacted = redactor.json(value).map_err(|_| unsearchable_response())?;
        exchange.facts.found_in_response.merge(&redacted.findings);
        Ok(redacted.output.filter(|_| self.mode == Mode::Enforce).map(|output| splice(json, span, &output)))
    }

    fn response_text(&self, exchange: &mut Exchange, text: &[u8]) -> Result<Option<Vec<u8>>, Denial> {
        let Some(redactor) = &self.response else { return Ok(None) };
        let redacted = redactor.text(text);
        exchange.facts.found_in_response.merge(&redacted.findings);
        Ok(redacted.output.filter(|_| self.mode == Mode::Enforce))
    }
}

/// The part of a client's message that carries data: its parameters or its answer.
///
/// The name of what is called (a tool, a resource) stands among the parameters and is no data: a changed one would mean
/// another call. Where one is that looks like data, only the arguments are cleaned.
fn request_span(redactor: &Redactor, message: &Message) -> Option<Range<usize>> {
    let looks_like_data = |name: &String| redactor.text(name.as_bytes()).output.is_some();
    match message.kind {
        Kind::Request | Kind::Notification if message.name.as_ref().is_some_and(looks_like_data) => {
            message.arguments.clone()
        }
        Kind::Request | Kind::Notification => message.params.clone(),
        Kind::Response => message.result.clone(),
        Kind::Error => message.error.clone(),
    }
}

/// The part of a server's message that carries data. What is no single well-formed message is searched whole: every
/// string of it, so that no reading of it can show more than another.
fn response_span(exchange: &mut Exchange, json: &[u8]) -> Range<usize> {
    let message = exchange.answer(json).ok();
    message
        .and_then(|message| match message.kind {
            Kind::Request | Kind::Notification => message.params.clone(),
            Kind::Response => message.result.clone(),
            Kind::Error => message.error.clone(),
        })
        .unwrap_or(0..json.len())
}

/// What a header that mirrors an argument stands for.
fn decoded(value: &[u8]) -> Option<Cow<'_, str>> {
    transport::decode_header_value(std::str::from_utf8(value).ok()?).ok()
}

fn splice(body: &[u8], span: Range<usize>, value: &[u8]) -> Vec<u8> {
    let mut spliced = Vec::with_capacity(body.len() + value.len());
    spliced.extend_from_slice(body.get(..span.start).unwrap_or_default());
    spliced.extend_from_slice(value);
    spliced.extend_from_slice(body.get(span.end..).unwrap_or_default());
    spliced
}

/// JSON-RPC code for a request that is not a valid message (JSON-RPC 2.0 section 5.1).
const INVALID_REQUEST: i64 = -32600;

const UNSEARCHABLE: &str = "this message could not be searched for personal data";

fn unsearchable_request() -> Denial {
    Denial::new(400, INVALID_REQUEST, "request_unsearchable", UNSEARCHABLE)
}

fn unsearchable_response() -> Denial {
    Denial::new(502, rpc::BAD_ANSWER, "response_unsearchable", UNSEARCHABLE)
}
