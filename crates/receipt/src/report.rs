//! What a verification found.

use std::fmt;

use serde::Serialize;

/// Most problems that a report keeps; more are only counted.
const MAX_PROBLEMS: usize = 1000;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Envelopes read.
    pub envelopes: u64,
    /// Receipts that are well-formed and signed by a known key. Their place in the chain may still be a problem.
    pub receipts: u64,
    /// Sessions among those receipts.
    pub sessions: u64,
    /// The first 1000 problems, in the order of the input.
    pub problems: Vec<Problem>,
    /// How many problems there are in all.
    pub problem_count: u64,
}

/// Something that a set of receipts as the signer writes it does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Number of the envelope in the input, from 1; 0 where the input as a whole is meant. In a bundle, the line.
    pub line: u64,
    /// The session that the receipt names, where it can be read. Not proven if the signature is the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The sequence number that the receipt names, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// What exactly is wrong.
    pub message: String,
}

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// There is nothing to verify, which proves nothing.
    Empty,
    /// Not a DSSE envelope in its only spelling.
    MalformedEnvelope,
    /// Signed by a key that is not in the key set.
    UnknownKey,
    /// Not what the key signed: the payload, the signature or the key id was changed.
    BadSignature,
    /// Signed, but not a receipt of a known version.
    MalformedStatement,
    /// Signed, but not the canonical bytes of the statement.
    NotCanonical,
    /// Signed, but its parts contradict one another.
    Contradiction,
    /// Receipts before this one are missing or not valid.
    Gap,
    /// The same receipt again.
    Duplicate,
    /// A sequence number that the chain has passed: an old receipt again, receipts out of order, or a fork.
    OutOfOrder,
    /// `prev` names another receipt than the one before: a fork, or a receipt that was replaced.
    BrokenChain,
}

impl Report {
    /// Whether there were receipts and no problems.
    ///
    /// Receipts missing at the end of a session leave no trace in a hash chain and cannot be noticed here.
    pub fn is_valid(&self) -> bool {
        self.problem_count == 0 && self.receipts > 0
    }

    pub(crate) fn add(&mut self, problem: Problem) {
        self.problem_count = self.problem_count.saturating_add(1);
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

impl ProblemKind {
    /// The stable code of the kind, as it is serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::MalformedEnvelope => "malformed_envelope",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::MalformedStatement => "malformed_statement",
            Self::NotCanonical => "not_canonical",
            Self::Contradiction => "contradiction",
            Self::Gap => "gap",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out_of_order",
            Self::BrokenChain => "broken_chain",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(formatter, "receipt {}", self.line)?;
            if let Some(session) = &self.session {
                write!(formatter, " (session `{session}`")?;
                if let Some(seq) = self.seq {
                    write!(formatter, ", seq {seq}")?;
                }
                formatter.write_str(")")?;
            }
            formatter.write_str(": ")?;
        }
        write!(formatter, "{}: {}", self.kind.as_str(), self.message)
    }
}
