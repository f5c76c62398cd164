use serde::{Deserialize, Serialize};

use crate::Class;
use crate::reply::write_text;

/// A byte range of the body that was parsed.
pub type Span = core::ops::Range<usize>;

/// A request id. `null`, fractions, exponents and integers beyond 64 bits are not ids here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Id {
    /// An integer, as written; every reader takes it for the same number, and it has one spelling only.
    Number(String),
    /// A string, decoded.
    Text(String),
}

/// Which of the four JSON-RPC messages it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `method` and `id`.
    Request,
    /// `method` without `id`. The sender expects no answer, but the server may still act.
    Notification,
    /// `result` and `id`.
    Response,
    /// `error`, with an `id` unless the request's could not be read.
    Error,
}

/// One message: what a gateway decides on, and where the rest is in the body.
///
/// It owns short strings only, so that it can travel between filters; spans are valid for the very bytes that were
/// parsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Request, notification, result or error.
    pub kind: Kind,
    /// The id. Never absent from a request or a result, always from a notification.
    pub id: Option<Id>,
    /// The method of a request or notification, decoded.
    pub method: Option<String>,
    /// What the call names, decoded: the tool or prompt (`params.name`) for `tools/call` and `prompts/get`, the
    /// resource (`params.uri`) for `resources/read`, `resources/subscribe` and `resources/unsubscribe`, the task
    /// (`params.taskId`) for `tasks/get`, `tasks/result`, `tasks/update` and `tasks/cancel`. Never absent for these, where the version that the
    /// message claims has them.
    pub name: Option<String>,
    /// The object `params`.
    pub params: Option<Span>,
    /// The object `params.arguments`.
    pub arguments: Option<Span>,
    /// The object `result`.
    pub result: Option<Span>,
    /// The object `error`.
    pub error: Option<Span>,
    /// `error.code`. Never absent from an error.
    pub error_code: Option<i64>,
    /// `result.resultType` (revision 2026-07-28): `complete`, `input_required`, or what an extension defines.
    pub result_type: Option<String>,
    /// What a server asks of the client before a call can go on, in the order written: `inputRequests` of a result
    /// (revision 2026-07-28, "Multi Round-Trip Requests") or of `notifications/tasks`, and the one elicitation that an
    /// error -32042 stands for (revision 2025-11-25). They act on the client like requests that a server sends.
    pub input_requests: Vec<InputRequest>,
    /// The version that the sender claims: `params._meta["io.modelcontextprotocol/protocolVersion"]`, or of
    /// `initialize` and its result `protocolVersion`. Not checked against the known versions.
    pub protocol_version: Option<String>,
    /// The object in which the sender declares its capabilities: `params.capabilities` of `initialize`,
    /// `params._meta["io.modelcontextprotocol/clientCapabilities"]` of other requests, `result.capabilities`.
    pub capabilities: Option<Span>,
    /// Bytes of the body that was parsed.
    pub length: usize,
}

/// A request that a server embeds in a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRequest {
    /// The server's name for it, decoded; the client's answer carries the same. Empty for an error.
    pub key: String,
    /// What it asks, such as `elicitation/create`.
    pub method: String,
}

impl Id {
    /// The id as JSON, the way to put it into an answer.
    pub fn to_json(&self) -> String {
        match self {
            Self::Number(digits) => digits.clone(),
            Self::Text(text) => {
                let mut json = String::with_capacity(text.len().saturating_add(2));
                write_text(&mut json, text);
                json
            }
        }
    }
}

impl Message {
    /// What the message does, when a client sends it. A method decides, whether or not an id asks for an answer.
    pub fn class(&self) -> Class {
        self.method.as_deref().map_or(Class::Session, Class::of)
    }

    /// Whether a tool would run: `tools/call`, also in the form of a notification.
    pub fn is_tool_call(&self) -> bool {
        self.method.as_deref() == Some("tools/call")
    }
}
