//! The in-toto Statement v1 that is signed
//! (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::chain::{ChainHead, ChainLink};
use crate::digest::{Digest, DigestAlgorithm};
use crate::hex::{Hash, RecordId};
use crate::number::Count;
use crate::record::{Decision, FindingCount, Operation, Outcome, Record, What, Who, distinct_findings};
use crate::text::{Code, Name, ScopeToken};
use crate::timestamp::Timestamp;

/// Type of every in-toto Statement v1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Type of the predicate: the format that this crate writes and reads.
pub const PREDICATE_TYPE: &str = "https://github.com/airlock-mcp/airlock/receipt/v1";

/// What a receipt states. Derived from a record and its place in the chain, and from nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What the statement is about: the request and the response by their digests.
    pub subject: Vec<Subject>,
    /// [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is stated.
    pub predicate: Predicate,
}

/// Something with a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// `request`, `response`, or `receipt:` and the receipt's id where there is neither.
    pub name: String,
    /// Digest by algorithm.
    pub digest: BTreeMap<DigestAlgorithm, Hash>,
}

/// The predicate: who did what, when and where, what was decided, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// The receipt's id.
    pub id: RecordId,
    /// Who called.
    pub who: Who,
    /// What was called.
    pub what: What,
    /// When, and for how long.
    pub when: When,
    /// Where it was seen.
    #[serde(rename = "where")]
    pub location: Where,
    /// What was decided.
    pub decision: Decision,
    /// What came of it.
    pub outcome: Outcome,
    /// Digest of the request body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<Digest>,
    /// Digest of the response body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_digest: Option<Digest>,
    /// How often each class of data was found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "distinct_findings")]
    pub findings: BTreeMap<Code, FindingCount>,
    /// The facts that tools for MCP evidence look for, once more under their names.
    pub mcp_extension: McpExtension,
    /// Place in the hash chain.
    pub chain: ChainLink,
}

/// When a call happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// When the request began.
    pub started_at: Timestamp,
    /// Microseconds until the end of the response.
    pub duration_us: Count,
}

/// Where a call was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// The gateway.
    pub gateway: Name<128>,
}

/// The facts about an MCP call under the names that other tools look for. Always derived from the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpExtension {
    /// `what.server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<Name<128>>,
    /// `what.name` of a `tools/call`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Name<1024>>,
    /// `what.operation`.
    pub operation: Operation,
    /// `request_digest` as `algorithm:value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_hash: Option<String>,
    /// `response_digest` as `algorithm:value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_hash: Option<String>,
    /// `who.token_scope`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_scope: Vec<ScopeToken>,
    /// `who.dpop_jkt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Name<64>>,
    /// `decision.approval_principal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_principal: Option<Name<256>>,
    /// `what.mcp_session_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_session_id: Option<Hash>,
}

impl Statement {
    /// States a record at the head of its session's chain.
    pub fn new(record: Record, head: &ChainHead) -> Self {
        let subject = subjects(&record);
        let mcp_extension = McpExtension::new(&record);
        Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                id: record.id,
                who: record.who,
                what: record.what,
                when: When { started_at: record.started_at, duration_us: record.duration_us },
                location: Where { gateway: record.gateway },
                decision: record.decision,
                outcome: record.outcome,
                request_digest: record.request_digest,
                response_digest: record.response_digest,
                findings: record.findings,
                mcp_extension,
                chain: head.link(record.session),
            },
        }
    }

    /// The record that was stated.
    pub fn record(&self) -> Record {
        let predicate = self.predicate.clone();
        Record {
            id: predicate.id,
            gateway: predicate.location.gateway,
            session: predicate.chain.session,
            started_at: predicate.when.started_at,
            duration_us: predicate.when.duration_us,
            who: predicate.who,
            what: predicate.what,
            decision: predicate.decision,
            outcome: predicate.outcome,
            request_digest: predicate.request_digest,
            response_digest: predicate.response_digest,
            findings: predicate.findings,
        }
    }

    /// The bytes that are signed and chained: canonical JSON (RFC 8785).
    ///
    /// # Errors
    /// None for a statement made by [`Statement::new`]; the serializer's signature allows for them.
    pub fn to_canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json_canonicalizer::to_vec(self)
    }
}

impl McpExtension {
    fn new(record: &Record) -> Self {
        let is_tool_call = record.what.method.as_ref().is_some_and(|method| method.as_str() == "tools/call");
        Self {
            server_id: record.what.server.clone(),
            tool: record.what.name.clone().filter(|_| is_tool_call),
            operation: record.what.operation,
            params_hash: record.request_digest.as_ref().map(Digest::to_prefixed),
            result_hash: record.response_digest.as_ref().map(Digest::to_prefixed),
            token_scope: record.who.token_scope.clone(),
            dpop_jkt: record.who.dpop_jkt.clone(),
            approval_principal: record.decision.approval_principal.clone(),
            mcp_session_id: record.what.mcp_session_id,
        }
    }
}

fn subjects(record: &Record) -> Vec<Subject> {
    let bodies = [("request", &record.request_digest), ("response", &record.response_digest)];
    let mut subjects: Vec<Subject> = bodies
        .into_iter()
        .filter_map(|(name, digest)| {
            let digest = digest.as_ref()?;
            Some(Subject {
                name: name.to_owned(),
                digest: BTreeMap::from([(digest.algorithm, digest.value)]),
            })
        })
        .collect();
    if subjects.is_empty() {
        // in-toto requires a subject; a call without bodies is its own.
        let id = record.id.to_string();
        let value = Hash::new(Sha256::digest(id.as_bytes()).into());
        subjects.push(Subject {
            name: format!("receipt:{id}"),
            digest: BTreeMap::from([(DigestAlgorithm::Sha256, value)]),
        });
    }
    subjects
}
