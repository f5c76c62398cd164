//! DPoP: proof that a caller possesses the key that its access token is bound to
//! ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
//!
//! A proof is checked in three steps, cheapest first: [`Proof::parse`] reads it, [`Proof::check`] compares its
//! claims with the request and the token, and [`Proof::verify`] verifies its signature. Only after all three is
//! anything of it true. Whether a proof was seen before, and whether its nonce is one of the server's, is for
//! the caller to judge: this crate keeps no state.

mod error;
mod proof;
mod target_uri;

use sha2::{Digest, Sha256};

pub use error::ProofError;
pub use proof::{Expected, Proof};
pub use target_uri::TargetUri;

/// The SHA-256 digest of an access token as it was sent, which a proof has in `ath` (RFC 9449 section 4.2).
#[must_use]
pub fn token_digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}
