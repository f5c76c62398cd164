//! Sealing: from a record to a signed envelope.

use std::fmt;

use ed25519_compact as ed25519;
use thiserror::Error;

use crate::chain::{ChainHead, payload_hash};
use crate::envelope::{Envelope, EnvelopeError, pre_authentication_encoding};
use crate::hex::Hash;
use crate::key::PublicKey;
use crate::record::{Record, RecordError};
use crate::statement::Statement;

/// The key that signs receipts. Its `Debug` shows the public key's name only.
#[derive(Clone)]
pub struct SigningKey {
    secret: ed25519::SecretKey,
    public: PublicKey,
}

/// A seed that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the seed is not usable as an ed25519 key")]
pub struct SigningKeyError;

/// A receipt, ready for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedReceipt {
    /// The envelope as one line of JSON without line feed.
    pub envelope: Vec<u8>,
    /// What the next receipt of the session names as `prev`.
    pub payload_sha256: Hash,
}

/// Why a record could not be sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// The record contradicts itself.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The statement could not be written as JSON; a bug.
    #[error("the statement cannot be written as canonical json")]
    Canonical,
    /// The envelope is too long; a bug, as the bounds of a record rule it out.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

impl SigningKey {
    /// Takes the key from its seed (RFC 8032, section 5.1.5), 32 bytes from a random source fit for keys.
    ///
    /// # Errors
    /// [`SigningKeyError`] for a seed that is evidently not random, such as all zeros.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, SigningKeyError> {
        let pair = ed25519::KeyPair::try_from_seed(ed25519::Seed::new(seed)).map_err(|_| SigningKeyError)?;
        let public = PublicKey::from_bytes(*pair.pk).map_err(|_| SigningKeyError)?;
        Ok(Self { secret: pair.sk, public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// States the record at the head of its session's chain and signs the statement. Deterministic.
    ///
    /// # Errors
    /// [`SealError::Record`] for a record that [`Record::validate`] refuses.
    pub fn seal(&self, record: &Record, head: &ChainHead) -> Result<SealedReceipt, SealError> {
        record.validate()?;
        let statement = Statement::new(record.clone(), head);
        let payload = statement.to_canonical().map_err(|_| SealError::Canonical)?;
        let payload_sha256 = payload_hash(&payload);
        let signature = *self.secret.sign(pre_authentication_encoding(&payload), None);
        let envelope = Envelope { payload, key_id: self.public.id().to_owned(), signature };
        Ok(SealedReceipt { envelope: envelope.to_bytes()?, payload_sha256 })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_secret() {
        let key = SigningKey::from_seed([42; 32]).unwrap();
        let text = format!("{key:?}");
        assert!(text.contains(key.public().id()), "{text}");
        assert!(!text.contains("42"), "{text}");
    }

    #[test]
    fn a_seed_of_zeros_is_refused() {
        assert_eq!(SigningKey::from_seed([0; 32]).err(), Some(SigningKeyError));
    }
}
