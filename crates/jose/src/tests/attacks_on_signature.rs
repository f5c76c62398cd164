use curve25519_dalek::Scalar;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::elliptic_curve::PrimeField as _;
use p256::elliptic_curve::bigint::CheckedAdd as _;
use rsa::BoxedUint;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::traits::PublicKeyParts as _;
use serde_json::json;
use sha2::{Digest as _, Sha256, Sha512};

use super::fixtures::*;
use crate::{TokenError, base64url};

/// The order of P-256's group, big-endian (SEC 2 section 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of Ed25519's group, little-endian (RFC 8032 section 5.1).
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The signing input of a good token of this signer, and its signature.
fn good(signer: Signer) -> (String, Vec<u8>) {
    let input = signing_input(signer.header().to_string(), claims().to_string());
    let signature = signer.sign(input.as_bytes());
    (input, signature)
}

#[track_caller]
fn assert_refused(input: &str, signature: impl AsRef<[u8]>, what: &str) {
    let token = format!("{input}.{}", base64url::encode(signature));
    assert_eq!(verify(token), Err(TokenError::Signature), "{what}");
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let jwk = Signer::Rs256.jwk();
    let modulus = base64url::decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, jwk.to_string().into_bytes(), jwk["n"].as_str().unwrap().into()] {
        for (algorithm, expected) in [("HS256", TokenError::Algorithm), ("RS256", TokenError::Signature)] {
            let header = with(Signer::Rs256.header(), json!({"alg": algorithm})).to_string();
            let input = signing_input(header, claims().to_string());
            let code = Hmac::<Sha256>::new_from_slice(&secret).unwrap().chain_update(&input).finalize();
            let token = format!("{input}.{}", base64url::encode(code.into_bytes()));
            assert_eq!(verify(token), Err(expected), "{algorithm}");
        }
    }
}

#[test]
fn es256_numbers_out_of_range_are_refused() {
    let (input, signature) = good(Signer::Es256);
    let (r, s) = signature.split_at(32);
    for (what, r, s) in [
        ("r = 0", &[0; 32][..], s),
        ("s = 0", r, &[0; 32]),
        ("r = s = 0", &[0; 32], &[0; 32]),
        ("r = n", &P256_ORDER, s),
        ("s = n", r, &P256_ORDER),
        ("r = n, s = n", &P256_ORDER, &P256_ORDER),
        ("r = 2^256 - 1", &[0xff; 32], s),
        ("s = 2^256 - 1", r, &[0xff; 32]),
        ("exchanged", s, r),
    ] {
        assert_refused(&input, [r, s].concat(), what);
    }
}

#[test]
fn es256_has_one_form_only() {
    let (input, signature) = good(Signer::Es256);
    let der = p256::ecdsa::Signature::from_slice(&signature).unwrap().to_der();
    let (r, s) = signature.split_at(32);
    for (what, changed) in [
        ("DER", der.as_bytes().to_vec()),
        ("a byte more", [&signature[..], &[0]].concat()),
        ("a byte less", signature[..63].to_vec()),
        ("numbers of 33 bytes", [&[0], r, &[0], s].concat()),
        ("P-384's length", [&[0; 16], r, &[0; 16], s].concat()),
        ("twice", [&signature[..], &signature[..]].concat()),
    ] {
        assert_refused(&input, changed, what);
    }
}

#[test]
fn es256_has_a_second_valid_signature_so_that_no_signature_is_an_id() {
    let (input, signature) = good(Signer::Es256);
    let signature = p256::ecdsa::Signature::from_slice(&signature).unwrap();
    let second =
        p256::ecdsa::Signature::from_scalars(signature.r().to_repr(), (-*signature.s()).to_repr()).unwrap();
    assert_ne!(signature, second);
    assert!(verify(format!("{input}.{}", base64url::encode(second.to_bytes()))).is_ok());
}

#[test]
fn rs256_numbers_not_below_the_modulus_are_refused() {
    let modulus = rsa_key().n().as_ref();
    // The sum of signature and modulus must still fit into 256 bytes: try tokens until one's does.
    let (input, shifted) = (0..200)
        .find_map(|attempt| {
            let claims = with(claims(), json!({"jti": format!("{attempt}")})).to_string();
            let input = signing_input(Signer::Rs256.header().to_string(), claims);
            let signature = BoxedUint::from_be_slice_vartime(&Signer::Rs256.sign(input.as_bytes()));
            let sum: Option<BoxedUint> = signature.checked_add(modulus).into_option();
            sum.map(|sum| (input, sum.to_be_bytes()))
        })
        .expect("a quarter of all signatures is small enough");
    assert_eq!(shifted.len(), 256);
    assert_refused(&input, shifted, "s + n");
    assert_refused(&input, modulus.to_be_bytes(), "n");
    for filled in [0_u8, 1, 0xff] {
        assert_refused(&input, [filled; 256], "all the same");
    }
}

#[test]
fn rs256_has_one_length_only() {
    let (input, signature) = good(Signer::Rs256);
    for (what, changed) in [
        ("a leading zero", [&[0][..], &signature].concat()),
        ("a byte more", [&signature[..], &[0]].concat()),
        ("a byte less", signature[..255].to_vec()),
        ("without the first", signature[1..].to_vec()),
        ("4096 bit", [&[0; 256][..], &signature].concat()),
        ("larger than any", vec![1; 2048]),
    ] {
        assert_refused(&input, changed, what);
    }
}

#[test]
fn rs256_padding_is_exact() {
    let (input, _) = good(Signer::Rs256);
    let hash = Sha256::digest(&input);
    let sign = |encoded: &[u8]| rsa_key().sign(Pkcs1v15Sign::new_unprefixed(), encoded).unwrap();
    // DigestInfo of SHA-256 (RFC 8017 section 9.2, note 1), and the same without the NULL parameter.
    let info = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
        0x04, 0x20,
    ];
    let short_info = [
        0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20,
    ];
    let control = sign(&[&info[..], &hash].concat());
    assert!(verify(format!("{input}.{}", base64url::encode(control))).is_ok());

    let other_hash = rsa_key().sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(&input)).unwrap();
    for (what, signature) in [
        ("no digest info", sign(&hash)),
        ("no parameter", sign(&[&short_info[..], &hash].concat())),
        ("bytes after the hash", sign(&[&info[..], &hash, &[0; 8]].concat())),
        ("bytes before the info", sign(&[&[0; 8], &info[..], &hash].concat())),
        ("SHA-512", other_hash),
    ] {
        assert_refused(&input, signature, what);
    }
}

#[test]
fn eddsa_numbers_out_of_range_are_refused() {
    let (input, signature) = good(Signer::EdDsa);
    let (r, s) = signature.split_at(32);
    let mut carry = 0;
    let shifted: Vec<u8> = s
        .iter()
        .zip(ED25519_ORDER)
        .map(|(one, other)| {
            let sum = u16::from(*one) + u16::from(other) + carry;
            carry = sum >> 8;
            sum.to_le_bytes()[0]
        })
        .collect();
    let identity = [&[1][..], &[0; 31]].concat();
    for (what, r, s) in [
        ("S + L", r, &shifted[..]),
        ("S = L", r, &ED25519_ORDER),
        ("S = 0", r, &[0; 32]),
        ("S = 2^256 - 1", r, &[0xff; 32]),
        ("R = identity", &identity, s),
        ("R = identity, S = 0", &identity, &[0; 32]),
        ("R = 0", &[0; 32], s),
        ("R no point", &[0xff; 32], s),
        ("exchanged", s, r),
    ] {
        assert_refused(&input, [r, s].concat(), what);
    }
    assert_refused(&input, &signature[..63], "a byte less");
    assert_refused(&input, [&signature[..], &[0]].concat(), "a byte more");
}

/// With R of small order the equation still holds for whoever has the key, so that only a strict check finds it.
#[test]
fn eddsa_with_r_of_small_order_is_refused_though_its_equation_holds() {
    let (input, _) = good(Signer::EdDsa);
    let key = Signer::EdDsa.ed25519_key();
    let identity = [&[1][..], &[0; 31]].concat();
    let public = key.verifying_key();
    let challenge = Sha512::digest([&identity, &public.to_bytes()[..], input.as_bytes()].concat());
    let s = Scalar::from_bytes_mod_order_wide(&challenge.into()) * key.to_scalar();
    let signature = [&identity, &s.to_bytes()[..]].concat();

    let lenient = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    assert!(ed25519_dalek::Verifier::verify(&public, input.as_bytes(), &lenient).is_ok());
    assert_refused(&input, signature, "R = identity");
}

#[test]
fn a_signature_over_something_else_is_refused() {
    for signer in SIGNERS {
        let (input, signature) = good(signer);
        let token = format!("{input}.{}", base64url::encode(&signature));
        assert!(verify(&token).is_ok());

        let other_claims = with(claims(), json!({"sub": "admin"})).to_string();
        let other_input = signing_input(signer.header().to_string(), other_claims);
        assert_refused(&other_input, &signature, "other claims");
        let other_header = with(signer.header(), json!({"typ": "application/at+jwt"})).to_string();
        assert_refused(&signing_input(other_header, claims().to_string()), &signature, "other header");
        assert_refused(&input, signer.sign(claims().to_string().as_bytes()), "the payload alone");
        assert_refused(&input, signer.sign(token.as_bytes()), "the whole token");
    }
}
