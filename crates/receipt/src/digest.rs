//! Digests of requests and responses, computed as they stream by.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::hex::Hash;
use crate::number::Count;
use crate::text::Name;

/// Shortest key, in bytes, that makes guessing a payload from its digest harder than guessing the key.
const MIN_KEY_BYTES: usize = 16;

/// Digest and size of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// How the value was computed.
    pub algorithm: DigestAlgorithm,
    /// Name of the key; present for keyed algorithms only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Name<64>>,
    /// The digest itself.
    pub value: Hash,
    /// How many bytes were digested.
    pub bytes: Count,
}

/// How a digest is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DigestAlgorithm {
    /// SHA-256: anyone who holds the payload can compare, and anyone can guess short payloads.
    #[serde(rename = "sha256")]
    Sha256,
    /// HMAC-SHA-256 (RFC 2104): only a holder of the key can compare or guess.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

/// A named key for digests. Its `Debug` shows the name only.
#[derive(Clone)]
pub struct DigestKey {
    id: Name<64>,
    keyed: Hmac<Sha256>,
}

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DigestKeyError {
    /// Too short to withstand guessing.
    #[error("a digest key needs at least {MIN_KEY_BYTES} bytes")]
    TooShort,
}

/// Computes a [`Digest`] piece by piece.
#[derive(Clone)]
pub struct Digester {
    state: State,
    bytes: u64,
}

#[derive(Clone)]
enum State {
    Plain(Sha256),
    Keyed { id: Name<64>, keyed: Hmac<Sha256> },
}

impl DigestAlgorithm {
    /// The name as it is written in a receipt.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::HmacSha256 => "hmac-sha256",
        }
    }
}

impl DigestKey {
    /// A key of at least 16 bytes under a name that says nothing about it.
    ///
    /// # Errors
    /// [`DigestKeyError::TooShort`].
    pub fn new(id: Name<64>, key: &[u8]) -> Result<Self, DigestKeyError> {
        if key.len() < MIN_KEY_BYTES {
            return Err(DigestKeyError::TooShort);
        }
        let keyed = Hmac::new_from_slice(key).map_err(|_| DigestKeyError::TooShort)?;
        Ok(Self { id, keyed })
    }

    /// The name of the key.
    pub fn id(&self) -> &Name<64> {
        &self.id
    }
}

impl Digester {
    /// Plain SHA-256.
    pub fn sha256() -> Self {
        Self { state: State::Plain(Sha256::new()), bytes: 0 }
    }

    /// HMAC-SHA-256 under a key.
    pub fn hmac_sha256(key: &DigestKey) -> Self {
        Self { state: State::Keyed { id: key.id.clone(), keyed: key.keyed.clone() }, bytes: 0 }
    }

    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        match &mut self.state {
            State::Plain(state) => state.update(piece),
            State::Keyed { keyed, .. } => keyed.update(piece),
        }
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        let bytes = Count::saturating(self.bytes);
        match self.state {
            State::Plain(state) => Digest {
                algorithm: DigestAlgorithm::Sha256,
                key_id: None,
                value: Hash::new(state.finalize().into()),
                bytes,
            },
            State::Keyed { id, keyed } => Digest {
                algorithm: DigestAlgorithm::HmacSha256,
                key_id: Some(id),
                value: Hash::new(keyed.finalize().into_bytes().into()),
                bytes,
            },
        }
    }
}

impl Digest {
    /// Algorithm and value as one text, such as `sha256:9f86…`.
    pub fn to_prefixed(&self) -> String {
        format!("{}:{}", self.algorithm.as_str(), self.value)
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DigestKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Digester").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> DigestKey {
        DigestKey::new(Name::clamped("tenant-1"), bytes).unwrap()
    }

    #[test]
    fn digests_match_published_vectors() {
        let mut plain = Digester::sha256();
        plain.update(b"a");
        plain.update(b"");
        plain.update(b"bc");
        let plain = plain.finish();
        assert_eq!(
            plain.to_prefixed(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!((plain.bytes.value(), plain.key_id), (3, None));

        // RFC 4231, test case 1.
        let mut keyed = Digester::hmac_sha256(&key(&[0x0b; 20]));
        keyed.update(b"Hi ");
        keyed.update(b"There");
        let keyed = keyed.finish();
        assert_eq!(
            keyed.to_prefixed(),
            "hmac-sha256:b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(keyed.key_id, Some(Name::clamped("tenant-1")));
    }

    #[test]
    fn short_keys_are_refused() {
        assert_eq!(DigestKey::new(Name::clamped("k"), &[7; 15]).err(), Some(DigestKeyError::TooShort));
        assert!(DigestKey::new(Name::clamped("k"), &[7; 16]).is_ok());
    }

    #[test]
    fn debug_output_holds_no_key_material() {
        let key = key(b"secretsecretsecret");
        assert_eq!(format!("{key:?}"), r#"DigestKey { id: "tenant-1", .. }"#);
        assert_eq!(format!("{:?}", Digester::hmac_sha256(&key)), "Digester { bytes: 0, .. }");
    }
}
