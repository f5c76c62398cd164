use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base64url;
use crate::error::TokenError;

/// What the holder of a token must prove to possess (RFC 7800). A token with nothing in here is a bearer token.
///
/// Whoever accepts claims must see all of it proven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// `jkt`: the RFC 7638 thumbprint in base64url of the key that a DPoP proof is signed with (RFC 9449
    /// section 6.1).
    pub key_thumbprint: Option<String>,
    /// `x5t#S256`: the SHA-256 digest in base64url of the DER of the client's certificate (RFC 8705 section
    /// 3.1).
    pub certificate_thumbprint: Option<String>,
}

impl Confirmation {
    /// Whether the token is bound to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.key_thumbprint.is_none() && self.certificate_thumbprint.is_none()
    }

    /// Reads the claim `cnf`. A method that is not known, or none, is refused: taking such a token for a bearer
    /// token would drop a protection that its issuer relies on.
    pub(crate) fn read(claims: &Map<String, Value>) -> Result<Self, TokenError> {
        let Some(value) = claims.get("cnf") else { return Ok(Self::default()) };
        let members = value.as_object().filter(|members| !members.is_empty()).ok_or(TokenError::Bound)?;
        let mut confirmation = Self::default();
        for (name, value) in members {
            let thumbprint = match name.as_str() {
                "jkt" => &mut confirmation.key_thumbprint,
                "x5t#S256" => &mut confirmation.certificate_thumbprint,
                _ => return Err(TokenError::Bound),
            };
            *thumbprint = Some(digest(value).ok_or(TokenError::Bound)?.to_owned());
        }
        Ok(confirmation)
    }
}

/// The base64url of 32 bytes.
fn digest(value: &Value) -> Option<&str> {
    value.as_str().filter(|encoded| base64url::decode(encoded).is_some_and(|bytes| bytes.len() == 32))
}
