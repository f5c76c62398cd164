//! Key sets that issuers publish: bad keys are left out, and never used.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::*;
use crate::{Algorithm, KeySet, KeySetError, TokenError, base64url, limits};

fn published(keys: &[Value]) -> (KeySet, usize) {
    KeySet::from_published(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn verify_with(keys: KeySet, signer: Signer, header_changes: Value) -> Result<(), TokenError> {
    let header = with(signer.header(), header_changes).to_string();
    let gate = Gate::new(vec![(issuer(ISSUER), keys)]);
    gate.verify(signer.token(header, claims().to_string()), NOW).map(drop)
}

#[test]
fn keys_that_cannot_be_used_are_left_out_and_counted() {
    let rsa = |bytes: usize| json!({"kty": "RSA", "n": base64url::encode(vec![0xff; bytes]), "e": "AQAB"});
    let bad = [
        json!(null),
        json!("key"),
        json!({}),
        json!({"kty": 1}),
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
        json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
        with(Signer::EdDsa.jwk(), json!({"d": "AQAB"})),
        with(Signer::EdDsa.jwk(), json!({"use": "enc"})),
        with(Signer::EdDsa.jwk(), json!({"x": base64url::encode([0; 32])})),
        with(Signer::EdDsa.jwk(), json!({"kid": ""})),
        with(Signer::EdDsa.jwk(), json!({"issuer": 1})),
        with(Signer::Es256.jwk(), json!({"y": base64url::encode([1; 32])})),
        with(Signer::Rs256.jwk(), json!({"alg": "HS256"})),
        rsa(128),
        rsa(1024),
    ];
    for key in &bad {
        let (keys, skipped) = published(std::slice::from_ref(key));
        assert_eq!((keys.len(), skipped), (0, 1), "{key}");
    }
    let all: Vec<Value> = bad.iter().cloned().chain([Signer::Es256.jwk(), Signer::EdDsa.jwk()]).collect();
    let (keys, skipped) = published(&all);
    assert_eq!((keys.len(), skipped), (2, bad.len()));
    assert!(keys.verifies(Algorithm::ES256) && keys.verifies(Algorithm::EdDSA));
    assert!(!keys.verifies(Algorithm::RS256));
    assert_eq!(verify_with(keys.clone(), Signer::EdDsa, json!({})), Ok(()));
    assert_eq!(verify_with(keys, Signer::Rs256, json!({})), Err(TokenError::KeyUnknown));
}

#[test]
fn a_key_id_that_names_two_keys_of_an_algorithm_names_none() {
    let named = |signer: Signer| with(signer.jwk(), json!({"kid": "same"}));
    let header = || json!({"kid": "same"});

    let (keys, skipped) = published(&[named(Signer::EdDsa), named(Signer::Other), Signer::Es256.jwk()]);
    assert_eq!((keys.len(), skipped), (1, 2));
    assert_eq!(verify_with(keys, Signer::EdDsa, header()), Err(TokenError::KeyUnknown));

    let (keys, skipped) = published(&[named(Signer::EdDsa), named(Signer::EdDsa)]);
    assert_eq!((keys.len(), skipped), (1, 1));
    assert_eq!(verify_with(keys, Signer::EdDsa, header()), Ok(()));

    let (keys, skipped) = published(&[named(Signer::EdDsa), named(Signer::Es256)]);
    assert_eq!((keys.len(), skipped), (2, 0));
    assert_eq!(verify_with(keys.clone(), Signer::EdDsa, header()), Ok(()));
    assert_eq!(verify_with(keys.clone(), Signer::Es256, header()), Ok(()));
    assert_eq!(verify_with(keys, Signer::Rs256, header()), Err(TokenError::Algorithm));
}

#[test]
fn a_key_for_all_issuers_and_one_for_this_under_one_id_are_not_tried_in_turn() {
    let one = with(Signer::EdDsa.jwk(), json!({"kid": "same"}));
    let other = with(Signer::Other.jwk(), json!({"kid": "same", "issuer": ISSUER}));
    for keys in [[one.clone(), other.clone()], [other, one]] {
        let (keys, _) = published(&keys);
        assert_eq!(verify_with(keys, Signer::EdDsa, json!({"kid": "same"})), Err(TokenError::KeyUnknown));
    }
}

#[test]
fn what_is_no_key_set_is_refused() {
    for bytes in [
        &b""[..],
        b"null",
        b"[]",
        b"{}",
        b"{\"keys\":{}}",
        b"{\"keys\":[],\"keys\":[]}",
        b"<html></html>",
        b"{\"keys\":[]}{}",
    ] {
        assert_eq!(KeySet::from_published(bytes).map(drop), Err(KeySetError::NotAKeySet));
    }
    let many = json!({"keys": vec![json!({}); limits::KEYS + 1]}).to_string();
    assert_eq!(KeySet::from_published(many.as_bytes()).map(drop), Err(KeySetError::TooManyKeys));
    let large = format!("{{\"keys\":[]}}{}", " ".repeat(limits::KEY_SET_BYTES));
    assert_eq!(KeySet::from_published(large.as_bytes()).map(drop), Err(KeySetError::NotAKeySet));
    let (keys, skipped) = published(&vec![json!({}); limits::KEYS]);
    assert_eq!((keys.len(), skipped), (0, limits::KEYS));
}

proptest! {
    #[test]
    fn every_key_is_kept_or_counted(
        choices in prop::collection::vec((0..5_usize, 0..3_usize), 0..8),
    ) {
        let key = |(kind, name): &(usize, usize)| {
            let jwk = match kind {
                0 => Signer::EdDsa.jwk(),
                1 => Signer::Other.jwk(),
                2 => Signer::Es256.jwk(),
                3 => with(Signer::EdDsa.jwk(), json!({"d": "AA"})),
                _ => json!({"kty": "oct"}),
            };
            with(jwk, json!({"kid": format!("key-{name}")}))
        };
        let (keys, skipped) = published(&choices.iter().map(key).collect::<Vec<_>>());
        prop_assert_eq!(keys.len() + skipped, choices.len());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(KeySet::from_published(&bytes).is_err());
    }
}
