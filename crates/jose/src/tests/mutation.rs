//! No token that differs from a signed one is accepted, and nothing makes the verifier panic.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::fixtures::*;
use crate::KeySet;

static GATE: LazyLock<Gate> = LazyLock::new(gate);

static TOKENS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let good = |signer: &Signer| signer.token(signer.header().to_string(), claims().to_string()).into_bytes();
    SIGNERS.iter().map(good).collect()
});

#[test]
fn the_unmutated_tokens_are_accepted() {
    for token in TOKENS.iter() {
        assert!(GATE.verify(token, NOW).is_ok());
    }
}

/// The last character carries bits that encode nothing: every other value of it must be refused.
#[test]
fn no_other_last_character_is_accepted() {
    for token in TOKENS.iter() {
        let (last, rest) = token.split_last().unwrap();
        for other in (0..=u8::MAX).filter(|other| other != last) {
            assert!(GATE.verify([rest, &[other]].concat(), NOW).is_err(), "{other}");
        }
    }
}

#[test]
fn no_token_with_one_flipped_bit_is_accepted() {
    for (position, bit) in (0..TOKENS[2].len()).flat_map(|position| (0..8).map(move |bit| (position, bit))) {
        let mut token = TOKENS[2].clone();
        token[position] ^= 1 << bit;
        assert!(GATE.verify(&token, NOW).is_err(), "byte {position}, bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_token_with_one_changed_byte_is_accepted(
        token in 0..SIGNERS.len(),
        position in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut token = TOKENS[token].clone();
        let position = position.index(token.len());
        token[position] ^= change;
        prop_assert!(GATE.verify(&token, NOW).is_err());
    }

    #[test]
    fn no_token_with_bytes_put_in_or_taken_out_is_accepted(
        token in 0..SIGNERS.len(),
        position in any::<prop::sample::Index>(),
        taken in 0_usize..8,
        put in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let good = &TOKENS[token];
        let start = position.index(good.len());
        let end = (start + taken).min(good.len());
        let mut changed = good.clone();
        changed.splice(start..end, put);
        prop_assume!(changed != *good);
        prop_assert!(GATE.verify(&changed, NOW).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(GATE.verify(&bytes, NOW).is_err());
    }

    #[test]
    fn arbitrary_segments_are_refused(
        header in ".{0,80}",
        payload in ".{0,80}",
        signature in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let input = signing_input(header, payload);
        let token = format!("{input}.{}", crate::base64url::encode(signature));
        prop_assert!(GATE.verify(token.as_bytes(), NOW).is_err());
    }

    #[test]
    fn arbitrary_signatures_are_refused(
        signer in 0..SIGNERS.len(),
        signature in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let input = signing_input(SIGNERS[signer].header().to_string(), claims().to_string());
        let token = format!("{input}.{}", crate::base64url::encode(signature));
        prop_assert!(GATE.verify(token.as_bytes(), NOW).is_err());
    }

    #[test]
    fn arbitrary_signed_payloads_never_panic(payload in prop::collection::vec(any::<u8>(), 0..64)) {
        let token = Signer::EdDsa.token(Signer::EdDsa.header().to_string(), payload);
        prop_assert!(GATE.verify(token.as_bytes(), NOW).is_err());
    }

    #[test]
    fn arbitrary_key_sets_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        number in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let number = crate::base64url::encode(number);
        let keys = serde_json::json!({"keys": [
            {"kty": "RSA", "n": number, "e": "AQAB"},
        ]});
        drop(KeySet::parse(&keys));
        prop_assert!(KeySet::from_json(&bytes).is_err());
    }
}
