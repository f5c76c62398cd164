//! Keys of issuers and clients, and what they sign. Made anew in every run: no private key is kept anywhere.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_compact::{KeyPair, Seed};
use p256::ecdsa::signature::{SignatureEncoding, Signer};
use rsa::{
    rand_core::{TryCryptoRng, TryRng},
    traits::PublicKeyParts,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A private key of one signature algorithm.
pub(crate) enum Key {
    Rs256(Box<rsa::pkcs1v15::SigningKey<Sha256>>),
    Es256(p256::ecdsa::SigningKey),
    EdDsa(KeyPair),
}

impl Key {
    pub(crate) fn rs256() -> Self {
        let key = rsa::RsaPrivateKey::new(&mut SystemRandom, 2048).unwrap();
        Self::Rs256(Box::new(rsa::pkcs1v15::SigningKey::new(key)))
    }

    pub(crate) fn es256() -> Self {
        Self::Es256(p256::ecdsa::SigningKey::from_slice(&random::<32>()).unwrap())
    }

    pub(crate) fn eddsa() -> Self {
        Self::EdDsa(KeyPair::from_seed(Seed::new(random())))
    }

    /// The name of the algorithm in a header.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The public key, with those members only that make it up (RFC 7638 section 3.2).
    pub(crate) fn public_jwk(&self) -> Value {
        match self {
            Self::Rs256(key) => {
                let key: &rsa::RsaPrivateKey = key.as_ref().as_ref();
                let number = |number: &rsa::BoxedUint| encode(number.to_be_bytes_trimmed_vartime());
                json!({ "e": number(&rsa::BoxedUint::from(65_537_u64)), "kty": "RSA", "n": number(key.n()) })
            }
            Self::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                json!({ "crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y) })
            }
            Self::EdDsa(pair) => json!({ "crv": "Ed25519", "kty": "OKP", "x": encode(*pair.pk) }),
        }
    }

    /// The key set of an issuer that has this key.
    pub(crate) fn key_set(&self) -> Value {
        let mut jwk = self.public_jwk();
        jwk["kid"] = json!("bench-1");
        jwk["alg"] = json!(self.algorithm());
        json!({ "keys": [jwk] })
    }

    /// The key's thumbprint (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        let jwk = self.public_jwk();
        let members = ["crv", "e", "kty", "n", "x", "y"].into_iter();
        let members = members.filter_map(|name| Some(format!("\"{name}\":{}", jwk.get(name)?)));
        encode(Sha256::digest(format!("{{{}}}", members.collect::<Vec<_>>().join(","))))
    }

    /// An access token (RFC 9068) with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.algorithm(), "kid": "bench-1", "typ": "at+jwt" }), claims)
    }

    /// A DPoP proof (RFC 9449 section 4.2) with these claims.
    pub(crate) fn proof(&self, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm(), "jwk": self.public_jwk(), "typ": "dpop+jwt" });
        self.sign(&header, claims)
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = match self {
            Self::Rs256(key) => key.sign(input.as_bytes()).to_vec(),
            Self::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(input.as_bytes());
                signature.to_vec()
            }
            Self::EdDsa(pair) => pair.sk.sign(&input, None).to_vec(),
        };
        format!("{input}.{}", encode(signature))
    }
}

/// What `ath` says of a token (RFC 9449 section 4.2).
pub(crate) fn token_hash(token: &str) -> String {
    encode(Sha256::digest(token))
}

/// 128 random bits.
pub(crate) fn unique() -> String {
    encode(random::<16>())
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// The system's random numbers, as the search for primes wants them.
struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(random()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(random()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        getrandom::fill(bytes).unwrap();
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}
