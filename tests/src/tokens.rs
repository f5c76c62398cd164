//! Issuers of access tokens.

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use airlock_jose::issue::SigningKey;
use serde_json::{Value, json};

use crate::repository;

/// `iss` of test tokens.
pub const ISSUER: &str = "https://idp.example.com";

/// `aud` of test tokens.
pub const AUDIENCE: &str = "https://mcp.example.com/mcp";

/// What an issuer that is not ours, Node's own cryptography, makes of an algorithm: its public key and a token for
/// `alice@example.com` with the scope `mcp:read`.
pub fn foreign(algorithm: &str) -> (Value, String) {
    let claims = json!({
        "iss": issuer_of(algorithm), "aud": AUDIENCE, "sub": "alice@example.com", "scope": "mcp:read",
        "exp": now() + 600,
    });
    let output = Command::new("node")
        .arg(repository().join("tests/issuers/sign.mjs"))
        .args([algorithm, &claims.to_string()])
        .output()
        .unwrap();
    let made: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no token: {}", String::from_utf8_lossy(&output.stderr)));
    (made["jwk"].clone(), made["token"].as_str().unwrap().to_owned())
}

/// `iss` of the foreign issuer of an algorithm.
pub fn issuer_of(algorithm: &str) -> String {
    format!("{ISSUER}/{algorithm}")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An issuer of access tokens.
pub struct Issuer {
    key: SigningKey,
}

impl Default for Issuer {
    fn default() -> Self {
        Self { key: SigningKey::from_seed([7; 32]).unwrap() }
    }
}

impl Issuer {
    /// A token for `subject` with `scopes`, valid for ten minutes.
    pub fn token(&self, subject: &str, scopes: &str) -> String {
        let now = now();
        self.key.sign(&json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "scope": scopes, "client_id": "test-client",
            "iat": now, "exp": now + 600, "jti": format!("{subject}-{now}"),
        }))
    }

    /// A token that is bound to the key of this thumbprint.
    pub fn bound(&self, subject: &str, scopes: &str, thumbprint: &str) -> String {
        let now = now();
        self.key.sign(&json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "scope": scopes, "client_id": "test-client",
            "iat": now, "exp": now + 600, "jti": format!("{subject}-{now}"), "cnf": { "jkt": thumbprint },
        }))
    }

    /// A token whose signature has one changed character.
    pub fn forged(&self) -> String {
        let token = self.token("mallory@example.com", "mcp:read mcp:write");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{signed}.{first}{}", signature.get(1..).unwrap())
    }

    /// The configuration under which its tokens are accepted.
    pub fn identity(&self) -> Value {
        json!({ "issuers": [{
            "issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": ["EdDSA"],
            "jwks": { "keys": [self.key.public_jwk()] },
        }]})
    }
}
