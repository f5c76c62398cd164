//! The hash chain: each receipt of a session names the one before it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex::Hash;
use crate::number::Count;
use crate::text::Name;

/// A receipt's place in the chain of its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainLink {
    /// The session.
    pub session: Name<128>,
    /// Position in the session, from 0.
    pub seq: Count,
    /// SHA-256 of the previous payload in the session, zeros for the first.
    pub prev: Hash,
}

/// Where the next receipt of a session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// Position of the next receipt.
    pub seq: Count,
    /// SHA-256 of the last payload, zeros before the first.
    pub prev: Hash,
}

impl ChainHead {
    /// The head of a session without receipts.
    pub const START: Self = Self { seq: Count::saturating(0), prev: Hash::ZERO };

    /// The head after the receipt at `seq` with this payload hash.
    pub const fn after(seq: Count, payload_sha256: Hash) -> Self {
        Self { seq: Count::saturating(seq.value().saturating_add(1)), prev: payload_sha256 }
    }

    /// The place of the next receipt.
    pub fn link(&self, session: Name<128>) -> ChainLink {
        ChainLink { session, seq: self.seq, prev: self.prev }
    }
}

/// What the chain covers: the payload bytes, not the envelope around them.
pub(crate) fn payload_hash(payload: &[u8]) -> Hash {
    Hash::new(Sha256::digest(payload).into())
}
