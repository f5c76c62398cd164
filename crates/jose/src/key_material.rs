use sha2::{Digest, Sha256};

use crate::algorithm::Algorithm;
use crate::base64url;

/// The coordinates of a P-256 point and the bytes of an Ed25519 key.
pub(crate) const COORDINATE_BYTES: usize = 32;

/// The numbers of a public key as its JSON Web Key has them: well encoded, not yet known to be a sound key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum KeyMaterial {
    /// Affine coordinates (RFC 7518 section 6.2.1).
    P256 { x: [u8; COORDINATE_BYTES], y: [u8; COORDINATE_BYTES] },
    /// Big-endian and without leading zeros (RFC 7518 section 6.3.1).
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// The encoded point (RFC 8037 section 2).
    Ed25519([u8; COORDINATE_BYTES]),
}

impl KeyMaterial {
    /// The only algorithm that a key of this type verifies.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256 { .. } => Algorithm::ES256,
            Self::Rsa { .. } => Algorithm::RS256,
            Self::Ed25519(_) => Algorithm::EdDSA,
        }
    }

    /// The SHA-256 thumbprint in base64url (RFC 7638 section 3, RFC 8037 section 2).
    ///
    /// Written out instead of serialised: the members are base64url, and their order is fixed.
    pub(crate) fn thumbprint(&self) -> String {
        let encode = |bytes: &[u8]| base64url::encode(bytes);
        let members = match self {
            Self::P256 { x, y } => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y))
            }
            Self::Rsa { modulus, exponent } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(exponent), encode(modulus))
            }
            Self::Ed25519(point) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(point)),
        };
        base64url::encode(Sha256::digest(members))
    }
}
