//! No proof that differs from a signed one is accepted, and nothing makes the reader panic.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::fixtures::*;
use crate::dpop::{Proof, TargetUri};

static PROOFS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let good = |signer: &Signer| {
        signer.token(signer.proof_header().to_string(), proof_claims().to_string()).into_bytes()
    };
    SIGNERS.iter().map(good).collect()
});

#[test]
fn no_other_byte_at_any_place_is_accepted() {
    for (signer, good) in SIGNERS.into_iter().zip(PROOFS.iter()) {
        assert_eq!(prove_with(signer, good), Ok(()));
        for position in 0..good.len() {
            // One bit, which often is another valid character, and a byte that never is one.
            for other in [good[position] ^ 1, 0xff] {
                let mut proof = good.clone();
                proof[position] = other;
                assert!(prove_with(signer, proof).is_err(), "{signer:?}: {other} at {position}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_proof_with_one_changed_byte_is_accepted(
        signer in 0..SIGNERS.len(),
        position in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut proof = PROOFS[signer].clone();
        let position = position.index(proof.len());
        proof[position] ^= change;
        prop_assert!(prove_with(SIGNERS[signer], proof).is_err());
    }

    #[test]
    fn no_proof_with_bytes_put_in_or_taken_out_is_accepted(
        signer in 0..SIGNERS.len(),
        position in any::<prop::sample::Index>(),
        taken in 0_usize..8,
        put in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let good = &PROOFS[signer];
        let start = position.index(good.len());
        let end = (start + taken).min(good.len());
        let mut changed = good.clone();
        changed.splice(start..end, put);
        prop_assume!(changed != *good);
        prop_assert!(prove_with(SIGNERS[signer], changed).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Proof::parse(&bytes).is_err());
    }

    #[test]
    fn arbitrary_segments_are_refused(
        header in ".{0,80}",
        payload in ".{0,80}",
        signature in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let input = signing_input(header, payload);
        let proof = format!("{input}.{}", crate::base64url::encode(signature));
        prop_assert!(Proof::parse(proof.as_bytes()).is_err());
    }

    #[test]
    fn arbitrary_claims_and_keys_never_panic(
        payload in prop::collection::vec(any::<u8>(), 0..64),
        x in prop::collection::vec(any::<u8>(), 31..34),
        y in prop::collection::vec(any::<u8>(), 31..34),
        n in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let [x, y, n] = [x, y, n].map(crate::base64url::encode);
        let jwk = serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        prop_assert!(prove(Signer::EdDsa.token(Signer::EdDsa.proof_header().to_string(), payload)).is_err());
        for (algorithm, jwk) in [
            ("EdDSA", jwk),
            ("ES256", serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})),
            ("RS256", serde_json::json!({"kty": "RSA", "n": n, "e": "AQAB"})),
        ] {
            let header = serde_json::json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk}).to_string();
            prop_assert!(prove(Signer::EdDsa.token(header, proof_claims().to_string())).is_err());
        }
    }

    #[test]
    fn arbitrary_uris_never_panic(uri in ".{0,60}") {
        drop(TargetUri::parse(&uri));
        drop(TargetUri::parse(URI).unwrap().join(&uri));
    }
}
