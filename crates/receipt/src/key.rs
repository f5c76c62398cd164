//! Public keys and key sets (RFC 7517, RFC 8037), named by their thumbprint (RFC 7638).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_compact as ed25519;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::envelope::{Envelope, pre_authentication_encoding};

/// Most keys in a set.
const MAX_KEYS: usize = 1000;

/// An Ed25519 public key and its name.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: ed25519::PublicKey,
    id: String,
}

/// Bytes that are no usable Ed25519 public key: no point of the curve, or one under which forgery is easy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a usable ed25519 public key")]
pub struct PublicKeyError;

/// The keys that a verifier trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: BTreeMap<String, PublicKey>,
}

/// Why a key set was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// Not the JSON of a key set.
    #[error("not a json web key set, at line {line}, byte {column}")]
    Syntax {
        /// Line where reading stopped, from 1.
        line: usize,
        /// Byte in the line where reading stopped, from 1.
        column: usize,
    },
    /// A set without keys would trust nothing, or more keys than are read.
    #[error("a key set needs between 1 and {MAX_KEYS} keys, found {found}")]
    Size {
        /// How many there are.
        found: usize,
    },
    /// A key of another type or for another purpose.
    #[error("key {index} is not an ed25519 key for signatures")]
    Unsupported {
        /// Position in the set, from 0.
        index: usize,
    },
    /// A private key was published.
    #[error("key {index} holds its private half: withdraw it and sign with a new one")]
    Private {
        /// Position in the set, from 0.
        index: usize,
    },
    /// The key's bytes are no public key.
    #[error("key {index} is not a usable ed25519 public key")]
    Key {
        /// Position in the set, from 0.
        index: usize,
    },
    /// `kid` names another key.
    #[error("the `kid` of key {index} is not its thumbprint (RFC 7638)")]
    Thumbprint {
        /// Position in the set, from 0.
        index: usize,
    },
    /// The key is in the set already.
    #[error("key {index} is a repetition")]
    Repeated {
        /// Position in the set, from 0.
        index: usize,
    },
}

// RFC 7517, section 5: members that are not understood are ignored.
#[derive(Deserialize)]
struct KeySetDocument {
    keys: Vec<KeyDocument>,
}

#[derive(Serialize, Deserialize)]
struct KeyDocument {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
}

impl PublicKey {
    /// Takes a public key from its 32 bytes.
    ///
    /// # Errors
    /// [`PublicKeyError`] for bytes that are not the canonical encoding of a point of large order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, PublicKeyError> {
        let key = ed25519::PublicKey::new(bytes);
        key.validate().map_err(|_| PublicKeyError)?;
        // RFC 7638, section 3: the required members in lexicographic order, without white space.
        let thumbprint_input =
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(bytes));
        Ok(Self { key, id: URL_SAFE_NO_PAD.encode(Sha256::digest(thumbprint_input)) })
    }

    /// The key's RFC 7638 thumbprint.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.key
    }

    /// Whether this key signed the envelope's payload.
    pub fn verifies(&self, envelope: &Envelope) -> bool {
        let signature = ed25519::Signature::new(envelope.signature);
        self.key.verify(pre_authentication_encoding(&envelope.payload), &signature).is_ok()
    }

    fn document(&self) -> KeyDocument {
        KeyDocument {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(self.as_bytes())),
            kid: Some(self.id.clone()),
            purpose: Some("sig".to_owned()),
            alg: Some("EdDSA".to_owned()),
            d: None,
        }
    }
}

impl KeySet {
    /// Reads a JSON Web Key Set strictly: every key is an Ed25519 public key for signatures, and its `kid` is its
    /// thumbprint.
    ///
    /// # Errors
    /// The first [`KeySetError`] found.
    pub fn from_jwks(json: &[u8]) -> Result<Self, KeySetError> {
        let document: KeySetDocument = serde_json::from_slice(json)
            .map_err(|error| KeySetError::Syntax { line: error.line(), column: error.column() })?;
        if document.keys.is_empty() || document.keys.len() > MAX_KEYS {
            return Err(KeySetError::Size { found: document.keys.len() });
        }
        let mut set = Self::default();
        for (index, key) in document.keys.iter().enumerate() {
            if !set.insert(public_key(index, key)?) {
                return Err(KeySetError::Repeated { index });
            }
        }
        Ok(set)
    }

    /// The set as a JSON Web Key Set, ordered by key id.
    pub fn to_jwks(&self) -> String {
        let keys: Vec<KeyDocument> = self.keys.values().map(PublicKey::document).collect();
        serde_json::json!({ "keys": keys }).to_string()
    }

    /// Adds a key; says whether it was new.
    pub fn insert(&mut self, key: PublicKey) -> bool {
        self.keys.insert(key.id.clone(), key).is_none()
    }

    /// The key of this name.
    pub fn find(&self, id: &str) -> Option<&PublicKey> {
        self.keys.get(id)
    }

    /// All keys, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.values()
    }
}

impl FromIterator<PublicKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let mut set = Self::default();
        set.extend(keys);
        set
    }
}

impl Extend<PublicKey> for KeySet {
    fn extend<I: IntoIterator<Item = PublicKey>>(&mut self, keys: I) {
        self.keys.extend(keys.into_iter().map(|key| (key.id.clone(), key)));
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PublicKey").field(&self.id).finish()
    }
}

fn public_key(index: usize, document: &KeyDocument) -> Result<PublicKey, KeySetError> {
    if document.d.is_some() {
        return Err(KeySetError::Private { index });
    }
    let supported = document.kty == "OKP"
        && document.crv.as_deref() == Some("Ed25519")
        && document.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
        // RFC 8037 and, since RFC 9864, the name that says which curve.
        && document.alg.as_deref().is_none_or(|algorithm| matches!(algorithm, "EdDSA" | "Ed25519"));
    if !supported {
        return Err(KeySetError::Unsupported { index });
    }
    let bytes = document.x.as_ref().and_then(|x| URL_SAFE_NO_PAD.decode(x).ok());
    let bytes: [u8; 32] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(KeySetError::Key { index })?;
    let key = PublicKey::from_bytes(bytes).map_err(|_| KeySetError::Key { index })?;
    if document.kid.as_deref() != Some(key.id()) {
        return Err(KeySetError::Thumbprint { index });
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8037, appendix A.2 and A.3.
    const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","use":"sig","nbf":1}]}"#;

    #[test]
    fn the_published_example_is_read_and_written() {
        let set = KeySet::from_jwks(JWKS.as_bytes()).unwrap();
        assert!(set.find("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").is_some());
        assert_eq!(KeySet::from_jwks(set.to_jwks().as_bytes()), Ok(set));
    }

    #[test]
    fn doubtful_sets_are_refused_with_the_position_of_the_key() {
        let key = JWKS.split_once('[').unwrap().1.strip_suffix("]}").unwrap();
        let weak = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let cases = [
            (r#"{"keys":[]}"#.to_owned(), KeySetError::Size { found: 0 }),
            (format!(r#"{{"keys":[{key},{key}]}}"#), KeySetError::Repeated { index: 1 }),
            (JWKS.replace("OKP", "EC"), KeySetError::Unsupported { index: 0 }),
            (JWKS.replace("Ed25519", "X25519"), KeySetError::Unsupported { index: 0 }),
            (JWKS.replace("\"sig\"", "\"enc\""), KeySetError::Unsupported { index: 0 }),
            (JWKS.replace("\"nbf\":1", "\"d\":\"AAAA\""), KeySetError::Private { index: 0 }),
            (JWKS.replace("kPrK", "KPrK"), KeySetError::Thumbprint { index: 0 }),
            (JWKS.replace("HURo", "HUR"), KeySetError::Key { index: 0 }),
            (
                JWKS.replace("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", weak),
                KeySetError::Key { index: 0 },
            ),
        ];
        for (json, error) in cases {
            assert_eq!(KeySet::from_jwks(json.as_bytes()), Err(error), "{json}");
        }
        assert!(matches!(KeySet::from_jwks(b"{"), Err(KeySetError::Syntax { line: 1, column: 1 })));
    }
}
