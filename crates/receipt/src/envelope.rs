//! The DSSE envelope (<https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Largest envelope in bytes: what one entry of a tiled log can hold.
pub const MAX_ENVELOPE_BYTES: usize = 65_535;

/// The DSSE payload type of every receipt.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A payload with one Ed25519 signature over it. Whether the signature holds is for a key set to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// RFC 7638 thumbprint of the signing key.
    pub key_id: String,
    /// Ed25519 signature over the pre-authentication encoding.
    pub signature: [u8; 64],
}

/// Why bytes are not an envelope in the one permitted spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// More bytes than an envelope may have.
    #[error("longer than {MAX_ENVELOPE_BYTES} bytes")]
    TooLong,
    /// Not the JSON of a DSSE envelope.
    #[error("not a dsse envelope, at byte {column}")]
    Syntax {
        /// Where reading stopped, counted from 1.
        column: usize,
    },
    /// Another payload type than that of in-toto statements.
    #[error("the payload type is not `{PAYLOAD_TYPE}`")]
    PayloadType,
    /// None or several signatures.
    #[error("expected one signature, found {found}")]
    Signatures {
        /// How many there are.
        found: usize,
    },
    /// A field that is not base64 with padding, or not in its only spelling.
    #[error("`{field}` is not canonical base64")]
    Base64 {
        /// The field.
        field: &'static str,
    },
    /// A signature that is not an Ed25519 signature.
    #[error("`sig` has not 64 bytes")]
    SignatureLength,
    /// The same envelope has another spelling, which a log would take for another receipt.
    #[error("not in canonical form: other order of members, white space or escapes")]
    NotCanonical,
}

// Members in the order of canonical JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<SignatureDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureDocument {
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Reads an envelope strictly: what [`Envelope::to_bytes`] writes, and no other spelling of it.
    ///
    /// # Errors
    /// The first [`EnvelopeError`] found.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLong);
        }
        let document: Document = serde_json::from_slice(bytes).map_err(syntax)?;
        if document.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType);
        }
        let [signature] = document.signatures.as_slice() else {
            return Err(EnvelopeError::Signatures { found: document.signatures.len() });
        };
        let payload = decode("payload", &document.payload)?;
        let signature_bytes =
            decode("sig", &signature.sig)?.try_into().map_err(|_| EnvelopeError::SignatureLength)?;
        if serde_json::to_vec(&document).map_err(syntax)? != bytes {
            return Err(EnvelopeError::NotCanonical);
        }
        Ok(Self { payload, key_id: signature.keyid.clone(), signature: signature_bytes })
    }

    /// The envelope as one line of JSON without a line feed: the leaf of a log.
    ///
    /// # Errors
    /// [`EnvelopeError::TooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        let document = Document {
            payload: STANDARD.encode(&self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![SignatureDocument {
                keyid: self.key_id.clone(),
                sig: STANDARD.encode(self.signature),
            }],
        };
        let bytes = serde_json::to_vec(&document).map_err(syntax)?;
        if bytes.len() > MAX_ENVELOPE_BYTES { Err(EnvelopeError::TooLong) } else { Ok(bytes) }
    }
}

/// What is signed in place of the payload: DSSE's pre-authentication encoding
/// (<https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>).
pub(crate) fn pre_authentication_encoding(payload: &[u8]) -> Vec<u8> {
    let mut encoding =
        format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    encoding.extend_from_slice(payload);
    encoding
}

// `STANDARD` requires padding and refuses trailing bits, so that each value has one spelling.
fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    STANDARD.decode(text).map_err(|_| EnvelopeError::Base64 { field })
}

// The parser's own message may repeat the input.
fn syntax(error: serde_json::Error) -> EnvelopeError {
    EnvelopeError::Syntax { column: error.column() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope { payload: b"{\"a\":1}".to_vec(), key_id: "key".to_owned(), signature: [3; 64] }
    }

    #[test]
    fn writing_and_reading_agree() {
        let bytes = envelope().to_bytes().unwrap();
        assert_eq!(Envelope::parse(&bytes), Ok(envelope()));
    }

    #[test]
    fn pre_authentication_encoding_matches_the_specification() {
        assert_eq!(
            pre_authentication_encoding(b"hello world"),
            b"DSSEv1 28 application/vnd.in-toto+json 11 hello world"
        );
    }

    #[test]
    fn other_spellings_and_other_documents_are_refused() {
        let good = String::from_utf8(envelope().to_bytes().unwrap()).unwrap();
        let signature = good.split_once("\"signatures\":[").unwrap().1.strip_suffix("]}").unwrap();
        let reordered = format!(
            r#"{{"payloadType":"{PAYLOAD_TYPE}","payload":"eyJhIjoxfQ==","signatures":[{signature}]}}"#
        );
        let cases = [
            (good.replace("\":\"", "\": \""), EnvelopeError::NotCanonical),
            (good.replace("vnd.in-toto", "vnd.in-tot\\u006f"), EnvelopeError::NotCanonical),
            (format!("{good}\n"), EnvelopeError::NotCanonical),
            (reordered, EnvelopeError::NotCanonical),
            (good.replace("in-toto+json", "other+json"), EnvelopeError::PayloadType),
            (good.replace(signature, ""), EnvelopeError::Signatures { found: 0 }),
            (
                good.replace(signature, &format!("{signature},{signature}")),
                EnvelopeError::Signatures { found: 2 },
            ),
            (good.replace("fQ==", "fQ="), EnvelopeError::Base64 { field: "payload" }),
            (good.replace("fQ==", "fR=="), EnvelopeError::Base64 { field: "payload" }),
            (good.replace("AwMDAwMD", ""), EnvelopeError::SignatureLength),
        ];
        for (text, error) in cases {
            assert_eq!(Envelope::parse(text.as_bytes()), Err(error), "{text}");
        }
        for text in ["", "{}", "[]", "null", "{\"payload\":1}", &good.replace("\"keyid\"", "\"kid\"")] {
            assert!(matches!(Envelope::parse(text.as_bytes()), Err(EnvelopeError::Syntax { .. })), "{text}");
        }
        let duplicate = good.replacen('{', "{\"payload\":\"\",", 1);
        assert!(matches!(Envelope::parse(duplicate.as_bytes()), Err(EnvelopeError::Syntax { .. })));
        assert_eq!(Envelope::parse(&vec![b' '; MAX_ENVELOPE_BYTES + 1]), Err(EnvelopeError::TooLong));
    }
}
