use std::borrow::Cow;

use crate::public_key::PublicKey;

/// The signature is not one of this key over this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct SignatureMismatch;

/// Who verifies signatures: this crate, or a host that does it faster.
pub trait SignatureCheck {
    /// Verifies a signature in its JOSE form with the key's one algorithm.
    ///
    /// # Errors
    /// [`SignatureMismatch`], whatever is wrong.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch>;
}

/// Verifies signatures in this crate, with no help from outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcess;

impl SignatureCheck for InProcess {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch> {
        key.verify(message, signature)
    }
}

/// A key and a signature in the forms that crypto libraries such as BoringSSL want. The hash is SHA-256.
///
/// Type, curve and size of the key, the length of the signature and the range of ECDSA's numbers are already
/// checked: what such a library accepts beyond them cannot come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign<'a> {
    /// The `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1).
    pub public_key: &'a [u8],
    /// For RSA the number, as long as the modulus (RFC 8017 section 8.2.2); for ECDSA `ECDSA-Sig-Value` in DER
    /// (RFC 3279 section 2.2.3).
    pub signature: Cow<'a, [u8]>,
}
