//! A minimal issuing side for development issuers and tests: one Ed25519 key, one kind of token.
//!
//! The caller brings the randomness, because this crate does no I/O.

use std::fmt;

use ed25519_dalek::Signer as _;
use serde_json::{Value, json};

use crate::base64url;
use crate::dpop::token_digest;
use crate::key_material::KeyMaterial;

/// An Ed25519 key that signs access tokens.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    key_id: String,
}

/// The seed is all zeros: somebody forgot to fill it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seed of the signing key is all zeros")]
pub struct EmptySeed;

impl SigningKey {
    /// The key of this seed, which must come from a cryptographic random number generator.
    ///
    /// # Errors
    /// [`EmptySeed`] for a seed of zeros.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, EmptySeed> {
        if seed == [0; 32] {
            return Err(EmptySeed);
        }
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let key_id = KeyMaterial::Ed25519(key.verifying_key().to_bytes()).thumbprint();
        Ok(Self { key, key_id })
    }

    /// The key's id: its RFC 7638 thumbprint.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public key as it belongs into a key set.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": base64url::encode(self.key.verifying_key().to_bytes()),
            "kid": self.key_id,
            "alg": "EdDSA",
            "use": "sig",
        })
    }

    /// Signs these claims, as they are, as an access token of type `at+jwt` (RFC 9068 section 2.1).
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_jwt(&json!({"alg": "EdDSA", "kid": self.key_id, "typ": "at+jwt"}), claims)
    }

    /// Signs these claims, as they are, as a DPoP proof with this key (RFC 9449 section 4.2).
    #[must_use]
    pub fn sign_proof(&self, claims: &Value) -> String {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(self.key.verifying_key().to_bytes())});
        self.sign_jwt(&json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": jwk}), claims)
    }

    /// Signs this header and this payload as they are, whatever they say: what verifiers must refuse is made of it.
    #[must_use]
    pub fn sign_anything(&self, header: &str, payload: &[u8]) -> String {
        let signing_input = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
        let signature = self.key.sign(signing_input.as_bytes());
        format!("{signing_input}.{}", base64url::encode(signature.to_bytes()))
    }

    fn sign_jwt(&self, header: &Value, claims: &Value) -> String {
        self.sign_anything(&header.to_string(), claims.to_string().as_bytes())
    }
}

/// What a proof for this access token has in `ath`.
#[must_use]
pub fn access_token_hash(token: &str) -> String {
    base64url::encode(token_digest(token.as_bytes()))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, InProcess, KeySet, TrustedIssuer, Verifier};

    const ISSUER: &str = "https://issuer.example.com";
    const AUDIENCE: &str = "https://mcp.example.com";

    #[test]
    fn an_issued_token_verifies_with_the_published_key() {
        let key = SigningKey::from_seed([7; 32]).unwrap();
        let keys = KeySet::parse(&json!({"keys": [key.public_jwk()]})).unwrap();
        let issuer = TrustedIssuer::new(ISSUER, vec![AUDIENCE.into()], vec![Algorithm::EdDSA]);
        let verifier = Verifier::new(vec![issuer]).unwrap();
        let token = key.sign(&json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": 2000}));
        let claims = verifier.read(token.as_bytes()).unwrap().verify(&keys, &InProcess, 1000).unwrap();
        assert_eq!((claims.subject.as_str(), claims.expires_at), ("alice", 2000));
    }

    #[test]
    fn the_key_id_is_the_thumbprint() {
        let key = SigningKey::from_seed([7; 32]).unwrap();
        assert_eq!(crate::thumbprint(&key.public_jwk()).unwrap(), key.key_id());
        assert_eq!(key.public_jwk()["kid"], key.key_id());
    }

    #[test]
    fn a_seed_that_was_never_filled_is_refused() {
        assert_eq!(SigningKey::from_seed([0; 32]).unwrap_err(), EmptySeed);
    }

    #[test]
    fn debug_output_has_no_secret() {
        let key = SigningKey::from_seed([0xab; 32]).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(key.key_id()));
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("abab"), "{shown}");
    }
}
