//! One strict meaning of headers and body: what is not a well-formed MCP message over Streamable HTTP is refused here,
//! before any stage decides on it.
//!
//! Source: MCP specification, Transports, Streamable HTTP; JSON-RPC 2.0. The strictness beyond them (duplicate
//! members, two header lines, trailers) exists because two readers could understand the same bytes differently.

#[cfg(test)]
mod tests;

use airlock_mcp::{Limits, Message, transport};
use airlock_pipeline::{Denial, Exchange, Headers, Host, Stage, publish};
use serde::Deserialize;

/// Configuration of the stage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Limits within which a message is read.
    pub limits: Limits,
    /// What happens to a request that carries HTTP trailers, for which MCP has no use.
    pub request_trailers: Trailers,
}

/// What happens to a request that carries HTTP trailers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trailers {
    /// Refused: a server could merge them into headers that were judged without them.
    #[default]
    Refuse,
    /// Judged by its body like any other, and passed on with them.
    Allow,
}

/// JSON-RPC code for a request that is not a valid message (JSON-RPC 2.0 section 5.1).
const INVALID_REQUEST: i64 = -32600;

/// Headers that decide what a message means, and so may stand only once.
const ONCE: [&str; 7] = [
    "content-type",
    "content-length",
    "content-encoding",
    transport::SESSION_ID,
    transport::PROTOCOL_VERSION,
    transport::METHOD,
    transport::NAME,
];

/// The stage.
#[derive(Debug)]
pub struct McpParser {
    configuration: Configuration,
}

impl McpParser {
    /// A stage that reads messages as `configuration` says.
    pub fn new(configuration: Configuration) -> Self {
        Self { configuration }
    }
}

impl Stage for McpParser {
    fn request_headers(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        exchange.message_limits = self.configuration.limits.clone();
        readable(&exchange.request_headers)?;
        let session = exchange.request_headers.text(transport::SESSION_ID);
        if session.is_some_and(|session| !transport::is_session_id(session)) {
            return Err(refused(400, "session_id", "the `mcp-session-id` header is not a session id"));
        }
        match exchange.facts.http_method.as_str() {
            "POST" => posted(&exchange.request_headers),
            "GET" | "DELETE" => Ok(()),
            _ => Err(refused(405, "http_method", "MCP over HTTP uses POST, GET and DELETE")),
        }
    }

    fn reads_request(&self, _exchange: &Exchange) -> bool {
        true
    }

    fn request_body(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        if exchange.facts.trailers && self.configuration.request_trailers == Trailers::Refuse {
            return Err(refused(400, "request_trailers", "a request with trailers is not accepted"));
        }
        if exchange.facts.http_method != "POST" {
            return match exchange.request_body() {
                None | Some([]) => Ok(()),
                Some(_) => Err(refused(400, "unexpected_body", "only a POST request carries a message")),
            };
        }
        let message = exchange.message()?.clone();
        publish(host, "method", message.method.as_deref().unwrap_or_default());
        if message.is_tool_call() {
            publish(host, "tool", message.name.as_deref().unwrap_or_default());
        }
        agreeing(&message, &exchange.request_headers)
    }
}

/// Every header that can be read in one way only.
fn readable(headers: &Headers) -> Result<(), Denial> {
    for (name, value) in headers.iter() {
        if std::str::from_utf8(value).is_err() {
            let name = String::from_utf8_lossy(name);
            let message = format!("the value of the header `{name}` is not UTF-8");
            return Err(refused(400, "header_not_utf8", message));
        }
    }
    match ONCE.into_iter().find(|name| headers.one(name).is_err()) {
        Some(name) => {
            let code = if name.starts_with("mcp-") { transport::HEADER_MISMATCH } else { INVALID_REQUEST };
            let message = format!("the header `{name}` may be sent only once");
            Err(Denial::new(400, code, "header_repeated", message))
        }
        None => Ok(()),
    }
}

/// The headers of a POST that carries a message.
fn posted(headers: &Headers) -> Result<(), Denial> {
    if !transport::is_json(headers.text("content-type").unwrap_or_default()) {
        return Err(refused(415, "content_type", "the content type of a message is `application/json`"));
    }
    let encoding = headers.text("content-encoding").unwrap_or("identity");
    if encoding.eq_ignore_ascii_case("identity") {
        Ok(())
    } else {
        Err(refused(415, "request_encoding", "a compressed message is not accepted"))
    }
}

/// Headers that mirror the body must say the same (MCP 2026-07-28, Standard Headers).
fn agreeing(message: &Message, headers: &Headers) -> Result<(), Denial> {
    transport::check_headers(
        message,
        headers.text(transport::PROTOCOL_VERSION),
        headers.text(transport::METHOD),
        headers.text(transport::NAME),
    )
    .map_err(|error| Denial::new(400, error.code(), error.reason(), error.to_string()))
}

fn refused(status: u16, reason: &'static str, message: impl Into<String>) -> Denial {
    Denial::new(status, INVALID_REQUEST, reason, message)
}
