//! What the gateway knows about one call when it is over.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;

use crate::digest::{Digest, DigestAlgorithm};
use crate::hex::{Hash, RecordId};
use crate::number::{Count, SignedCount};
use crate::text::{Code, Name, PathText, Printable, ScopeToken};
use crate::timestamp::Timestamp;

/// Most scopes that a record holds.
const MAX_SCOPES: usize = 64;
/// Most verdicts of rules in dry run that a record holds.
const MAX_WOULD_DENY: usize = 8;
/// Most classes of findings that a record holds.
const MAX_FINDING_CLASSES: usize = 32;

/// What the gateway knows about one call when it is over. Never holds a payload.
///
/// Every field is bounded by its type or by [`Record::validate`], so that the receipt of a valid record always
/// fits its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Unique per call: the signer stores an id once, however often it is delivered.
    pub id: RecordId,
    /// The gateway that saw the call.
    pub gateway: Name<128>,
    /// The hash chain that the call belongs to. Not the MCP session id, which is a secret.
    pub session: Name<128>,
    /// When the request began.
    pub started_at: Timestamp,
    /// Microseconds from the begin of the request to the end of the response.
    pub duration_us: Count,
    /// Who called.
    pub who: Who,
    /// What was called.
    pub what: What,
    /// What the gateway decided.
    pub decision: Decision,
    /// What came of it.
    pub outcome: Outcome,
    /// Digest of the request body as the client sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<Digest>,
    /// Digest of the response body as the client received it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_digest: Option<Digest>,
    /// How often each class of data was found. At most 32 classes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "distinct_findings")]
    pub findings: BTreeMap<Code, FindingCount>,
}

/// Who called, as far as it was proven: a claim of a token that failed verification does not belong here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// Issuer of the token (`iss`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Name<512>>,
    /// The user (`sub`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Name<512>>,
    /// The client or agent (`azp`, `client_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Name<256>>,
    /// Identifier of the token (`jti`), never the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<Name<256>>,
    /// Scopes of the token, at most 64; exactly 64 may mean that there were more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_scope: Vec<ScopeToken>,
    /// Thumbprint of the key that the token is bound to (RFC 9449, section 6.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Name<64>>,
    /// Whether nothing is known of the caller.
    pub anonymous: bool,
}

/// What was called. Fields are absent when the request was refused before they were known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct What {
    /// The MCP server, by its configured name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Name<128>>,
    /// The JSON-RPC method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Name<128>>,
    /// Name of the tool or prompt, or URI of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name<1024>>,
    /// What kind of operation it was.
    pub operation: Operation,
    /// The HTTP method.
    pub http_method: Name<16>,
    /// The path, without the query.
    pub path: PathText,
    /// Digest of the MCP session id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_session_id: Option<Hash>,
    /// The MCP protocol version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<Name<32>>,
    /// The JSON-RPC id as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Printable<256>>,
}

/// The kind of an operation, as policy classifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Reads and changes nothing.
    Read,
    /// Changes something.
    Write,
    /// Moves money or commits to it.
    Financial,
    /// Deletes or overwrites what cannot be brought back.
    Destructive,
    /// Opens, keeps or ends an MCP session.
    Session,
    /// Lists tools, resources or prompts.
    List,
    /// Opens a stream of server messages.
    Stream,
    /// Was refused or failed before it could be classified.
    Unknown,
}

/// What the gateway decided and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Whether the call was allowed.
    pub effect: Effect,
    /// Stable code of the reason.
    pub reason: Code,
    /// The rule that decided, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Name<128>>,
    /// Digest of the policy that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<Name<128>>,
    /// Who approved the call, where a rule asked for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_principal: Option<Name<256>>,
    /// Whether a denial was carried out.
    pub mode: Mode,
    /// Denials that were not carried out, at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_deny: Vec<Verdict>,
}

/// The effect of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The call was forwarded.
    Allow,
    /// The call was refused.
    Deny,
}

/// Whether denials are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Denials are carried out.
    Enforce,
    /// Denials are only recorded.
    Observe,
}

/// A denial that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Stable code of the reason.
    pub reason: Code,
    /// The rule that would have denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Name<128>>,
}

/// What came of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// HTTP status that the client received; absent if it received none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How the call ended.
    pub state: OutcomeState,
    /// Error code of the JSON-RPC response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc_error: Option<SignedCount>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeState {
    /// The response reached the client as a whole.
    Completed,
    /// The gateway refused the call.
    Denied,
    /// The upstream server or the way to it failed.
    Failed,
    /// One side went away before the end.
    Aborted,
}

/// How often one class of data was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingCount {
    /// Findings in the request.
    pub request: Count,
    /// Findings in the response.
    pub response: Count,
}

/// Why a record cannot become a receipt. A bug of the gateway that wrote it, or someone else writes in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A list is longer than its bound.
    #[error("`{field}` has more than {limit} entries")]
    TooMany {
        /// The field.
        field: &'static str,
        /// The most entries it may have.
        limit: usize,
    },
    /// `anonymous` and the facts about the caller contradict one another.
    #[error("`who` is anonymous and identified at once, or neither")]
    Identity,
    /// The HTTP status has not three digits.
    #[error("`outcome.status` is not between 100 and 999")]
    Status,
    /// A keyed digest without the name of its key, or a plain one with a key.
    #[error("`{field}.key_id` does not match the algorithm")]
    DigestKey {
        /// The field.
        field: &'static str,
    },
}

impl Record {
    /// Checks what the types of the fields leave open: the lengths of lists and the agreement between fields.
    ///
    /// # Errors
    /// The first [`RecordError`] found.
    pub fn validate(&self) -> Result<(), RecordError> {
        at_most("who.token_scope", self.who.token_scope.len(), MAX_SCOPES)?;
        at_most("decision.would_deny", self.decision.would_deny.len(), MAX_WOULD_DENY)?;
        at_most("findings", self.findings.len(), MAX_FINDING_CLASSES)?;
        if self.who.anonymous == self.who.is_identified() {
            return Err(RecordError::Identity);
        }
        if self.outcome.status.is_some_and(|status| !(100..=999).contains(&status)) {
            return Err(RecordError::Status);
        }
        key_matches("request_digest", self.request_digest.as_ref())?;
        key_matches("response_digest", self.response_digest.as_ref())
    }

    /// Cuts lists that are longer than their bound, as text is cut by `Text::clamped`. A gateway calls this before
    /// it sends a record, because a client may have chosen the length.
    pub fn clamp(&mut self) {
        self.who.token_scope.truncate(MAX_SCOPES);
        self.decision.would_deny.truncate(MAX_WOULD_DENY);
        while self.findings.len() > MAX_FINDING_CLASSES {
            self.findings.pop_last();
        }
    }
}

impl Who {
    /// A caller of whom nothing is known.
    pub fn anonymous() -> Self {
        Self { anonymous: true, ..Self::default() }
    }

    /// Whether anything is known of the caller.
    pub fn is_identified(&self) -> bool {
        self.issuer.is_some()
            || self.subject.is_some()
            || self.client.is_some()
            || self.token_id.is_some()
            || self.dpop_jkt.is_some()
            || !self.token_scope.is_empty()
    }
}

impl RecordError {
    /// A stable code for logs and replies.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooMany { .. } => "too_many_entries",
            Self::Identity => "contradictory_identity",
            Self::Status => "status_out_of_range",
            Self::DigestKey { .. } => "digest_key_mismatch",
        }
    }
}

fn at_most(field: &'static str, length: usize, limit: usize) -> Result<(), RecordError> {
    if length > limit { Err(RecordError::TooMany { field, limit }) } else { Ok(()) }
}

fn key_matches(field: &'static str, digest: Option<&Digest>) -> Result<(), RecordError> {
    let matches = digest
        .is_none_or(|digest| digest.key_id.is_some() == (digest.algorithm == DigestAlgorithm::HmacSha256));
    if matches { Ok(()) } else { Err(RecordError::DigestKey { field }) }
}

/// Reads the map of findings and refuses a class that appears twice, as a derived struct does with its fields.
pub(crate) fn distinct_findings<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Code, FindingCount>, D::Error> {
    struct Visitor;

    impl<'de> de::Visitor<'de> for Visitor {
        type Value = BTreeMap<Code, FindingCount>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("findings by class")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut findings = BTreeMap::new();
            while let Some((class, count)) = access.next_entry()? {
                if findings.insert(class, count).is_some() {
                    return Err(de::Error::custom("a class of findings appears twice"));
                }
            }
            Ok(findings)
        }
    }

    deserializer.deserialize_map(Visitor)
}
