use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes base64url as RFC 7515 section 2 has it: no padding, no white space, no bits left over.
///
/// Every byte string has exactly one accepted encoding, so a changed character is a changed value.
pub(crate) fn decode(encoded: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(encoded).ok()
}

/// Encodes as base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_one_canonical_encoding_is_read() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for refused in ["AQ==", "AQ=", "AR", "A", " AQ", "AQ ", "A\nQ", "+_8", "//8", "AQ\0", "ÄQ"] {
            assert_eq!(decode(refused), None, "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_itself(encoded in "[A-Za-z0-9_-]{0,12}") {
            if let Some(bytes) = decode(&encoded) {
                prop_assert_eq!(encode(bytes), encoded);
            }
        }
    }
}
