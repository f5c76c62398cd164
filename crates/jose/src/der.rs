//! The little of DER (X.690) that a crypto library outside of this crate wants keys and signatures in.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// `SEQUENCE { SEQUENCE { rsaEncryption, NULL } … }` without its outer header (RFC 8017 appendix A.1).
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// `SEQUENCE { id-ecPublicKey, prime256v1 }` (RFC 5480 section 2.1.1).
const P256_ALGORITHM: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];

/// The `SubjectPublicKeyInfo` (RFC 5280 section 4.1) of an RSA key.
pub(crate) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = element(SEQUENCE, &[&integer(modulus), &integer(exponent)]);
    element(SEQUENCE, &[&RSA_ALGORITHM, &element(BIT_STRING, &[&[0], &key])])
}

/// The `SubjectPublicKeyInfo` of a P-256 key, its point uncompressed (RFC 5480 section 2.2).
pub(crate) fn p256_public_key(x: &[u8; 32], y: &[u8; 32]) -> Vec<u8> {
    const NO_UNUSED_BITS_UNCOMPRESSED: [u8; 2] = [0, 4];
    let point = element(BIT_STRING, &[&NO_UNUSED_BITS_UNCOMPRESSED, x, y]);
    element(SEQUENCE, &[&P256_ALGORITHM, &point])
}

/// `ECDSA-Sig-Value` (RFC 3279 section 2.2.3).
pub(crate) fn ecdsa_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&integer(r), &integer(s)])
}

/// A number that is not negative, from its big-endian bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(leading..).unwrap_or_default();
    // A set first bit would make it negative, and zero still has one digit.
    let padding: &[u8] = if digits.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    element(INTEGER, &[padding, digits])
}

fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|content| content.len()).sum();
    let mut element = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => element.push(short),
        Ok(byte) => element.extend([0x81, byte]),
        // Keys and signatures are limited to far less than the 65535 bytes that two bytes count.
        Err(_) => {
            let [.., high, low] = length.to_be_bytes();
            element.extend([0x82, high, low]);
        }
    }
    for content in contents {
        element.extend_from_slice(content);
    }
    element
}
