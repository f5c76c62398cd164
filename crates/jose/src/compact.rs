use serde_json::{Map, Value};

use crate::error::TokenError;
use crate::{base64url, json, limits};

/// A JWS in compact serialisation (RFC 7515 section 7.1), read but not trusted.
pub(crate) struct CompactJws<'token> {
    pub(crate) header: Map<String, Value>,
    pub(crate) payload: Vec<u8>,
    /// What is signed: header and payload as transmitted, with the dot between them.
    pub(crate) signing_input: &'token [u8],
    pub(crate) signature: Vec<u8>,
}

impl<'token> CompactJws<'token> {
    /// Takes a token apart. An empty signature passes here, so that `none` is refused for what it is.
    pub(crate) fn parse(token: &'token [u8]) -> Result<Self, TokenError> {
        if token.len() > limits::TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let (header, payload, signature) = segments(token).ok_or(TokenError::Malformed("form"))?;
        if header.len() > limits::HEADER_BYTES {
            return Err(TokenError::TooLarge);
        }
        let signed_bytes = token.len().saturating_sub(signature.len()).saturating_sub(1);
        let (signing_input, _) = token.split_at_checked(signed_bytes).ok_or(TokenError::Malformed("form"))?;

        let header = base64url::decode(header)
            .and_then(|header| json::object(&header, limits::HEADER_BYTES).ok())
            .ok_or(TokenError::Malformed("header"))?;
        let payload = base64url::decode(payload).ok_or(TokenError::Malformed("payload"))?;
        let signature = base64url::decode(signature).ok_or(TokenError::Malformed("signature"))?;
        Ok(Self { header, payload, signing_input, signature })
    }
}

/// Exactly three segments: a JWE has five, and a fourth could be read by one side only.
fn segments(token: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut segments = token.split(|byte| *byte == b'.');
    match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some(header), Some(payload), Some(signature), None) => Some((header, payload, signature)),
        _ => None,
    }
}
