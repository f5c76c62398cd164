//! The verifier: envelope by envelope, with memory for sessions and not for receipts.

use std::collections::HashMap;

use crate::chain::{ChainHead, ChainLink, payload_hash};
use crate::envelope::Envelope;
use crate::hex::Hash;
use crate::key::KeySet;
use crate::report::{Problem, ProblemKind, Report};
use crate::statement::{PREDICATE_TYPE, STATEMENT_TYPE, Statement};

/// Checks receipts in log order: form, canonical bytes, signature, and the hash chain of each session.
///
/// Only a receipt with a good signature moves its session's chain on or takes memory, so that hostile input cannot
/// make a verifier remember much.
#[derive(Debug)]
pub struct Verifier {
    keys: KeySet,
    chains: HashMap<String, ChainHead>,
    report: Report,
}

/// Why an envelope is not a receipt.
struct Refusal {
    kind: ProblemKind,
    message: String,
    claimed: Option<ChainLink>,
}

impl Verifier {
    /// A verifier that trusts these keys.
    pub fn new(keys: KeySet) -> Self {
        Self { keys, chains: HashMap::new(), report: Report::default() }
    }

    /// Checks the next envelope, given as in the log: without a line feed.
    ///
    /// Gives the statement if its form and signature are good, also where its place in the chain is a problem.
    pub fn envelope(&mut self, bytes: &[u8]) -> Option<Statement> {
        self.report.envelopes = self.report.envelopes.saturating_add(1);
        match self.open(bytes) {
            Ok((statement, hash)) => {
                self.report.receipts = self.report.receipts.saturating_add(1);
                self.follow(&statement.predicate.chain, hash);
                Some(statement)
            }
            Err(refusal) => {
                self.add(refusal.kind, refusal.message, refusal.claimed.as_ref());
                None
            }
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Report {
        if self.report.envelopes == 0 {
            self.report.add(Problem {
                line: 0,
                session: None,
                seq: None,
                kind: ProblemKind::Empty,
                message: "there is no receipt in the input, which proves nothing".to_owned(),
            });
        }
        self.report.sessions = u64::try_from(self.chains.len()).unwrap_or(u64::MAX);
        self.report
    }

    /// An envelope that is not one at all, found by whoever splits the input.
    pub(crate) fn malformed(&mut self, message: String) {
        self.report.envelopes = self.report.envelopes.saturating_add(1);
        self.add(ProblemKind::MalformedEnvelope, message, None);
    }

    fn open(&self, bytes: &[u8]) -> Result<(Statement, Hash), Refusal> {
        let envelope = Envelope::parse(bytes)
            .map_err(|error| Refusal::unread(ProblemKind::MalformedEnvelope, error.to_string()))?;
        let Some(key) = self.keys.find(&envelope.key_id) else {
            let message = "signed by a key that is not in the key set".to_owned();
            return Err(Refusal::unsigned(ProblemKind::UnknownKey, message, &envelope));
        };
        if !key.verifies(&envelope) {
            let message = format!("the signature does not match the payload under key `{}`", key.id());
            return Err(Refusal::unsigned(ProblemKind::BadSignature, message, &envelope));
        }
        Ok((read_statement(&envelope.payload)?, payload_hash(&envelope.payload)))
    }

    fn follow(&mut self, link: &ChainLink, hash: Hash) {
        let head = self.chains.get(link.session.as_str()).copied().unwrap_or(ChainHead::START);
        let (found, expected) = (link.seq.value(), head.seq.value());
        if found < expected {
            let (kind, message) = if hash == head.prev {
                (ProblemKind::Duplicate, "the same receipt as the one before it in this session".to_owned())
            } else {
                (
                    ProblemKind::OutOfOrder,
                    format!("expected seq {expected}, found {found} after it was passed"),
                )
            };
            self.add(kind, message, Some(link));
            return;
        }
        if found > expected {
            let missing = found.saturating_sub(expected);
            let message = format!(
                "expected seq {expected}, found {found}: {missing} receipt(s) before it are missing or not valid"
            );
            self.add(ProblemKind::Gap, message, Some(link));
        } else if link.prev != head.prev {
            let message = format!("expected prev {}, found {}", head.prev, link.prev);
            self.add(ProblemKind::BrokenChain, message, Some(link));
        }
        // After a gap or a break the chain is followed from here, so that one cause is one problem.
        self.chains.insert(link.session.as_str().to_owned(), ChainHead::after(link.seq, hash));
    }

    fn add(&mut self, kind: ProblemKind, message: String, link: Option<&ChainLink>) {
        self.report.add(Problem {
            line: self.report.envelopes,
            session: link.map(|link| link.session.as_str().to_owned()),
            seq: link.map(|link| link.seq.value()),
            kind,
            message,
        });
    }
}

impl Refusal {
    fn unread(kind: ProblemKind, message: String) -> Self {
        Self { kind, message, claimed: None }
    }

    // What an unproven payload says of its place helps to find it, and is used for nothing else.
    fn unsigned(kind: ProblemKind, message: String, envelope: &Envelope) -> Self {
        let claimed = serde_json::from_slice::<Statement>(&envelope.payload).ok();
        Self { kind, message, claimed: claimed.map(|statement| statement.predicate.chain) }
    }
}

fn read_statement(payload: &[u8]) -> Result<Statement, Refusal> {
    let statement: Statement = serde_json::from_slice(payload).map_err(|error| {
        let message = format!("the payload is not a receipt statement, at byte {}", error.column());
        Refusal::unread(ProblemKind::MalformedStatement, message)
    })?;
    let link = &statement.predicate.chain;
    let refuse =
        |kind, message: &str| Err(Refusal { kind, message: message.to_owned(), claimed: Some(link.clone()) });
    if statement.statement_type != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
        return refuse(ProblemKind::MalformedStatement, "another statement type or predicate type");
    }
    // No member is unknown and none is lost on the way, so equal bytes mean canonical bytes.
    if !statement.to_canonical().is_ok_and(|canonical| canonical == payload) {
        return refuse(ProblemKind::NotCanonical, "the payload is not in canonical form (RFC 8785)");
    }
    let record = statement.record();
    if let Err(error) = record.validate() {
        return refuse(ProblemKind::Contradiction, &error.to_string());
    }
    let head = ChainHead { seq: link.seq, prev: link.prev };
    if Statement::new(record, &head) != statement {
        return refuse(ProblemKind::Contradiction, "`subject` or `mcp_extension` disagrees with the rest");
    }
    Ok(statement)
}
