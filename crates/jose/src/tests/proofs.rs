//! Proofs that are accepted, and for what.

use std::cell::Cell;

use serde_json::json;

use super::fixtures::*;
use crate::dpop::{Expected, Proof, ProofError, TargetUri, token_digest};
use crate::issue::SigningKey;
use crate::{Algorithm, InProcess, PublicKey, SignatureCheck, SignatureMismatch, limits, thumbprint};

/// Counts what it verifies.
#[derive(Default)]
struct Counting(Cell<u32>);

impl SignatureCheck for Counting {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch> {
        self.0.set(self.0.get() + 1);
        InProcess.verify(key, message, signature)
    }
}

#[test]
fn a_good_proof_of_every_algorithm_is_accepted() {
    for signer in SIGNERS {
        let proof = signer.token(signer.proof_header().to_string(), proof_claims().to_string());
        assert_eq!(prove_with(signer, proof), Ok(()), "{signer:?}");
    }
}

#[test]
fn what_a_proof_says_is_returned() {
    let proof = proof_with(json!({}), json!({"nonce": "n-1", "unknown": {"x": [1.5]}}));
    let proof = Proof::parse(proof.as_bytes()).unwrap();
    assert_eq!((proof.token_id(), proof.issued_at(), proof.nonce()), ("proof-1", NOW, Some("n-1")));
    assert_eq!(proof.thumbprint(), thumbprint(&Signer::EdDsa.jwk()).unwrap());
}

#[test]
fn headers_that_mean_the_same_are_accepted() {
    let jwk = || with(Signer::EdDsa.jwk(), json!({"use": "sig", "key_ops": ["verify"], "alg": "Ed25519"}));
    for changes in [
        json!({"alg": "Ed25519"}),
        json!({"kid": "key-1"}),
        json!({"jwk": Signer::EdDsa.jwk()}),
        json!({"jwk": jwk()}),
        json!({"unknown": [1]}),
    ] {
        assert_eq!(prove(proof_with(changes.clone(), json!({}))), Ok(()), "{changes}");
    }
}

#[test]
fn the_uri_is_compared_after_normalisation() {
    for uri in [
        "HTTPS://MCP.EXAMPLE.COM/mcp",
        "https://mcp.example.com:443/mcp",
        "https://mcp.example.com:/mcp",
        "https://mcp.example.com/%6dcp",
        "https://mcp.example.com/%6Dcp",
        "https://mcp.example.com/./mcp",
        "https://mcp.example.com/a/../mcp",
        "https://mcp.example.com/a/%2e%2E/mcp",
        "https://mcp.example.com/mcp?a=b",
        "https://mcp.example.com/mcp#a",
        "https://mcp.example.com/mcp?a=b#/../c",
    ] {
        assert_eq!(prove(proof_with(json!({}), json!({"htu": uri}))), Ok(()), "{uri}");
    }
}

#[test]
fn times_are_judged_to_the_second_with_the_window_each_way() {
    for (changes, expected) in [
        (json!({"iat": NOW - WINDOW_SECONDS}), Ok(())),
        (json!({"iat": NOW - WINDOW_SECONDS - 1}), Err(ProofError::Stale)),
        (json!({"iat": NOW + WINDOW_SECONDS}), Ok(())),
        (json!({"iat": NOW + WINDOW_SECONDS + 1}), Err(ProofError::NotYetValid)),
        (json!({"iat": 0}), Err(ProofError::Stale)),
        (json!({"iat": limits::TIME}), Err(ProofError::NotYetValid)),
        (json!({"exp": NOW + 1}), Ok(())),
        (json!({"exp": NOW}), Err(ProofError::Stale)),
        (json!({"exp": 0}), Err(ProofError::Stale)),
        (json!({"nbf": NOW + WINDOW_SECONDS}), Ok(())),
        (json!({"nbf": NOW + WINDOW_SECONDS + 1}), Err(ProofError::NotYetValid)),
        (json!({"nbf": NOW, "exp": NOW + 60}), Ok(())),
    ] {
        assert_eq!(prove(proof_with(json!({}), changes.clone())), expected, "{changes}");
    }
}

#[test]
fn no_time_of_the_caller_overflows() {
    let proof = proof_with(json!({}), json!({"iat": limits::TIME}));
    let proof = Proof::parse(proof.as_bytes()).unwrap();
    for (now_seconds, window_seconds, expected) in [
        (u64::MAX, 300, Err(ProofError::Stale)),
        (u64::MAX, u64::MAX, Ok(())),
        (0, u64::MAX, Ok(())),
        (0, 0, Err(ProofError::NotYetValid)),
    ] {
        let checked = proof.check(&Expected {
            method: "POST",
            uri: &TargetUri::parse(URI).unwrap(),
            token_digest: &token_digest(TOKEN.as_bytes()),
            thumbprint: proof.thumbprint(),
            algorithms: &[Algorithm::EdDSA],
            now_seconds,
            window_seconds,
        });
        assert_eq!(checked, expected, "{now_seconds} {window_seconds}");
    }
}

#[test]
fn a_known_key_is_not_checked_again_and_one_of_another_thumbprint_is_not_used() {
    let text = proof_with(json!({}), json!({}));
    let proof = Proof::parse(text.as_bytes()).unwrap();
    let counting = Counting::default();
    let key = proof.verify(None, &counting).unwrap().unwrap();
    assert_eq!(key.thumbprint(), proof.thumbprint());
    assert!(proof.verify(Some(&key), &counting).unwrap().is_none());

    let other = PublicKey::from_jwk(&Signer::Other.jwk()).unwrap();
    let built = proof.verify(Some(&other), &counting).unwrap().unwrap();
    assert_eq!(built.thumbprint(), proof.thumbprint());
    assert_eq!(counting.0.get(), 3);

    let forged = Signer::Other.token(Signer::EdDsa.proof_header().to_string(), proof_claims().to_string());
    let forged = Proof::parse(forged.as_bytes()).unwrap();
    for known in [None, Some(&key), Some(&other)] {
        assert_eq!(forged.verify(known, &InProcess).map(drop), Err(ProofError::Signature));
    }
}

#[test]
fn an_issued_proof_is_accepted() {
    let key = SigningKey::from_seed([7; 32]).unwrap();
    let text = key.sign_proof(&proof_claims());
    let proof = Proof::parse(text.as_bytes()).unwrap();
    assert_eq!(proof.thumbprint(), key.key_id());
    assert!(proof.verify(None, &InProcess).is_ok());
}

#[test]
fn limits_hold_at_the_boundary() {
    let uri = |bytes: usize| format!("{URI}?{}", "x".repeat(bytes - URI.len() - 1));
    for (name, longest, longer) in [
        ("jti", "x".repeat(limits::PROOF_ID_BYTES), "x".repeat(limits::PROOF_ID_BYTES + 1)),
        ("nonce", "x".repeat(limits::NONCE_BYTES), "x".repeat(limits::NONCE_BYTES + 1)),
        ("htu", uri(limits::TARGET_URI_BYTES), uri(limits::TARGET_URI_BYTES + 1)),
    ] {
        assert_eq!(prove(proof_with(json!({}), json!({name: longest}))), Ok(()), "{name}");
        let refused = prove(proof_with(json!({}), json!({name: longer})));
        assert_eq!(refused, Err(ProofError::Claims(name)));
    }
    let mut seen = [false; 2];
    for filler in 5_600..5_900_usize {
        let proof = proof_with(json!({}), json!({"filler": "x".repeat(filler)}));
        let fits = proof.len() <= limits::PROOF_BYTES;
        seen[usize::from(fits)] = true;
        assert_eq!(prove(&proof), if fits { Ok(()) } else { Err(ProofError::TooLarge) }, "{}", proof.len());
    }
    assert_eq!(seen, [true, true]);
}
