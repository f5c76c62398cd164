use serde::{Deserialize, Serialize};

/// A signature algorithm that tokens are accepted with (RFC 7518 section 3.1, RFC 8037 section 3.1).
///
/// In configuration it has the name that the JOSE registry gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, on a modulus of 2048 to 4096 bits.
    RS256,
    /// EdDSA on Ed25519, which RFC 9864 names `Ed25519`.
    #[serde(alias = "Ed25519")]
    EdDSA,
}

impl Algorithm {
    /// The algorithm of this `alg` member, compared exactly: `none` in any spelling is none.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::ES256),
            "RS256" => Some(Self::RS256),
            "EdDSA" | "Ed25519" => Some(Self::EdDSA),
            _ => None,
        }
    }

    /// The name in the JOSE registry, as it goes into challenges and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
            Self::EdDSA => "EdDSA",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_registry() {
        for (name, expected) in [
            ("ES256", Some(Algorithm::ES256)),
            ("RS256", Some(Algorithm::RS256)),
            ("EdDSA", Some(Algorithm::EdDSA)),
            ("Ed25519", Some(Algorithm::EdDSA)),
            ("es256", None),
            ("none", None),
            ("HS256", None),
            ("", None),
        ] {
            assert_eq!(Algorithm::named(name), expected, "{name}");
            let configured = serde_json::from_value::<Algorithm>(serde_json::json!(name)).ok();
            assert_eq!(configured, expected, "{name}");
        }
        assert_eq!(serde_json::json!(Algorithm::EdDSA), serde_json::json!("EdDSA"));
    }
}
