use std::rc::Rc;

use airlock_jose::Claims;
use airlock_mcp::{Id, Message, ParseErrorKind, parse, parse_answer};
use airlock_policy::Operation;
use airlock_receipt::Digester;
use airlock_redact::Findings;
use serde::{Deserialize, Serialize};

use crate::{Denial, Headers};

/// What is known of one HTTP request and its response so far.
///
/// [`Facts`] are shared by all filters of a chain; the rest belongs to the filter that holds it.
#[derive(Debug, Default)]
pub struct Exchange {
    /// What stages tell one another.
    pub facts: Facts,
    /// The request's headers as this filter was given them.
    pub request_headers: Headers,
    /// The response's headers as this filter was given them.
    pub response_headers: Headers,
    /// Limits within which a message is read.
    pub message_limits: airlock_mcp::Limits,
    /// Whether the request's headers wait for the verdict on the body.
    pub headers_held: bool,
    /// Digest of the request body as it came in, kept by the receipt stage.
    pub request_digest: Option<Digester>,
    /// Digest of the response body as it went out, kept by the receipt stage.
    pub response_digest: Option<Digester>,
    /// The session that the client named, for the filter that unsealed its id. It opens the session, so that it stays
    /// here and never becomes a fact.
    pub session: Option<Session>,
    /// What a stage that waits wants to know when it is asked again.
    pub wait: Option<Wait>,
    /// A nonce that the client should use in its next proof of possession.
    pub next_nonce: Option<String>,
    body: Body,
    answer: Option<Message>,
}

/// The request body in the filter's memory.
#[derive(Debug, Default)]
struct Body {
    bytes: Option<Vec<u8>>,
    rewritten: bool,
}

/// A session id in its two forms.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// As the client knows it.
    pub sealed: String,
    /// As the server knows it.
    pub id: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session")
    }
}

/// A request's place among those that wait.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Since when it waits, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// What has to be over before it is asked again, in a count of the stage's own.
    pub after: Option<u64>,
    /// Counted by whoever bounds how many wait.
    pub place: Rc<()>,
}

/// What stages tell one another about an exchange: small, owned, free of payloads and credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// 32 hexadecimal digits, unique per exchange; empty until the first filter has seen the request.
    pub id: String,
    /// When the first filter saw the request, microseconds since the Unix epoch.
    pub started_at: u64,
    /// HTTP method.
    pub http_method: String,
    /// `:authority` of the request.
    pub host: String,
    /// `:path` of the request, without its query.
    pub path: String,
    /// Digest of the MCP session id: the id itself opens the session and is never kept.
    pub session: Option<String>,
    /// Who calls.
    pub caller: Caller,
    /// How the caller authenticated; `None` while nobody has.
    pub scheme: Option<Scheme>,
    /// URL of the protected-resource metadata (RFC 9728) of this server, for challenges.
    pub resource_metadata: Option<String>,
    /// What the body says; its spans point into the body that this filter read.
    pub message: Option<Message>,
    /// The messages of a batch, which protocol version 2025-03-26 allows; empty for a single message. Hooks see them
    /// one at a time in `message`.
    pub batch: Vec<Part>,
    /// What policy said.
    pub verdict: Option<Verdict>,
    /// Whether a stage has answered in the server's stead, with what is no refusal.
    pub answered: bool,
    /// The refusal that the client got, if any.
    pub refusal: Option<Refusal>,
    /// Refusals that were noted and not carried out: different ones, and not more than the record keeps.
    pub observed: Vec<Refusal>,
    /// Personal data found in the request.
    pub found_in_request: Findings,
    /// Personal data found in the response.
    pub found_in_response: Findings,
    /// Whether evidence of this call can be kept.
    pub evidence: Evidence,
    /// Whether the last filter that the request came to has let it go on.
    pub released: bool,
    /// HTTP status that the client gets.
    pub status: Option<u16>,
    /// Whether the answer came to its end.
    pub ended: bool,
}

/// What is known of one message of a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// 32 hexadecimal digits, like [`Facts::id`]: every message of a batch has a record of its own.
    pub id: String,
    /// What it says; its spans point into the part of the body that is this message.
    pub message: Option<Message>,
    /// What policy said.
    pub verdict: Option<Verdict>,
    /// Personal data found in it.
    pub found_in_request: Findings,
}

/// Refusals that are noted at most; a long stream could bring about one with every event.
const OBSERVED: usize = 8;

impl Facts {
    /// Notes a refusal that is not carried out, and whether it did: one that is known already is not noted again.
    pub fn note(&mut self, denial: &Denial) -> bool {
        let refusal = Refusal::from(denial);
        let is_new = self.observed.len() < OBSERVED && !self.observed.contains(&refusal);
        if is_new {
            self.observed.push(refusal);
        }
        is_new
    }

    pub(crate) fn refuse(&mut self, denial: &Denial, answer_withheld: bool) {
        self.refusal = Some(Refusal { answer_withheld, ..Refusal::from(denial) });
    }
}

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Caller {
    /// No stage has asked.
    #[default]
    Unknown,
    /// There was no credible token, and configuration lets such calls go on.
    Anonymous,
    /// A verified access token.
    Known(Rc<Claims>),
}

impl Caller {
    /// The claims of a verified token.
    pub fn claims(&self) -> Option<&Claims> {
        match self {
            Self::Known(claims) => Some(claims),
            Self::Unknown | Self::Anonymous => None,
        }
    }
}

/// The scheme of HTTP authentication that a caller used, which is that of the challenges that it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
}

impl Scheme {
    /// Its name in `Authorization` and `WWW-Authenticate`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// What policy said about a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether policy allows the call.
    pub allowed: bool,
    /// Stable reason code.
    pub reason: String,
    /// Rule that decided.
    pub rule: Option<String>,
    /// Server that the route leads to.
    pub server: Option<String>,
    /// What the call does.
    pub operation: Operation,
    /// Digest of the policy document.
    pub policy_digest: String,
}

/// A refusal as the record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// JSON-RPC error code.
    pub code: i64,
    /// Stable reason code.
    pub reason: String,
    /// Policy rule, if one decided.
    pub rule: Option<String>,
    /// Whether the server has done its work and only its answer was refused.
    pub answer_withheld: bool,
}

impl From<&Denial> for Refusal {
    fn from(denial: &Denial) -> Self {
        Self {
            status: denial.status,
            code: denial.code,
            reason: denial.reason.to_owned(),
            rule: denial.rule.clone(),
            answer_withheld: false,
        }
    }
}

/// Whether evidence of a call can be kept at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Receipts reach the signer, or no receipts are configured.
    #[default]
    Kept,
    /// The signer cannot be reached; receipts wait in a bounded queue, and calls that change something must wait too.
    Queued,
}

impl Exchange {
    /// The request body that [`crate::Stage::request_body`] may read.
    pub fn request_body(&self) -> Option<&[u8]> {
        self.body.bytes.as_deref()
    }

    /// Puts another body in the place of the client's. Spans of [`Facts::message`] are read anew.
    ///
    /// # Errors
    /// A [`Denial`] if what the stage made of the message is no valid message any more.
    pub fn rewrite_request(&mut self, body: Vec<u8>) -> Result<(), Denial> {
        self.facts.message = Some(parse(&body, &self.message_limits).map_err(unreadable)?);
        self.body = Body { bytes: Some(body), rewritten: true };
        Ok(())
    }

    /// The message of the request body, read now unless a stage before has read it.
    ///
    /// # Errors
    /// A [`Denial`] that names what is wrong with the body, with the message's id if that could be read.
    pub fn message(&mut self) -> Result<&Message, Denial> {
        let body = self.body.bytes.as_deref().unwrap_or_default();
        if self.facts.message.is_none() {
            self.facts.message = Some(parse(body, &self.message_limits).map_err(unreadable)?);
        }
        match &self.facts.message {
            Some(message)
                if !self.facts.batch.is_empty() && message.method.as_deref() == Some("initialize") =>
            {
                let kind = ParseErrorKind::RpcBatch;
                Err(Denial::new(400, kind.code(), kind.reason(), "`initialize` must not be part of a batch"))
            }
            Some(message) => Ok(message),
            None => Err(crate::HostError.into()),
        }
    }

    /// The message of an answer that a stage is shown, read once for all of them.
    ///
    /// # Errors
    /// A [`Denial`] if it is not one message with one meaning.
    pub fn answer(&mut self, json: &[u8]) -> Result<&Message, Denial> {
        if self.answer.is_none() {
            self.answer = Some(parse_answer(json, &self.message_limits.for_answers()).map_err(|error| {
                let message = format!("the server's answer is no valid MCP message: {}", error.kind);
                Denial::unreadable_answer("response_message", &message)
            })?);
        }
        self.answer.as_ref().ok_or_else(|| crate::HostError.into())
    }

    /// Another answer, or the same one changed, is about to be shown.
    pub(crate) fn forget_answer(&mut self) {
        self.answer = None;
    }

    /// The body of a refusal: an error with the id of the message, or for a batch one for every request in it.
    pub(crate) fn refusal_body(&self, denial: &Denial) -> Vec<u8> {
        let id = |message: &Option<Message>| message.as_ref().and_then(|message| message.id.clone());
        let asked: Vec<Id> = self.facts.batch.iter().filter_map(|part| id(&part.message)).collect();
        if asked.is_empty() {
            denial.body(id(&self.facts.message).as_ref())
        } else {
            denial.batch_body(asked.iter())
        }
    }

    /// Takes the body as this filter was given it. What an earlier filter read may have been another body: a filter of
    /// someone else's can stand between, so nothing that was read of it is believed.
    pub(crate) fn keep_body(&mut self, bytes: Vec<u8>) {
        self.facts.message = None;
        self.body = Body { bytes: Some(bytes), rewritten: false };
    }

    /// Takes up one message of a batch, whose bytes are `bytes`.
    pub(crate) fn take_up(&mut self, index: usize, bytes: Vec<u8>) {
        self.body = Body { bytes: Some(bytes), rewritten: false };
        self.swap(index);
    }

    /// Puts a message of a batch down again and returns its bytes if they have changed.
    pub(crate) fn put_down(&mut self, index: usize) -> Option<Vec<u8>> {
        self.swap(index);
        self.take_rewritten()
    }

    fn swap(&mut self, index: usize) {
        let facts = &mut self.facts;
        if let Some(part) = facts.batch.get_mut(index) {
            std::mem::swap(&mut facts.message, &mut part.message);
            std::mem::swap(&mut facts.verdict, &mut part.verdict);
            std::mem::swap(&mut facts.found_in_request, &mut part.found_in_request);
        }
    }

    /// Keeps what became of the whole body of a batch.
    pub(crate) fn put_back(&mut self, bytes: Vec<u8>, rewritten: bool) {
        self.body = Body { bytes: Some(bytes), rewritten };
    }

    pub(crate) fn take_rewritten(&mut self) -> Option<Vec<u8>> {
        let body = std::mem::take(&mut self.body);
        if body.rewritten { body.bytes } else { None }
    }
}

/// What the client is told about a body that is no MCP message.
fn unreadable(error: airlock_mcp::ParseError) -> Denial {
    let mut denial = Denial::new(400, error.code(), error.reason(), error.to_string());
    denial.id = error.id;
    denial
}
