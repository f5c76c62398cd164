use std::collections::BTreeSet;

use serde_json::Value;

use crate::algorithm::Algorithm;
use crate::error::TokenError;
use crate::jwk::{Jwk, KeyError};
use crate::public_key::PublicKey;
use crate::{json, limits};

/// The public keys of one issuer (RFC 7517 section 5), each checked, and no key id twice.
///
/// Keys that are well-formed but not for verifying a supported algorithm, such as those for encryption, are
/// left out. A malformed, weak or private key refuses the whole set: a set that holds one is not what it
/// should be.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<IdentifiedKey>,
}

#[derive(Clone, Debug)]
struct IdentifiedKey {
    key_id: Option<String>,
    key: PublicKey,
}

/// Why a key set is refused. Keys are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not strict JSON, too large, or no object with an array `keys`.
    #[error("not a json web key set: an object with an array `keys`")]
    NotAKeySet,
    /// More than [`limits::KEYS`] keys.
    #[error("more than {} keys", limits::KEYS)]
    TooManyKeys,
    /// A `kid` is there a second time, so that it does not say which key is meant.
    #[error("key {0} has the `kid` of an earlier key")]
    DuplicateKeyId(usize),
    /// A key is malformed, weak or private.
    #[error("key {index}: {cause}")]
    Key {
        /// The key's place in `keys`.
        index: usize,
        /// What is wrong with it.
        cause: KeyError,
    },
}

impl KeySet {
    /// Reads a key set that is already JSON.
    ///
    /// A [`Value`] has lost duplicate members: use [`KeySet::from_json`] for what comes from outside as
    /// bytes.
    ///
    /// # Errors
    /// [`KeySetError`] for the first key that is refused.
    pub fn parse(jwks: &Value) -> Result<Self, KeySetError> {
        let listed = jwks.get("keys").and_then(Value::as_array).ok_or(KeySetError::NotAKeySet)?;
        if listed.len() > limits::KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut key_ids = BTreeSet::new();
        let mut keys = Vec::new();
        for (index, jwk) in listed.iter().enumerate() {
            let Jwk { key_id, key } = Jwk::read(jwk).map_err(|cause| KeySetError::Key { index, cause })?;
            if key_id.as_ref().is_some_and(|key_id| !key_ids.insert(key_id.clone())) {
                return Err(KeySetError::DuplicateKeyId(index));
            }
            keys.extend(key.map(|key| IdentifiedKey { key_id, key }));
        }
        Ok(Self { keys })
    }

    /// Reads a key set from at most [`limits::KEY_SET_BYTES`] bytes of strict JSON.
    ///
    /// # Errors
    /// [`KeySetError`] as for [`KeySet::parse`], and for what [`json::value`] refuses.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeySetError> {
        let jwks = json::value(bytes, limits::KEY_SET_BYTES).map_err(|_| KeySetError::NotAKeySet)?;
        Self::parse(&jwks)
    }

    /// How many keys can verify tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can verify tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether some key verifies this algorithm.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|identified| identified.key.algorithm() == algorithm)
    }

    /// The one key that a token with this header can be signed with.
    ///
    /// Without a key id the set must have exactly one key for the algorithm. Keys are never tried in turn.
    pub(crate) fn select(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&PublicKey, TokenError> {
        match key_id {
            Some(key_id) => self.identified(key_id, algorithm),
            None => self.only(algorithm),
        }
    }

    fn identified(&self, key_id: &str, algorithm: Algorithm) -> Result<&PublicKey, TokenError> {
        let found = self.keys.iter().find(|identified| identified.key_id.as_deref() == Some(key_id));
        let key = &found.ok_or(TokenError::KeyUnknown)?.key;
        if key.algorithm() == algorithm { Ok(key) } else { Err(TokenError::Algorithm) }
    }

    fn only(&self, algorithm: Algorithm) -> Result<&PublicKey, TokenError> {
        let mut candidates =
            self.keys.iter().map(|identified| &identified.key).filter(|key| key.algorithm() == algorithm);
        match (candidates.next(), candidates.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(TokenError::KeyUnknown),
        }
    }
}

impl TryFrom<&Value> for KeySet {
    type Error = KeySetError;

    fn try_from(jwks: &Value) -> Result<Self, KeySetError> {
        Self::parse(jwks)
    }
}
