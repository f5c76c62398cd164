use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::error::TokenError;
use crate::jwk::is_key_id;

/// Members that offer a key, point to one, or change what the payload is (RFC 7515 sections 4.1.2 to 4.1.6,
/// RFC 7516 section 4.1). An access token is signed with a configured key and has no business with them.
const REFUSED: [&str; 6] = ["jku", "jwk", "x5u", "x5c", "enc", "zip"];

/// Members that demand an extension (RFC 7515 section 4.1.11, RFC 7797). `b64` is here in its own right:
/// without `crit` a reader that does not know it would take the payload for something else.
const EXTENSIONS: [&str; 2] = ["crit", "b64"];

/// The `typ` of access tokens, and of nothing else (RFC 9068 section 2.1).
const ACCESS_TOKEN: [&str; 2] = ["at+jwt", "application/at+jwt"];

/// What of an access token's header counts.
///
/// Members that are not known are ignored, as RFC 7515 section 4 wants it; `x5t` and `nonce`, which Entra
/// sends, are among them.
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) media_type: Option<String>,
}

impl Header {
    pub(crate) fn read(members: &Map<String, Value>) -> Result<Self, TokenError> {
        if EXTENSIONS.iter().any(|name| members.contains_key(*name)) {
            return Err(TokenError::CriticalHeader);
        }
        if let Some(name) = REFUSED.iter().find(|name| members.contains_key(**name)) {
            return Err(TokenError::Header(name));
        }
        let algorithm = members
            .get("alg")
            .and_then(Value::as_str)
            .and_then(Algorithm::named)
            .ok_or(TokenError::Algorithm)?;
        let key_id = match members.get("kid") {
            None => None,
            Some(Value::String(key_id)) if is_key_id(key_id) => Some(key_id.clone()),
            Some(_) => return Err(TokenError::Malformed("header")),
        };
        let media_type = match members.get("typ") {
            None => None,
            Some(Value::String(media_type)) => Some(media_type.clone()),
            Some(_) => return Err(TokenError::Type),
        };
        Ok(Self { algorithm, key_id, media_type })
    }

    /// Whether `typ` says by itself that this is an access token (RFC 9068 section 2.1).
    pub(crate) fn is_typed(&self) -> bool {
        self.media_type.as_ref().is_some_and(|media_type| {
            ACCESS_TOKEN.iter().any(|access_token| access_token.eq_ignore_ascii_case(media_type))
        })
    }
}
