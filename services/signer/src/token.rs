//! The bearer token that gateways show.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Shortest token in bytes.
const MIN_BYTES: usize = 16;

/// A token that callers must present (RFC 6750). Kept as a digest only; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct BearerToken {
    digest: [u8; 32],
}

/// Why a token cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BearerTokenError {
    /// Short enough to be guessed.
    #[error("a bearer token needs at least {MIN_BYTES} bytes")]
    TooShort,
    /// White space, control characters or characters outside of ASCII, which a header cannot carry.
    #[error("a bearer token consists of visible ascii characters")]
    Character,
}

impl BearerToken {
    /// Takes a token of at least 16 visible ASCII characters.
    ///
    /// # Errors
    /// [`BearerTokenError`].
    pub fn new(token: &str) -> Result<Self, BearerTokenError> {
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BearerTokenError::Character);
        }
        if token.len() < MIN_BYTES {
            return Err(BearerTokenError::TooShort);
        }
        Ok(Self { digest: Sha256::digest(token).into() })
    }

    /// Whether an `Authorization` header shows this token. Takes the same time wherever they differ.
    pub(crate) fn is_shown_by(&self, authorization: &[u8]) -> bool {
        let Some((scheme, token)) = authorization.split_at_checked("Bearer ".len()) else { return false };
        let digest: [u8; 32] = Sha256::digest(token).into();
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(digest.ct_eq(&self.digest))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_accepted() {
        let token = BearerToken::new("0123456789abcdef").unwrap();
        let cases: [(&[u8], bool); 8] = [
            (b"Bearer 0123456789abcdef", true),
            (b"bearer 0123456789abcdef", true),
            (b"Bearer 0123456789abcdeF", false),
            (b"Bearer 0123456789abcdef ", false),
            (b"Bearer 0123456789abcde", false),
            (b"Basic  0123456789abcdef", false),
            (b"0123456789abcdef", false),
            (b"", false),
        ];
        for (header, accepted) in cases {
            assert_eq!(token.is_shown_by(header), accepted, "{}", String::from_utf8_lossy(header));
        }
        assert_eq!(format!("{token:?}"), "BearerToken(..)");
    }

    #[test]
    fn weak_tokens_are_refused() {
        assert_eq!(BearerToken::new("").err(), Some(BearerTokenError::TooShort));
        assert_eq!(BearerToken::new("0123456789abcde").err(), Some(BearerTokenError::TooShort));
        assert_eq!(BearerToken::new("0123456789abcdef\n").err(), Some(BearerTokenError::Character));
    }
}
