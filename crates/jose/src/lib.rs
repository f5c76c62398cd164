//! Strict verification of JWT access tokens, and of the proofs that their callers hold the key.
//!
//! A token passes four stages, each in a module of its own, and a later stage never runs on what an earlier
//! one refused:
//!
//! 1. parse: the compact form, base64url, JSON and the header, with limits and without a second reading
//!    ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515), [RFC 8725](https://www.rfc-editor.org/rfc/rfc8725)),
//!    and then one configured issuer by its `iss` ([`Verifier::read`]);
//! 2. key selection: one key of that issuer ([`Unverified::verify`], as the rest);
//! 3. signature: the key, not the token, says which algorithm it is, and [`SignatureCheck`] who verifies it;
//! 4. claims: audience, times, kind of token, and the caller the token speaks of
//!    ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519), [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)).
//!
//! What a token is bound to ([`Confirmation`]) is for the caller to have proven; [`dpop`] reads such proofs.
//!
//! The crate does no I/O and reads no clock: keys come in as JSON, the time as seconds since 1970.
//!
//! With the feature `issue` there is also a minimal issuing side for development and tests.

mod algorithm;
mod base64url;
mod claims;
mod compact;
mod confirmation;
mod der;
pub mod dpop;
mod error;
mod header;
#[cfg(any(test, feature = "issue"))]
pub mod issue;
mod issuer;
pub mod json;
mod jwk;
mod key_material;
mod key_set;
mod profile;
mod public_key;
mod signature_check;
mod verifier;

#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use confirmation::Confirmation;
pub use dpop::token_digest;
pub use error::TokenError;
pub use issuer::{ConfigurationError, IssuerProblem, TrustedIssuer};
pub use jwk::KeyError;
pub use key_set::{KeySet, KeySetError};
pub use profile::{ClaimNames, Profile};
pub use public_key::{PublicKey, thumbprint};
pub use signature_check::{Foreign, InProcess, SignatureCheck, SignatureMismatch};
pub use verifier::{Unverified, Verifier};

/// The limits on what this crate reads. What exceeds one is refused, never cut.
pub mod limits {
    /// Bytes of a token in compact form.
    pub const TOKEN_BYTES: usize = 16 * 1024;
    /// Bytes of a token's header segment as it is transmitted, in base64url.
    pub const HEADER_BYTES: usize = 8 * 1024;
    /// Levels of nested objects and arrays in any JSON, the outermost one included.
    pub const JSON_DEPTH: usize = 16;
    /// Bytes of a JSON Web Key Set.
    pub const KEY_SET_BYTES: usize = 256 * 1024;
    /// Keys of a key set, those that are skipped included.
    pub const KEYS: usize = 64;
    /// Bytes of a key id.
    pub const KEY_ID_BYTES: usize = 256;
    /// Bytes of one string that a claim holds.
    pub const CLAIM_BYTES: usize = 1024;
    /// Audiences of a token.
    pub const AUDIENCES: usize = 32;
    /// Scopes of a token.
    pub const SCOPES: usize = 128;
    /// Groups, and as many roles, of a token.
    pub const GROUPS: usize = 256;
    /// The latest time that is taken for one: the end of the year 9999, in seconds since 1970.
    pub const TIME: u64 = 253_402_300_799;
    /// Issuers of one verifier.
    pub const ISSUERS: usize = 64;
    /// Tenants of one issuer.
    pub const TENANTS: usize = 256;
    /// Bytes of a tenant's name.
    pub const TENANT_BYTES: usize = 256;
    /// Names that one of the claims may have.
    pub const CLAIM_NAMES: usize = 8;
    /// Bytes of a DPoP proof.
    pub const PROOF_BYTES: usize = 8 * 1024;
    /// Bytes of a proof's `jti`, and of its `htm`.
    pub const PROOF_ID_BYTES: usize = 256;
    /// Bytes of a nonce in a proof.
    pub const NONCE_BYTES: usize = 256;
    /// Bytes of the URI that a proof or a request is for.
    pub const TARGET_URI_BYTES: usize = 2 * 1024;
    /// Seconds that the clocks of an issuer and of a verifier may be apart.
    pub const CLOCK_SKEW_SECONDS: u64 = 300;
}
