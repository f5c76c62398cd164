use serde_json::{Value, json};

use super::fixtures::*;
use crate::{Algorithm, KeyError, KeySet, KeySetError, PublicKey, base64url, limits};

fn rsa_of(modulus: Vec<u8>, exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "n": base64url::encode(modulus), "e": base64url::encode(exponent)})
}

/// An odd number of exactly this many bits.
fn odd(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0; bits.div_ceil(8)];
    bytes[0] = 1 << ((bits + 7) % 8);
    *bytes.last_mut().unwrap() |= 1;
    bytes
}

fn ed25519_of(bytes: [u8; 32]) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(bytes)})
}

/// A key from the 64 hexadecimal digits of its bytes.
fn ed25519_hex(hex: &str) -> Value {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    ed25519_of(bytes.try_into().unwrap())
}

#[track_caller]
fn assert_refused(jwk: &Value, cause: KeyError) {
    assert_eq!(PublicKey::from_jwk(jwk).map(drop), Err(cause), "{jwk}");
    let set = json!({"keys": [Signer::Other.jwk(), jwk]});
    assert_eq!(KeySet::parse(&set).map(drop), Err(KeySetError::Key { index: 1, cause }), "{jwk}");
}

#[test]
fn keys_of_every_supported_type_are_read() {
    for (signer, algorithm) in [
        (Signer::Es256, Algorithm::ES256),
        (Signer::Rs256, Algorithm::RS256),
        (Signer::EdDsa, Algorithm::EdDSA),
    ] {
        for changes in [
            json!({}),
            json!({"alg": signer.algorithm()}),
            json!({"use": "sig"}),
            json!({"key_ops": ["verify"]}),
            json!({"use": "sig", "key_ops": ["verify"], "alg": signer.algorithm()}),
            json!({"kid": null, "x5c": ["MIIB"], "x5t": "abc", "issuer": ISSUER}),
        ] {
            let key = PublicKey::from_jwk(&with(signer.jwk(), changes.clone())).unwrap();
            assert_eq!(key.algorithm(), algorithm, "{changes}");
        }
    }
    let renamed = with(Signer::EdDsa.jwk(), json!({"alg": "Ed25519"}));
    assert_eq!(PublicKey::from_jwk(&renamed).unwrap().algorithm(), Algorithm::EdDSA);
}

#[test]
fn private_and_symmetric_keys_are_refused() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for signer in SIGNERS {
            assert_refused(&with(signer.jwk(), json!({name: "AQAB"})), KeyError::Private(name));
            assert_refused(&with(signer.jwk(), json!({name: 1, "use": "enc"})), KeyError::Private(name));
        }
    }
    assert_refused(&json!({"kty": "oct", "k": "c2VjcmV0"}), KeyError::Private("k"));
    assert_refused(&json!({"kty": "oct"}), KeyError::Member("k"));
    assert_refused(&json!({"kty": "AKP", "alg": "ML-DSA-44", "priv": "AA"}), KeyError::Private("priv"));
}

#[test]
fn members_that_contradict_each_other_are_refused() {
    for (signer, changes, name) in [
        (Signer::Es256, json!({"alg": "RS256"}), "alg"),
        (Signer::Es256, json!({"alg": "ES384"}), "alg"),
        (Signer::Es256, json!({"alg": "HS256"}), "alg"),
        (Signer::Es256, json!({"alg": "none"}), "alg"),
        (Signer::Es256, json!({"crv": "Ed25519"}), "crv"),
        (Signer::Rs256, json!({"alg": "HS256"}), "alg"),
        (Signer::Rs256, json!({"alg": "ES256"}), "alg"),
        (Signer::Rs256, json!({"alg": "none"}), "alg"),
        (Signer::EdDsa, json!({"alg": "ES256"}), "alg"),
        (Signer::EdDsa, json!({"alg": "Ed448"}), "alg"),
        (Signer::EdDsa, json!({"crv": "P-256"}), "crv"),
        (Signer::EdDsa, json!({"use": "sig", "key_ops": ["encrypt"]}), "key_ops"),
        (Signer::EdDsa, json!({"use": "enc", "key_ops": ["verify"]}), "key_ops"),
    ] {
        assert_refused(&with(signer.jwk(), changes), KeyError::Contradiction(name));
    }
}

#[test]
fn malformed_members_are_refused() {
    assert_refused(&json!("key"), KeyError::NotAnObject);
    assert_refused(&json!({}), KeyError::Member("kty"));
    for (signer, changes, name) in [
        (Signer::Es256, json!({"kty": 1}), "kty"),
        (Signer::Es256, json!({"crv": null}), "crv"),
        (Signer::Es256, json!({"crv": 256}), "crv"),
        (Signer::Es256, json!({"x": null}), "x"),
        (Signer::Es256, json!({"y": null}), "y"),
        (Signer::Es256, json!({"y": ""}), "y"),
        (Signer::Es256, json!({"x": base64url::encode([1; 31])}), "x"),
        (Signer::Es256, json!({"x": base64url::encode([0; 33])}), "x"),
        (Signer::Es256, json!({"alg": 1}), "alg"),
        (Signer::Es256, json!({"use": ["sig"]}), "use"),
        (Signer::Es256, json!({"key_ops": "verify"}), "key_ops"),
        (Signer::Es256, json!({"key_ops": ["verify", 1]}), "key_ops"),
        (Signer::Es256, json!({"key_ops": ["verify", "verify"]}), "key_ops"),
        (Signer::Es256, json!({"key_ops": (0..17).map(|n| n.to_string()).collect::<Vec<_>>()}), "key_ops"),
        (Signer::Es256, json!({"kid": 1}), "kid"),
        (Signer::Es256, json!({"kid": ""}), "kid"),
        (Signer::Es256, json!({"kid": "a\nb"}), "kid"),
        (Signer::Es256, json!({"kid": "x".repeat(limits::KEY_ID_BYTES + 1)}), "kid"),
        (Signer::Rs256, json!({"n": null}), "n"),
        (Signer::Rs256, json!({"n": ""}), "n"),
        (Signer::Rs256, json!({"n": "AQAB="}), "n"),
        (Signer::Rs256, json!({"n": base64url::encode([&[0], &odd(2048)[..]].concat())}), "n"),
        (Signer::Rs256, json!({"e": null}), "e"),
        (Signer::Rs256, json!({"e": 65537}), "e"),
        (Signer::Rs256, json!({"e": "AAEAAQ"}), "e"),
        (Signer::Rs256, json!({"e": "AQAB\n"}), "e"),
        (Signer::EdDsa, json!({"crv": null}), "crv"),
        (Signer::EdDsa, json!({"x": null}), "x"),
        (Signer::EdDsa, json!({"x": base64url::encode([1; 33])}), "x"),
        (Signer::EdDsa, json!({"x": base64url::encode([1; 31])}), "x"),
    ] {
        assert_refused(&with(signer.jwk(), changes), KeyError::Member(name));
    }
}

#[test]
fn rsa_keys_have_2048_to_4096_bits_and_a_sound_exponent() {
    for bits in [2048, 2049, 3072, 4095, 4096] {
        assert!(PublicKey::from_jwk(&rsa_of(odd(bits), &[1, 0, 1])).is_ok(), "{bits}");
    }
    for bits in [8, 512, 1024, 2047, 4097, 8192, 100_000] {
        assert_refused(&rsa_of(odd(bits), &[1, 0, 1]), KeyError::Modulus);
    }
    let mut even = odd(2048);
    *even.last_mut().unwrap() = 2;
    assert_refused(&rsa_of(even, &[1, 0, 1]), KeyError::Modulus);

    for exponent in [&[3][..], &[17], &[1, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff]] {
        assert!(PublicKey::from_jwk(&rsa_of(odd(2048), exponent)).is_ok(), "{exponent:?}");
    }
    for exponent in
        [&[1][..], &[2], &[1, 0, 0], &[2, 0, 0, 0, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1], &[0xff; 256]]
    {
        assert_refused(&rsa_of(odd(2048), exponent), KeyError::Exponent);
    }
}

#[test]
fn points_off_the_p256_curve_are_refused() {
    let good = Signer::Es256.jwk();
    let zero = base64url::encode([0; 32]);
    let largest = base64url::encode([0xff; 32]);
    for changes in [
        json!({"y": good["x"]}),
        json!({"x": good["y"], "y": good["x"]}),
        json!({"x": zero, "y": zero}),
        json!({"x": largest}),
        json!({"y": largest}),
        json!({"y": zero}),
    ] {
        assert_refused(&with(good.clone(), changes), KeyError::Point);
    }
}

#[test]
fn ed25519_keys_of_small_order_or_other_encoding_are_refused() {
    for hex in [
        // The eight points of small order.
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        // Other encodings of some of them, and of a point that is not of small order (y = p + 3).
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // y = 2: there is no such point.
        "0200000000000000000000000000000000000000000000000000000000000000",
    ] {
        assert_refused(&ed25519_hex(hex), KeyError::Point);
    }
    assert!(
        PublicKey::from_jwk(&ed25519_hex("0300000000000000000000000000000000000000000000000000000000000000"))
            .is_ok()
    );
}

#[test]
fn keys_for_something_else_are_left_out() {
    let others = [
        with(Signer::Rs256.jwk(), json!({"kid": "1", "use": "enc"})),
        with(Signer::Rs256.jwk(), json!({"kid": "2", "alg": "RSA-OAEP"})),
        with(Signer::Rs256.jwk(), json!({"kid": "3", "alg": "PS256"})),
        with(Signer::Rs256.jwk(), json!({"kid": "4", "key_ops": ["encrypt", "wrapKey"]})),
        with(Signer::Es256.jwk(), json!({"kid": "5", "alg": "ECDH-ES+A128KW"})),
        with(Signer::Es256.jwk(), json!({"kid": "6", "key_ops": []})),
        json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "7"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AA", "kid": "8"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "9"}),
    ];
    for jwk in &others {
        assert_eq!(PublicKey::from_jwk(jwk).map(drop), Err(KeyError::Unusable), "{jwk}");
    }
    let mut keys = others.to_vec();
    keys.push(Signer::EdDsa.jwk());
    let set = KeySet::parse(&json!({"keys": keys})).unwrap();
    assert_eq!(set.len(), 1);
    assert!(set.verifies(Algorithm::EdDSA) && !set.verifies(Algorithm::RS256));
}

#[test]
fn a_key_set_has_at_most_64_keys_with_ids_of_their_own() {
    let key = |index: usize| with(Signer::EdDsa.jwk(), json!({"kid": format!("key-{index}")}));
    let set = |count: usize| json!({"keys": (0..count).map(key).collect::<Vec<_>>()});
    assert_eq!(KeySet::parse(&set(limits::KEYS)).unwrap().len(), limits::KEYS);
    assert_eq!(KeySet::parse(&set(limits::KEYS + 1)).map(drop), Err(KeySetError::TooManyKeys));

    let twice =
        json!({"keys": [key(1), key(2), with(Signer::Rs256.jwk(), json!({"kid": "key-1", "use": "enc"}))]});
    assert_eq!(KeySet::parse(&twice).map(drop), Err(KeySetError::DuplicateKeyId(2)));
    let unnamed = with(key(1), json!({"kid": null}));
    assert_eq!(KeySet::parse(&json!({"keys": [unnamed, unnamed]})).unwrap().len(), 2);
    assert!(KeySet::parse(&json!({"keys": []})).unwrap().is_empty());
}

#[test]
fn what_is_no_key_set_is_refused() {
    for set in
        [json!(null), json!([]), json!({}), json!({"keys": {}}), json!({"keys": null}), Signer::EdDsa.jwk()]
    {
        assert_eq!(KeySet::parse(&set).map(drop), Err(KeySetError::NotAKeySet), "{set}");
    }
    let good = json!({"keys": [Signer::EdDsa.jwk()]}).to_string();
    assert_eq!(KeySet::from_json(good.as_bytes()).unwrap().len(), 1);
    for bad in [
        good.replacen("{\"crv\"", "{\"crv\":\"Ed25519\",\"crv\"", 1),
        format!("{good}{good}"),
        format!("{good}{}", " ".repeat(limits::KEY_SET_BYTES)),
        String::new(),
    ] {
        assert_eq!(KeySet::from_json(bad.as_bytes()).map(drop), Err(KeySetError::NotAKeySet));
    }
}
