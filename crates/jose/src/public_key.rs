use std::fmt;

use p256::ecdsa::signature::Verifier as _;
use rsa::BoxedUint;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::jwk::{Jwk, KeyError};

/// The coordinates of a P-256 point and the bytes of an Ed25519 key.
pub(crate) const COORDINATE_BYTES: usize = 32;

/// A public key that was checked once and can verify one algorithm.
#[derive(Clone)]
pub struct PublicKey {
    material: Material,
    thumbprint: String,
}

#[derive(Clone)]
enum Material {
    P256(p256::ecdsa::VerifyingKey),
    Rsa(rsa::pkcs1v15::VerifyingKey<Sha256>),
    Ed25519(ed25519_compact::PublicKey),
}

/// The signature is not one of this key over this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct SignatureMismatch;

impl PublicKey {
    /// Reads a JSON Web Key (RFC 7517) that is to verify signatures.
    ///
    /// # Errors
    /// [`KeyError`] for a key that is malformed, weak, private, or meant for something else.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        Jwk::read(jwk)?.key.ok_or(KeyError::Unusable)
    }

    /// The only algorithm this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::P256(_) => Algorithm::ES256,
            Material::Rsa(_) => Algorithm::RS256,
            Material::Ed25519(_) => Algorithm::EdDSA,
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
        match &self.material {
            Material::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature))
                .map_err(|_| SignatureMismatch),
            Material::Rsa(key) => rsa::pkcs1v15::Signature::try_from(signature)
                .and_then(|signature| key.verify(message, &signature))
                .map_err(|_| SignatureMismatch),
            Material::Ed25519(key) => ed25519_compact::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature))
                .map_err(|_| SignatureMismatch),
        }
    }

    /// A P-256 key from the affine coordinates of its point (RFC 7518 section 6.2.1), which must be on the
    /// curve.
    pub(crate) fn p256(x: &[u8; COORDINATE_BYTES], y: &[u8; COORDINATE_BYTES]) -> Result<Self, KeyError> {
        const UNCOMPRESSED: [u8; 1] = [4];
        let point = [&UNCOMPRESSED[..], x, y].concat();
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| KeyError::Point)?;
        let thumbprint = digest(
            &json!({"crv": "P-256", "kty": "EC", "x": base64url::encode(x), "y": base64url::encode(y)}),
        );
        Ok(Self { material: Material::P256(key), thumbprint })
    }

    /// An RSA key from its modulus and exponent, big-endian and without leading zeros (RFC 7518 section
    /// 6.3.1).
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        const BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
        // 512 bytes are 4096 bits. Numbers that are longer are not even built.
        if modulus.len() > 512 {
            return Err(KeyError::Modulus);
        }
        let exponent_value = small_exponent(exponent).ok_or(KeyError::Exponent)?;
        let number = BoxedUint::from_be_slice_vartime(modulus);
        let key = rsa::RsaPublicKey::new_with_size_limits(number, BoxedUint::from(exponent_value), BITS)
            .map_err(|_| KeyError::Modulus)?;
        let thumbprint =
            digest(&json!({"e": base64url::encode(exponent), "kty": "RSA", "n": base64url::encode(modulus)}));
        Ok(Self { material: Material::Rsa(rsa::pkcs1v15::VerifyingKey::new(key)), thumbprint })
    }

    /// An Ed25519 key, the canonical encoding of a point that is not of small order (RFC 8037 section 2).
    ///
    /// A signature under a key of small order can be valid for every message.
    pub(crate) fn ed25519(bytes: &[u8; COORDINATE_BYTES]) -> Result<Self, KeyError> {
        let key = ed25519_compact::PublicKey::new(*bytes);
        key.validate().map_err(|_| KeyError::Point)?;
        let thumbprint = digest(&json!({"crv": "Ed25519", "kty": "OKP", "x": base64url::encode(bytes)}));
        Ok(Self { material: Material::Ed25519(key), thumbprint })
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

/// The SHA-256 thumbprint of a public JSON Web Key in base64url (RFC 7638).
///
/// # Errors
/// [`KeyError`] as for [`PublicKey::from_jwk`]: a thumbprint of a key that cannot be used binds to nothing.
pub fn thumbprint(jwk: &Value) -> Result<String, KeyError> {
    PublicKey::from_jwk(jwk).map(|key| key.thumbprint)
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

/// Hashes the required members of a key. They are all ASCII, and the caller lists them in the order of their
/// names.
fn digest(members: &Value) -> String {
    base64url::encode(Sha256::digest(members.to_string()))
}
