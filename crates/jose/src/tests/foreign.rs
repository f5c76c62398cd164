//! Keys and signatures as a crypto library outside gets them.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::fixtures::*;
use crate::{PublicKey, SignatureMismatch, base64url};

fn key(signer: Signer) -> PublicKey {
    PublicKey::from_jwk(&signer.jwk()).unwrap()
}

/// The digests are of the same keys as OpenSSL encodes them.
#[test]
fn public_keys_are_those_of_another_implementation() {
    for (signer, signature_bytes, expected) in [
        (Signer::Es256, 64, "34LOYICw79CNSuY6IkT_bL6ppUdSaM2t4zcSLsxn8qY"),
        (Signer::Rs256, 256, "7LDypfGF9eonWN2bQHnjffW5Qb9Yj0XHjlMxqCTca1w"),
    ] {
        let signature = vec![1; signature_bytes];
        let key = key(signer);
        let foreign = key.foreign(&signature).unwrap().unwrap();
        assert_eq!(base64url::encode(Sha256::digest(foreign.public_key)), expected, "{signer:?}");
    }
}

#[test]
fn ed25519_stays_here() {
    assert_eq!(key(Signer::EdDsa).foreign(&[1; 64]), Ok(None));
}

#[test]
fn ecdsa_signatures_become_der() {
    let key = key(Signer::Es256);
    let mut signatures: Vec<Vec<u8>> = (0..50_u32).map(|n| Signer::Es256.sign(&n.to_be_bytes())).collect();
    // The shortest numbers, and those with a first bit that would make them negative.
    for number in [[&[0; 31][..], &[1]].concat(), [&[0; 31][..], &[0x80]].concat(), [0x80; 32].to_vec()] {
        signatures.push([number.clone(), number].concat());
    }
    for signature in signatures {
        let expected = p256::ecdsa::Signature::from_slice(&signature).unwrap().to_der();
        let foreign = key.foreign(&signature).unwrap().unwrap();
        assert_eq!(*foreign.signature, *expected.as_bytes());
    }
}

#[test]
fn rsa_signatures_stay_as_they_are() {
    let signature = Signer::Rs256.sign(b"message");
    let key = key(Signer::Rs256);
    assert_eq!(*key.foreign(&signature).unwrap().unwrap().signature, *signature);
}

#[test]
fn a_signature_that_cannot_be_one_never_leaves() {
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut largest = order;
    largest[31] -= 1;
    let es256 = key(Signer::Es256);
    for (r, s) in [
        ([0; 32], [1; 32]),
        ([1; 32], [0; 32]),
        (order, [1; 32]),
        ([1; 32], order),
        ([0xff; 32], [1; 32]),
        ([1; 32], [0xff; 32]),
    ] {
        assert_eq!(es256.foreign(&[r, s].concat()), Err(SignatureMismatch));
    }
    assert!(es256.foreign(&[largest, largest].concat()).is_ok());
    for length in [0, 1, 32, 63, 65, 72, 128] {
        assert_eq!(es256.foreign(&vec![1; length]), Err(SignatureMismatch), "{length}");
    }
    let rs256 = key(Signer::Rs256);
    for length in [0, 1, 255, 257, 512] {
        assert_eq!(rs256.foreign(&vec![1; length]), Err(SignatureMismatch), "{length}");
    }
}

#[test]
fn an_rsa_key_of_an_odd_length_is_encoded_with_its_own_length() {
    for bits in [2049, 2056, 3072, 4096] {
        let mut modulus = vec![0xff; usize::div_ceil(bits, 8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        let jwk = json!({"kty": "RSA", "n": base64url::encode(&modulus), "e": "AQAB"});
        let key = PublicKey::from_jwk(&jwk).unwrap();
        let signature = vec![1; modulus.len()];
        let encoded = key.foreign(&signature).unwrap().unwrap().public_key;
        let at = encoded.windows(modulus.len()).position(|window| window == modulus);
        assert!(at.is_some() && encoded.len() < modulus.len() + 45, "{bits}");
        assert_eq!(usize::from(encoded[2]) << 8 | usize::from(encoded[3]), encoded.len() - 4);
    }
}
