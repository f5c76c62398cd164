//! Receipts: evidence of what happened to each MCP call, that others can check with their own tools.
//!
//! A gateway fills in a [`Record`] for every call that it allowed, denied or saw fail. The signer turns it into an
//! in-toto [`Statement`] in canonical JSON (RFC 8785), links it to the previous receipt of the same session, and
//! seals it in a DSSE envelope under Ed25519. [`Verifier`] and [`BundleVerifier`] check what came out.
//!
//! A receipt never holds a payload, a token or a key: of requests and responses it knows digests and sizes.
//!
//! | feature | adds |
//! |---|---|
//! | none | `Record`, `Digester`: what the module in Envoy needs |
//! | `sign` | `SigningKey`, `seal` |
//! | `verify` | `Verifier`, `BundleVerifier` |
//!
//! The crate does no I/O and reads no clock.

mod digest;
mod hex;
mod number;
mod record;
mod text;
mod timestamp;

#[cfg(feature = "envelope")]
mod chain;
#[cfg(feature = "envelope")]
mod envelope;
#[cfg(feature = "envelope")]
mod key;
#[cfg(feature = "envelope")]
mod statement;

#[cfg(feature = "verify")]
mod bundle;
#[cfg(feature = "verify")]
mod report;
#[cfg(feature = "sign")]
mod sign;
#[cfg(feature = "verify")]
mod verify;

pub use crate::digest::{Digest, DigestAlgorithm, DigestKey, DigestKeyError, Digester};
pub use crate::hex::{Hash, Hex, HexError, RecordId};
pub use crate::number::{Count, MAX_SAFE_INTEGER, NumberError, SignedCount};
pub use crate::record::{
    Decision, Effect, FindingCount, Mode, Operation, Outcome, OutcomeState, Record, RecordError, Verdict,
    What, Who,
};
pub use crate::text::{Code, Form, Name, PathText, Printable, ScopeToken, Text, TextError, form};
pub use crate::timestamp::{Timestamp, TimestampError};

#[cfg(feature = "envelope")]
pub use crate::chain::{ChainHead, ChainLink};
#[cfg(feature = "envelope")]
pub use crate::envelope::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, PAYLOAD_TYPE};
#[cfg(feature = "envelope")]
pub use crate::key::{KeySet, KeySetError, PublicKey, PublicKeyError};
#[cfg(feature = "envelope")]
pub use crate::statement::{
    McpExtension, PREDICATE_TYPE, Predicate, STATEMENT_TYPE, Statement, Subject, When, Where,
};

#[cfg(feature = "verify")]
pub use crate::bundle::BundleVerifier;
#[cfg(feature = "verify")]
pub use crate::report::{Problem, ProblemKind, Report};
#[cfg(feature = "sign")]
pub use crate::sign::{SealError, SealedReceipt, SigningKey, SigningKeyError};
#[cfg(feature = "verify")]
pub use crate::verify::Verifier;
