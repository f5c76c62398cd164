use serde_json::{Map, Value};

use crate::claims::{self, Claims};
use crate::compact::CompactJws;
use crate::error::TokenError;
use crate::header::Header;
use crate::issuer::{self, ConfigurationError, TrustedIssuer};
use crate::{json, limits};

/// Verifies access tokens of a fixed list of issuers.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuers: Vec<TrustedIssuer>,
}

impl Verifier {
    /// A verifier that accepts tokens of these issuers and of no other.
    ///
    /// # Errors
    /// [`ConfigurationError`] for a configuration that is ambiguous, unsafe, or could accept nothing.
    pub fn new(issuers: Vec<TrustedIssuer>) -> Result<Self, ConfigurationError> {
        issuer::check(&issuers)?;
        Ok(Self { issuers })
    }

    /// Verifies an access token in compact form, without the `Bearer` before it.
    ///
    /// The time is in seconds since 1970. An accepted token may be remembered until [`Claims::expires_at`],
    /// under a digest of all its bytes.
    ///
    /// # Errors
    /// [`TokenError`] for the first check that failed.
    pub fn verify(&self, token: &[u8], now_seconds: u64) -> Result<Claims, TokenError> {
        let jws = CompactJws::parse(token)?;
        let header = Header::read(&jws.header)?;
        let claims =
            json::object(&jws.payload, limits::TOKEN_BYTES).map_err(|_| TokenError::Malformed("payload"))?;

        let issuer = self.issuer_of(&claims)?;
        issuer.check_type(&header)?;
        let key = issuer.select_key(&header)?;
        key.verify(jws.signing_input, &jws.signature).map_err(|_| TokenError::Signature)?;

        claims::judge(&claims, issuer, now_seconds)
    }

    /// The issuer that the unverified claims name. It only says whose keys count: a token that lies about its
    /// issuer fails at the signature.
    fn issuer_of(&self, claims: &Map<String, Value>) -> Result<&TrustedIssuer, TokenError> {
        let named = claims.get("iss").and_then(Value::as_str).ok_or(TokenError::Issuer)?;
        self.issuers.iter().find(|trusted| trusted.issuer == named).ok_or(TokenError::Issuer)
    }
}
