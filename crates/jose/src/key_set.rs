use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::algorithm::Algorithm;
use crate::error::TokenError;
use crate::jwk::{Jwk, KeyError};
use crate::public_key::PublicKey;
use crate::{json, limits};

/// The public keys of one issuer (RFC 7517 section 5), each checked, and none that could be confused with
/// another.
///
/// Keys that are well-formed but not for verifying a supported algorithm, such as those for encryption, are
/// left out. What becomes of other keys depends on where the set comes from: in configuration
/// ([`KeySet::parse`], [`KeySet::from_json`]) a malformed, weak or private key refuses the whole set, because
/// somebody can mend it; in a set that an issuer publishes ([`KeySet::from_published`]) it is left out.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<IdentifiedKey>,
}

#[derive(Clone, Debug)]
struct IdentifiedKey {
    key_id: Option<String>,
    issuer: Option<String>,
    key: PublicKey,
}

/// What of an unverified token selects the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) key_id: Option<&'a str>,
    pub(crate) algorithm: Algorithm,
    /// `iss` of the token.
    pub(crate) issuer: &'a str,
    pub(crate) tenant: Option<&'a str>,
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
        let mut key_ids = BTreeSet::new();
        let mut keys = Vec::new();
        for (index, jwk) in listed(jwks)?.iter().enumerate() {
            let (key_id, key) = identified(jwk).map_err(|cause| KeySetError::Key { index, cause })?;
            if key_id.is_some_and(|key_id| !key_ids.insert(key_id)) {
                return Err(KeySetError::DuplicateKeyId(index));
            }
            keys.extend(key);
        }
        Ok(Self { keys })
    }

    /// Reads a key set from at most [`limits::KEY_SET_BYTES`] bytes of strict JSON.
    ///
    /// # Errors
    /// [`KeySetError`] as for [`KeySet::parse`], and for what [`json::value`] refuses.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeySetError> {
        Self::parse(&document(bytes)?)
    }

    /// Reads a key set that an issuer publishes, and counts the keys that it left out, as RFC 7517 section 5
    /// wants it: those of other types and uses, and malformed, weak and private ones. One bad key does not put
    /// the others out of use, and none is ever used.
    ///
    /// A `kid` may name one key of each algorithm (RFC 7517 section 4.5). If it names several of one, all of
    /// these are left out; the same key twice is one key.
    ///
    /// # Errors
    /// [`KeySetError::NotAKeySet`] and [`KeySetError::TooManyKeys`] as for [`KeySet::from_json`].
    pub fn from_published(bytes: &[u8]) -> Result<(Self, usize), KeySetError> {
        let jwks = document(bytes)?;
        let listed = listed(&jwks)?;
        let mut keys: Vec<IdentifiedKey> =
            listed.iter().filter_map(|jwk| identified(jwk).ok().and_then(|(_, key)| key)).collect();
        leave_out_ambiguous(&mut keys);
        let skipped = listed.len().saturating_sub(keys.len());
        Ok((Self { keys }, skipped))
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

    /// The one key that such a token can be signed with.
    ///
    /// Without a key id the set must have exactly one key for the algorithm. Keys are never tried in turn.
    pub(crate) fn select(&self, wanted: Wanted<'_>) -> Result<&PublicKey, TokenError> {
        let named = || self.keys.iter().filter(|identified| identified.is_for(wanted));
        let mut fitting = named().filter(|identified| identified.key.algorithm() == wanted.algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(&only.key),
            (None, _) if wanted.key_id.is_some() && named().next().is_some() => Err(TokenError::Algorithm),
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

impl IdentifiedKey {
    /// Whether the key has the wanted id, if one is wanted, and is for tokens of this issuer.
    fn is_for(&self, wanted: Wanted<'_>) -> bool {
        (wanted.key_id.is_none() || self.key_id.as_deref() == wanted.key_id) && self.signs_for(wanted)
    }

    /// In Entra's sets for all tenants each key says whose tokens it signs. Without this check a token of one
    /// kind of tenant could be signed with a key for another.
    fn signs_for(&self, wanted: Wanted<'_>) -> bool {
        let Some(issuer) = &self.issuer else { return true };
        match (issuer.split_once("{tenantid}"), wanted.tenant) {
            (None, _) => issuer == wanted.issuer,
            (Some((before, after)), Some(tenant)) => {
                let rest = wanted.issuer.strip_prefix(before);
                rest.and_then(|rest| rest.strip_suffix(after)) == Some(tenant)
            }
            (Some(_), None) => false,
        }
    }
}

fn document(bytes: &[u8]) -> Result<Value, KeySetError> {
    json::value(bytes, limits::KEY_SET_BYTES).map_err(|_| KeySetError::NotAKeySet)
}

fn listed(jwks: &Value) -> Result<&Vec<Value>, KeySetError> {
    let listed = jwks.get("keys").and_then(Value::as_array).ok_or(KeySetError::NotAKeySet)?;
    if listed.len() > limits::KEYS { Err(KeySetError::TooManyKeys) } else { Ok(listed) }
}

/// The id of a key, and the key unless it is for something else.
fn identified(jwk: &Value) -> Result<(Option<String>, Option<IdentifiedKey>), KeyError> {
    let Jwk { key_id, issuer, material } = Jwk::read(jwk)?;
    let key = material.as_ref().map(PublicKey::new).transpose()?;
    Ok((key_id.clone(), key.map(|key| IdentifiedKey { key_id, issuer, key })))
}

/// Takes out keys that their id does not tell from another of the same algorithm and issuer.
fn leave_out_ambiguous(keys: &mut Vec<IdentifiedKey>) {
    let name = |key: &IdentifiedKey| {
        let key_id = key.key_id.clone()?;
        Some((key_id, key.key.algorithm().name(), key.issuer.clone()))
    };
    let mut thumbprints: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for key in keys.iter() {
        if let Some(name) = name(key) {
            thumbprints.entry(name).or_default().insert(key.key.thumbprint().to_owned());
        }
    }
    let mut kept = BTreeSet::new();
    keys.retain(|key| match name(key) {
        None => true,
        Some(name) => thumbprints.get(&name).is_some_and(|keys| keys.len() == 1) && kept.insert(name),
    });
}
