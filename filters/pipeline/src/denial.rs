use airlock_mcp::{Id, error_body, unsupported_version_body};

use crate::HostError;

/// JSON-RPC error codes of our own, outside the ranges that JSON-RPC and MCP reserve (-32768 to -32000).
pub mod rpc {
    /// Nobody has said credibly who calls.
    pub const UNAUTHENTICATED: i64 = -31401;
    /// The caller is known and may not do this.
    pub const DENIED: i64 = -31403;
    /// More bytes than the gateway is configured to read.
    pub const TOO_LARGE: i64 = -31413;
    /// The gateway itself cannot do its duty at the moment; trying again later may help.
    pub const UNAVAILABLE: i64 = -31503;
    /// The server's answer cannot be passed on.
    pub const BAD_ANSWER: i64 = -31502;
}

/// Value of `Allow`, which every 405 must have (RFC 9110 section 15.5.6).
const METHODS: &str = "GET, POST, DELETE";

/// A refusal: what the client is told and what goes on record.
///
/// `reason` is a stable snake_case code that receipts, metrics and documentation share; `message` is for people and
/// never quotes a token, a payload or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// HTTP status of the answer.
    pub status: u16,
    /// JSON-RPC error code of the answer.
    pub code: i64,
    /// Stable reason code.
    pub reason: &'static str,
    /// One sentence for the person who sees the error.
    pub message: String,
    /// The policy rule that decided, if one did.
    pub rule: Option<String>,
    /// Header lines of the answer, such as `WWW-Authenticate` (RFC 9110 section 11.6.1); a name may stand on several.
    pub headers: Vec<(&'static str, String)>,
    /// The protocol version that was asked for and is not known: the answer then lists those that are.
    pub requested_version: Option<String>,
    /// The JSON-RPC id, where it is known only to the refusing stage because the message could not be read whole.
    pub id: Option<Id>,
}

impl Denial {
    /// A refusal without rule and header lines of its own.
    pub fn new(status: u16, code: i64, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            reason,
            message: message.into(),
            rule: None,
            headers: Vec::new(),
            requested_version: None,
            id: None,
        }
    }

    /// A refusal of a server's answer that cannot be passed on.
    pub fn unreadable_answer(reason: &'static str, message: &str) -> Self {
        Self::new(502, rpc::BAD_ANSWER, reason, message)
    }

    /// The answer to the client, with a body made by [`Denial::body`] or [`Denial::batch_body`].
    pub fn reply(&self, body: Vec<u8>) -> Reply {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend_from_slice(&self.headers);
        if self.status == 405 {
            headers.push(("allow", METHODS.to_owned()));
        }
        Reply { status: self.status, headers, body, reason: self.reason }
    }

    /// The JSON-RPC errors for a batch that is refused as a whole: one for every request in it.
    pub fn batch_body<'a>(&self, ids: impl Iterator<Item = &'a Id>) -> Vec<u8> {
        let mut body = vec![b'['];
        for (index, id) in ids.enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&Self { id: None, ..self.clone() }.body(Some(id)));
        }
        body.push(b']');
        body
    }

    /// The JSON-RPC error. `id` is that of the refused message, where it is known.
    pub fn body(&self, id: Option<&Id>) -> Vec<u8> {
        let mut data = vec![("reason", self.reason)];
        if let Some(rule) = &self.rule {
            data.push(("rule", rule));
        }
        let id = self.id.as_ref().or(id);
        match &self.requested_version {
            Some(requested) => unsupported_version_body(id, &self.message, requested, &data),
            None => error_body(id, self.code, &self.message, &data),
        }
    }
}

impl From<HostError> for Denial {
    /// The proxy would not do what a stage needed: fail closed.
    fn from(HostError: HostError) -> Self {
        Self::new(500, rpc::UNAVAILABLE, "proxy_failure", "the gateway could not process this message")
    }
}

/// An answer that the gateway gives in the server's stead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header lines beyond those that the proxy adds.
    pub headers: Vec<(&'static str, String)>,
    /// The body: of a refusal, a JSON-RPC error.
    pub body: Vec<u8>,
    /// Stable reason code, shown by the proxy as response code detail.
    pub reason: &'static str,
}
