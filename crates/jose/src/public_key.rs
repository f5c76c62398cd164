use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use p256::ecdsa::signature::Verifier as _;
use rsa::BoxedUint;
use serde_json::Value;
use sha2::Sha256;

use crate::algorithm::Algorithm;
use crate::der;
use crate::jwk::{Jwk, KeyError};
use crate::key_material::{COORDINATE_BYTES, KeyMaterial};
use crate::signature_check::{Foreign, SignatureMismatch};

/// The order of P-256's group, big-endian (SEC 2 section 2.4.2).
const P256_ORDER: [u8; COORDINATE_BYTES] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A public key that was checked once and can verify one algorithm.
#[derive(Clone)]
pub struct PublicKey {
    key: Key,
    thumbprint: String,
}

#[derive(Clone)]
enum Key {
    P256 { key: p256::ecdsa::VerifyingKey, encoded: Vec<u8> },
    Rsa(RsaKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// An RSA key. Its arithmetic is set up when the first signature is verified here, because that is expensive
/// and a key that a host verifies with never needs it.
#[derive(Clone)]
struct RsaKey {
    modulus: Vec<u8>,
    exponent: u64,
    encoded: Vec<u8>,
    /// None inside if the arithmetic refuses the key in spite of our checks.
    built: OnceLock<Option<Box<rsa::pkcs1v15::VerifyingKey<Sha256>>>>,
}

impl PublicKey {
    /// Reads a JSON Web Key (RFC 7517) that is to verify signatures.
    ///
    /// # Errors
    /// [`KeyError`] for a key that is malformed, weak, private, or meant for something else.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        Self::new(&Jwk::read(jwk)?.material.ok_or(KeyError::Unusable)?)
    }

    /// Checks that these numbers are a sound key.
    pub(crate) fn new(material: &KeyMaterial) -> Result<Self, KeyError> {
        let key = match material {
            KeyMaterial::P256 { x, y } => p256_key(x, y)?,
            KeyMaterial::Rsa { modulus, exponent } => Key::Rsa(RsaKey::new(modulus, exponent)?),
            KeyMaterial::Ed25519(point) => ed25519_key(point)?,
        };
        Ok(Self { key, thumbprint: material.thumbprint() })
    }

    /// The only algorithm this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.key {
            Key::P256 { .. } => Algorithm::ES256,
            Key::Rsa(_) => Algorithm::RS256,
            Key::Ed25519(_) => Algorithm::EdDSA,
        }
    }

    /// The key's SHA-256 thumbprint in base64url (RFC 7638, RFC 8037 section 2).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Verifies a signature in its JOSE form: r and s of 32 bytes each for ES256, never DER.
    ///
    /// A valid signature identifies nothing: with ES256 anybody can make a second one (s and n - s both
    /// verify).
    ///
    /// # Errors
    /// [`SignatureMismatch`], whatever is wrong.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch> {
        match &self.key {
            Key::P256 { key, .. } => p256::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature))
                .map_err(|_| SignatureMismatch),
            Key::Rsa(key) => rsa::pkcs1v15::Signature::try_from(signature)
                .map_err(|_| SignatureMismatch)
                .and_then(|signature| key.verify(message, &signature)),
            Key::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .and_then(|signature| key.verify_strict(message, &signature))
                .map_err(|_| SignatureMismatch),
        }
    }

    /// This key and a signature in the forms of a crypto library outside, which is to verify it with SHA-256.
    /// None for Ed25519, which stays here.
    ///
    /// # Errors
    /// [`SignatureMismatch`] for a signature that cannot be one of this key: of another length, or with r or s
    /// out of range.
    pub fn foreign<'a>(&'a self, signature: &'a [u8]) -> Result<Option<Foreign<'a>>, SignatureMismatch> {
        match &self.key {
            Key::P256 { encoded, .. } => {
                let (r, s) = p256_signature(signature).ok_or(SignatureMismatch)?;
                let signature = Cow::Owned(der::ecdsa_signature(r, s));
                Ok(Some(Foreign { public_key: encoded, signature }))
            }
            Key::Rsa(key) if signature.len() == key.modulus.len() => {
                Ok(Some(Foreign { public_key: &key.encoded, signature: Cow::Borrowed(signature) }))
            }
            Key::Rsa(_) => Err(SignatureMismatch),
            Key::Ed25519(_) => Ok(None),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PublicKey")
            .field("algorithm", &self.algorithm())
            .field("thumbprint", &self.thumbprint)
            .finish()
    }
}

impl RsaKey {
    fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        const BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
        let exponent_value = small_exponent(exponent).ok_or(KeyError::Exponent)?;
        let odd = modulus.last().is_some_and(|last| last % 2 == 1);
        if !odd || !BITS.contains(&bits(modulus)) {
            return Err(KeyError::Modulus);
        }
        Ok(Self {
            modulus: modulus.to_vec(),
            exponent: exponent_value,
            encoded: der::rsa_public_key(modulus, exponent),
            built: OnceLock::new(),
        })
    }

    fn verify(&self, message: &[u8], signature: &rsa::pkcs1v15::Signature) -> Result<(), SignatureMismatch> {
        let built = self.built.get_or_init(|| {
            let modulus = BoxedUint::from_be_slice_vartime(&self.modulus);
            let key = rsa::RsaPublicKey::new(modulus, BoxedUint::from(self.exponent)).ok()?;
            Some(Box::new(rsa::pkcs1v15::VerifyingKey::new(key)))
        });
        let key = built.as_ref().ok_or(SignatureMismatch)?;
        key.verify(message, signature).map_err(|_| SignatureMismatch)
    }
}

/// The SHA-256 thumbprint of a public JSON Web Key in base64url (RFC 7638).
///
/// # Errors
/// [`KeyError`] as for [`PublicKey::from_jwk`]: a thumbprint of a key that cannot be used binds to nothing.
pub fn thumbprint(jwk: &Value) -> Result<String, KeyError> {
    PublicKey::from_jwk(jwk).map(|key| key.thumbprint)
}

/// The point must be on the curve.
fn p256_key(x: &[u8; COORDINATE_BYTES], y: &[u8; COORDINATE_BYTES]) -> Result<Key, KeyError> {
    const UNCOMPRESSED: [u8; 1] = [4];
    let point = [&UNCOMPRESSED[..], x, y].concat();
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| KeyError::Point)?;
    Ok(Key::P256 { key, encoded: der::p256_public_key(x, y) })
}

/// The bytes must be the canonical encoding of a point that is not of small order (RFC 8037 section 2): a
/// signature under a key of small order can be valid for every message.
fn ed25519_key(bytes: &[u8; COORDINATE_BYTES]) -> Result<Key, KeyError> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Point)?;
    if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
        return Err(KeyError::Point);
    }
    Ok(Key::Ed25519(key))
}

/// r and s, each from 1 to the group's order less 1 (RFC 7518 section 3.4).
fn p256_signature(signature: &[u8]) -> Option<(&[u8], &[u8])> {
    let in_range = |number: &[u8]| number < &P256_ORDER[..] && number.iter().any(|byte| *byte != 0);
    let (r, s) = signature.split_at_checked(COORDINATE_BYTES)?;
    (s.len() == COORDINATE_BYTES && in_range(r) && in_range(s)).then_some((r, s))
}

/// The bits of a number without leading zero bytes.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len().saturating_mul(8).saturating_sub(unused)
}

/// An odd exponent from 3 to 2^33. With e = 1 the message is its own signature; a huge e costs the verifier.
fn small_exponent(bytes: &[u8]) -> Option<u64> {
    const LARGEST: u64 = 1 << 33;
    if bytes.len() > 5 {
        return None;
    }
    let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    (value % 2 == 1 && (3..=LARGEST).contains(&value)).then_some(value)
}
