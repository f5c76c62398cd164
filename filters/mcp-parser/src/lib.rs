//! One strict meaning of headers and body: what is not a well-formed MCP message over Streamable HTTP is refused here,
//! before any stage decides on it.
//!
//! Source: MCP specification, Transports, Streamable HTTP; JSON-RPC 2.0. The strictness beyond them (duplicate
//! members, two header lines, trailers) exists because two readers could understand the same bytes differently.

mod configuration;
mod idle;
mod session;

#[cfg(test)]
mod tests;

use airlock_mcp::transport::{Era, HeaderMismatchKind, ProtocolVersion};
use airlock_mcp::{Class, Message, transport};
use airlock_pipeline::{Denial, Exchange, Headers, Host, Next, Session, Side, Stage, publish};

pub use configuration::Configuration;
pub use session::Sessions;

/// JSON-RPC code for a request that is not a valid message (JSON-RPC 2.0 section 5.1).
const INVALID_REQUEST: i64 = -32600;

/// Headers that decide what a message means, and so may stand only once.
const ONCE: [&str; 8] = [
    "origin",
    "content-type",
    "content-length",
    "content-encoding",
    transport::SESSION_ID,
    transport::PROTOCOL_VERSION,
    transport::METHOD,
    transport::NAME,
];

/// Headers by which some servers take a request for one of another HTTP method than it was judged by.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// How headers begin that mirror arguments (MCP 2026-07-28, "Custom Headers from Tool Parameters").
const PARAMETER: &[u8] = b"mcp-param-";

/// The longest session id that a client may send, in bytes: a server's id with its seal.
const SEALED_BYTES: usize = transport::SESSION_ID_BYTES + 64;

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
    fn request_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<Next, Denial> {
        exchange.message_limits = self.configuration.limits.clone();
        let headers = &exchange.request_headers;
        readable(headers)?;
        self.serves(&exchange.facts.host)?;
        self.allows_page_of(headers)?;
        match exchange.facts.http_method.as_str() {
            "POST" => posted(headers)?,
            "GET" | "DELETE" => {}
            _ => return Err(refused(405, "http_method", "MCP over HTTP uses POST, GET and DELETE")),
        }
        // What the server compresses cannot be read.
        if headers.contains("accept-encoding") {
            host.remove_header(Side::Request, "accept-encoding")?;
        }
        self.unseal(exchange, host)?;
        Ok(Next::On)
    }

    fn reads_request(&self, _exchange: &Exchange) -> bool {
        true
    }

    fn request_body(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        if exchange.facts.http_method != "POST" {
            return match exchange.request_body() {
                None | Some([]) => Ok(()),
                Some(_) => Err(refused(400, "unexpected_body", "only a POST request carries a message")),
            };
        }
        let message = exchange.message()?.clone();
        if exchange.facts.batch.is_empty() {
            describe(host, &message, &exchange.request_headers);
        } else {
            // One word for all of it: the facts of one message must not pass for those of another.
            publish(host, "method", "batch");
            publish(host, "class", Class::Unknown.as_str());
        }
        agreeing(&message, &exchange.request_headers)
    }

    fn response_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        let Ok(given) = exchange.response_headers.one(transport::SESSION_ID) else {
            return Err(Denial::unreadable_answer("response_session_id", "the server gives two session ids"));
        };
        let Some(given) = given else { return Ok(()) };
        let given = String::from_utf8_lossy(given).into_owned();
        let sealed = match &exchange.session {
            Some(session) if session.id == given => session.sealed.clone(),
            _ => self.configuration.sessions.seal(&given, &exchange.facts, host)?,
        };
        host.set_header(Side::Response, transport::SESSION_ID, &sealed)?;
        exchange.response_headers.set(transport::SESSION_ID, sealed.as_bytes());
        Ok(())
    }

    fn reads_response(&self, exchange: &Exchange) -> bool {
        carries_messages(exchange)
    }

    fn response_message(&self, exchange: &mut Exchange, json: &[u8]) -> Result<Option<Vec<u8>>, Denial> {
        exchange.answer(json).map(|_| None)
    }
}

impl McpParser {
    fn serves(&self, authority: &str) -> Result<(), Denial> {
        let hosts = &self.configuration.hosts;
        if hosts.is_empty() || hosts.iter().any(|host| host.matches(authority)) {
            return Ok(());
        }
        Err(refused(421, "host_not_allowed", "this gateway does not serve that host"))
    }

    /// MCP 2025-11-25, Transports, Security Warning: 403 where `Origin` is present and not valid.
    fn allows_page_of(&self, headers: &Headers) -> Result<(), Denial> {
        let Some(origin) = headers.text("origin") else { return Ok(()) };
        if self.configuration.origins.iter().any(|allowed| allowed.matches(origin)) {
            return Ok(());
        }
        Err(refused(403, "origin_not_allowed", "web pages of this origin may not call this gateway"))
    }

    /// Puts the server's own session id in the place of the sealed one. A version without sessions ignores the header,
    /// and so it goes no further.
    fn unseal(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        let headers = &exchange.request_headers;
        let Some(sealed) = headers.text(transport::SESSION_ID).map(str::to_owned) else { return Ok(()) };
        let version = headers.text(transport::PROTOCOL_VERSION).and_then(ProtocolVersion::parse);
        if version.is_some_and(|version| version.era() == Era::Stateless) {
            host.remove_header(Side::Request, transport::SESSION_ID)?;
            exchange.request_headers.remove(transport::SESSION_ID);
            return Ok(());
        }
        if sealed.is_empty()
            || sealed.len() > SEALED_BYTES
            || !sealed.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(refused(400, "session_id", "the `mcp-session-id` header is not a session id"));
        }
        let id = self.configuration.sessions.open(&sealed, &exchange.facts, host)?;
        host.set_header(Side::Request, transport::SESSION_ID, &id)?;
        exchange.request_headers.set(transport::SESSION_ID, id.as_bytes());
        exchange.session = Some(Session { sealed, id });
        Ok(())
    }
}

/// Whether the answer has to consist of MCP messages: an event stream always, JSON where a message was asked and no
/// HTTP error says otherwise.
fn carries_messages(exchange: &Exchange) -> bool {
    let succeeded = exchange.facts.status.is_some_and(|status| (200..300).contains(&status));
    let content_type = exchange.response_headers.text("content-type").unwrap_or_default();
    succeeded
        && (transport::is_event_stream(content_type)
            || exchange.facts.http_method == "POST" && transport::is_json(content_type))
}

/// Tells operators what the message is.
fn describe(host: &mut dyn Host, message: &Message, headers: &Headers) {
    publish(host, "method", message.method.as_deref().unwrap_or_default());
    publish(host, "class", message.class().as_str());
    if message.is_tool_call() {
        publish(host, "tool", message.name.as_deref().unwrap_or_default());
    }
    let version = headers.text(transport::PROTOCOL_VERSION).or(message.protocol_version.as_deref());
    if let Some(version) = version.and_then(ProtocolVersion::parse) {
        publish(host, "version", version.as_str());
    }
}

/// Every header that can be read in one way only.
fn readable(headers: &Headers) -> Result<(), Denial> {
    if headers.iter().any(|(name, _)| is_lookalike(name)) {
        let message = "a header has an underscore where one that decides has a hyphen";
        return Err(refused(400, "header_lookalike", message));
    }
    if OVERRIDES.iter().any(|name| headers.contains(name)) {
        return Err(refused(400, "http_method_override", "a header asks for another HTTP method"));
    }
    for (name, value) in headers.iter() {
        if std::str::from_utf8(value).is_err() {
            let name = String::from_utf8_lossy(name);
            let message = format!("the value of the header `{name}` is not UTF-8");
            return Err(refused(400, "header_not_utf8", message));
        }
    }
    let mirrors = headers.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok());
    let mirrors = mirrors.filter(|name| name.starts_with("mcp-"));
    match ONCE.into_iter().chain(mirrors).find(|name| headers.one(name).is_err()) {
        Some(name) => {
            let code = if name.starts_with("mcp-") { transport::HEADER_MISMATCH } else { INVALID_REQUEST };
            let message = format!("the header `{name}` may be sent only once");
            Err(Denial::new(400, code, "header_repeated", message))
        }
        None => Ok(()),
    }
}

/// Whether servers that turn hyphens into underscores (CGI, WSGI) take it for a header that decides.
fn is_lookalike(name: &[u8]) -> bool {
    if !name.contains(&b'_') {
        return false;
    }
    let name: Vec<u8> = name.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect();
    name.starts_with(b"mcp-") || ONCE.iter().any(|known| known.as_bytes() == name)
}

/// The headers of a POST that carries a message.
fn posted(headers: &Headers) -> Result<(), Denial> {
    let mut accepted = headers.iter().filter(|(name, _)| *name == b"accept").peekable();
    let takes = |value: &[u8], media_type| {
        std::str::from_utf8(value).is_ok_and(|value| transport::accepts(value, media_type))
    };
    let understands = |(_, value)| takes(value, "application/json") || takes(value, "text/event-stream");
    if accepted.peek().is_some() && !accepted.any(understands) {
        return Err(refused(406, "not_acceptable", "an MCP client accepts JSON and event streams"));
    }
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
    let undecodable = |value: &[u8]| {
        std::str::from_utf8(value).map_or(true, |text| transport::decode_header_value(text).is_err())
    };
    if headers.iter().any(|(name, value)| name.starts_with(PARAMETER) && undecodable(value)) {
        let message = "a `mcp-param-*` header is not encoded as its form says";
        return Err(Denial::new(400, transport::HEADER_MISMATCH, "header_mismatch", message));
    }
    transport::check_headers(
        message,
        headers.text(transport::PROTOCOL_VERSION),
        headers.text(transport::METHOD),
        headers.text(transport::NAME),
    )
    .map_err(|error| {
        let named = headers.text(transport::PROTOCOL_VERSION).or(message.protocol_version.as_deref());
        let unsupported = error.kind == HeaderMismatchKind::UnsupportedVersion;
        Denial {
            requested_version: named.filter(|_| unsupported).map(str::to_owned),
            ..Denial::new(400, error.code(), error.reason(), error.to_string())
        }
    })
}

fn refused(status: u16, reason: &'static str, message: impl Into<String>) -> Denial {
    Denial::new(status, INVALID_REQUEST, reason, message)
}
