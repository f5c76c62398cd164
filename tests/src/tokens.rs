//! A test issuer with a key of each algorithm.

use std::time::{SystemTime, UNIX_EPOCH};

use airlock_jose::issue::SigningKey;
use serde_json::{Value, json};

/// `iss` of test tokens.
pub const ISSUER: &str = "https://idp.example.com";

/// `aud` of test tokens.
pub const AUDIENCE: &str = "https://mcp.example.com/mcp";

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
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.key.sign(&json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "scope": scopes, "client_id": "test-client",
            "iat": now, "exp": now + 600, "jti": format!("{subject}-{now}"),
        }))
    }

    /// A token whose signature has one changed character.
    pub fn forged(&self) -> String {
        let token = self.token("mallory@example.com", "mcp:read mcp:write");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{signed}.{first}{}", &signature[1..])
    }

    /// The configuration under which its tokens are accepted.
    pub fn identity(&self) -> Value {
        json!({ "issuers": [{
            "issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": ["EdDSA"],
            "jwks": { "keys": [self.key.public_jwk()] },
        }]})
    }
}
