//! What proxies say and are told in forms of their own.

/// Name of Envoy's function that checks RSA and ECDSA signatures natively.
#[cfg(target_arch = "wasm32")]
pub(crate) const VERIFY_SIGNATURE: &str = "verify_signature";

/// The argument of [`VERIFY_SIGNATURE`]: `envoy.source.extensions.common.wasm.VerifySignatureArguments`, a protobuf
/// message of byte strings, over SHA-256.
pub(crate) fn signature_argument(public_key: &[u8], message: &[u8], signature: &[u8]) -> Vec<u8> {
    let fields = [(1, b"sha256".as_slice()), (2, public_key), (3, signature), (4, message)];
    let size = fields.iter().map(|(_, bytes)| bytes.len() + 11).sum();
    let mut argument = Vec::with_capacity(size);
    for (number, bytes) in fields {
        prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut argument);
        prost::encoding::encode_varint(bytes.len() as u64, &mut argument);
        argument.extend_from_slice(bytes);
    }
    argument
}

/// Whether the answer of [`VERIFY_SIGNATURE`] says so. A failed check is answered too, with an error in it; everything
/// but the message of which the field `result` is true, and nothing else, is a failure.
pub(crate) fn is_verified(answer: &[u8]) -> bool {
    answer == [0x08, 0x01]
}

/// A SHA-256 in hexadecimal digits.
pub(crate) fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != digest.len() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use prost::encoding::{decode_key, decode_varint};

    use super::*;

    /// The fields of a message of byte strings.
    fn fields(mut message: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut fields = Vec::new();
        while !message.is_empty() {
            let (number, _) = decode_key(&mut message).unwrap();
            let size = usize::try_from(decode_varint(&mut message).unwrap()).unwrap();
            let (field, rest) = message.split_at(size);
            fields.push((number, field.to_vec()));
            message = rest;
        }
        fields
    }

    #[test]
    fn the_argument_is_the_message_of_the_schema() {
        for size in [1, 127, 128, 300, 70_000] {
            let (public_key, text, signature) = (vec![1; size], vec![2; size], vec![3; size]);
            let argument = signature_argument(&public_key, &text, &signature);
            let expected = [(1, b"sha256".to_vec()), (2, public_key), (3, signature), (4, text)];
            assert_eq!(fields(&argument), expected);
        }
        let literal = b"\x0a\x06sha256\x12\x01k\x1a\x01s\x22\x01m";
        assert_eq!(signature_argument(b"k", b"m", b"s"), literal);
    }

    #[test]
    fn nothing_but_success_is_success() {
        assert!(is_verified(b"\x08\x01"));
        for other in
            [b"".as_slice(), b"\x08\x00", b"\x08\x02", b"\x08\x01\x12\x00", b"\x08\x81\x00", b"\x01", b"\x08"]
        {
            assert!(!is_verified(other), "{other:?}");
        }
    }

    #[test]
    fn a_digest_has_64_hexadecimal_digits() {
        let mut expected = [0xab; 32];
        expected[0] = 0x0f;
        assert_eq!(digest(&format!("0f{}", "aB".repeat(31))), Some(expected));
        for other in
            [String::new(), "0f".repeat(31), "0f".repeat(33), "0g".repeat(32), "0".repeat(63), "é".repeat(32)]
        {
            assert_eq!(digest(&other), None, "{other}");
        }
    }
}
