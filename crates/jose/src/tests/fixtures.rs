//! Test keys, two issuers that use them, and tokens that are as wrong as a test wants them.

use std::sync::LazyLock;

use p256::ecdsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::BoxedUint;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::dpop::{Expected, Proof, ProofError, TargetUri, token_digest};
use crate::{
    Algorithm, Claims, InProcess, KeySet, TokenError, TrustedIssuer, Verifier, base64url, thumbprint,
};

pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const ISSUER: &str = "https://issuer.example.com";
pub(super) const OTHER_ISSUER: &str = "https://other.example.com";
pub(super) const AUDIENCE: &str = "https://mcp.example.com/mcp";

// Test data only: an RSA key of 2048 bits made for this file. It protects nothing.
const TEST_RSA_N: &str = "\
    wJSK19H9uZTFM8ee_sZbNMf_w9eFPOqJn1WGsvXw0xpdN2AvObDNiGrXDJheY0DmHbeBCUwOMnGyENp1mR6_sI6ItfT9fuwt\
    QgX_PJNH7mMoZBGBR1Qgr2AVXE0Vy8uAjcABF0d36wo0sUlVeYVU1VlRkzNJTWZ73k6LY7FYevOGHknOhKXFawtiicg2r3JY\
    DosyYECqlLPFY-e4OuRjiPUtn47_hY8bvjX_FuGh2bssTNejebhY9-l9ZqpOyvcUkFV-uT-8Y7aH556wPen23RYdPdBer5RE\
    JNFE93Qu_G9_DDERTjrqd-EK_uuoqA1aArcI7Bx3EivfePTxrj0wcw";
const TEST_RSA_D: &str = "\
    FQI_cVLtwIibyM3OqRGfko789nL1DJOzhsfQRYayCn2WTLu3-y2wBmFNa4jVxzMlx3kk4QxEgjlICTGj4ZvqooqyHFOJMgb2\
    2vyHfya8EqQLnHsSZOMnG6q6OdMI_S4KrKwVEmKQEPqQjASph_PFMO8pCItwRDrZaYOdDjejJOpqk1LNW_YAyAz1Dg_0OPPh\
    gVyKw3j2nNOXpC4jnBNcz0tmGIyBGL1Ao8b-Rmni-WuDd50yOU_-tvlA0oAx1eYQiWqlPWpTfnJHQlrusNn0NfV_ne9B1deg\
    a8-RlXOVmwhVRCXeW8GIvDCa7Tib8Ux8FSYMVCKhFm3SM1Gmq63nHQ";
const TEST_RSA_P: &str = "\
    7zLZSt_4VpQfyFm9sM-Xe9cQkCw7iAXpdVsVRmQXX1RcNzqud9B17Ha92gNpmDvPrXhSzuttBjfHVdbQ8SpCCwrgVVomCaZs\
    VGv-qa2PKXUtM36CGDrCHTtDYdlgoHE3Ym2uq3xS_WiJbVbXuq_cyfY7akcDL0cuYj2gkLDlX60";
const TEST_RSA_Q: &str = "\
    zhtsxBFo0ZMYCN2PX55KBgxUjHfP2gDGCO41J0OQj5hmtjHLk_ZltTshD6GUdEYoenBzgXK7rwaH0StNos2PA0YSwlp6nL6N\
    HdCovjA59yRIB-Yf7oLysNwgiYvajO2nbJODCsJQ5MfS9zu1JLQNWd5SyHFS4qw3tMx6NYIqVJ8";

static TEST_RSA_KEY: LazyLock<rsa::RsaPrivateKey> = LazyLock::new(|| {
    let [n, d, p, q] = [TEST_RSA_N, TEST_RSA_D, TEST_RSA_P, TEST_RSA_Q]
        .map(|number| BoxedUint::from_be_slice_vartime(&base64url::decode(number).unwrap()));
    rsa::RsaPrivateKey::from_components(n, BoxedUint::from(65_537_u64), d, vec![p, q]).unwrap()
});

/// Who signs a test token. `Other` is the Ed25519 key of the other issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    Es256,
    Rs256,
    EdDsa,
    Other,
}

pub(super) const SIGNERS: [Signer; 3] = [Signer::Es256, Signer::Rs256, Signer::EdDsa];

impl Signer {
    pub(super) fn algorithm(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa | Self::Other => "EdDSA",
        }
    }

    pub(super) fn key_id(self) -> &'static str {
        match self {
            Self::Es256 => "ec-1",
            Self::Rs256 => "rsa-1",
            Self::EdDsa => "ed-1",
            Self::Other => "other-1",
        }
    }

    pub(super) fn jwk(self) -> Value {
        let mut jwk = match self {
            Self::Es256 => {
                let point = p256_key().verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": base64url::encode(x), "y": base64url::encode(y)})
            }
            Self::Rs256 => json!({"kty": "RSA", "n": TEST_RSA_N, "e": "AQAB"}),
            Self::EdDsa | Self::Other => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(self.ed25519_key().verifying_key().to_bytes())})
            }
        };
        jwk["kid"] = json!(self.key_id());
        jwk
    }

    /// The signature over these bytes, in JOSE form.
    pub(super) fn sign(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256 => {
                let signature: p256::ecdsa::Signature = p256_key().sign(message);
                signature.to_vec()
            }
            Self::Rs256 => rsa::pkcs1v15::SigningKey::<Sha256>::new(rsa_key().clone()).sign(message).to_vec(),
            Self::EdDsa | Self::Other => self.ed25519_key().sign(message).to_vec(),
        }
    }

    /// A correctly signed token of this header and payload, whatever they are.
    pub(super) fn token(self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let input = signing_input(header, payload);
        let signature = self.sign(input.as_bytes());
        format!("{input}.{}", base64url::encode(signature))
    }

    /// The header of a good token of this signer.
    pub(super) fn header(self) -> Value {
        json!({"alg": self.algorithm(), "kid": self.key_id(), "typ": "at+jwt"})
    }

    pub(super) fn ed25519_key(self) -> ed25519_dalek::SigningKey {
        let seed = if self == Self::Other { [2; 32] } else { [1; 32] };
        ed25519_dalek::SigningKey::from_bytes(&seed)
    }
}

fn p256_key() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap()
}

pub(super) fn rsa_key() -> &'static rsa::RsaPrivateKey {
    &TEST_RSA_KEY
}

pub(super) fn signing_input(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    format!("{}.{}", base64url::encode(header), base64url::encode(payload))
}

/// Claims of a good token, and nothing that is not needed.
pub(super) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 300})
}

/// An object with these members set; null takes one away.
pub(super) fn with(mut object: Value, changes: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    object
}

/// A token of the EdDSA key, whose header or claims are changed.
pub(super) fn token_with(header_changes: Value, claim_changes: Value) -> String {
    let header = with(Signer::EdDsa.header(), header_changes).to_string();
    Signer::EdDsa.token(header, with(claims(), claim_changes).to_string())
}

pub(super) fn key_set(signers: &[Signer]) -> KeySet {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    KeySet::parse(&json!({"keys": keys})).unwrap()
}

pub(super) fn issuer(name: &str) -> TrustedIssuer {
    let algorithms = vec![Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA];
    TrustedIssuer::new(name, vec![AUDIENCE.to_owned()], algorithms)
}

/// A verifier with the keys of its issuers, verifying in process.
pub(super) struct Gate {
    verifier: Verifier,
    keys: Vec<KeySet>,
}

impl Gate {
    pub(super) fn new(trusted: Vec<(TrustedIssuer, KeySet)>) -> Self {
        let (issuers, keys) = trusted.into_iter().unzip();
        Self { verifier: Verifier::new(issuers).unwrap(), keys }
    }

    /// One issuer of all the signers, configured like this.
    pub(super) fn of(change: impl FnOnce(&mut TrustedIssuer)) -> Self {
        let mut trusted = issuer(ISSUER);
        change(&mut trusted);
        Self::new(vec![(trusted, key_set(&SIGNERS))])
    }

    pub(super) fn verify(&self, token: impl AsRef<[u8]>, now_seconds: u64) -> Result<Claims, TokenError> {
        let unverified = self.verifier.read(token.as_ref())?;
        unverified.verify(&self.keys[unverified.issuer()], &InProcess, now_seconds)
    }
}

/// Two issuers with keys of their own.
pub(super) fn gate() -> Gate {
    Gate::new(vec![(issuer(ISSUER), key_set(&SIGNERS)), (issuer(OTHER_ISSUER), key_set(&[Signer::Other]))])
}

pub(super) fn verify(token: impl AsRef<[u8]>) -> Result<Claims, TokenError> {
    gate().verify(token, NOW)
}

pub(super) const TOKEN: &str = "an.access.token";
pub(super) const URI: &str = "https://mcp.example.com/mcp";
pub(super) const WINDOW_SECONDS: u64 = 300;

/// Claims of a good proof for a POST of [`TOKEN`] to [`URI`], and nothing that is not needed.
pub(super) fn proof_claims() -> Value {
    let hash = crate::issue::access_token_hash(TOKEN);
    json!({"jti": "proof-1", "htm": "POST", "htu": URI, "iat": NOW, "ath": hash})
}

impl Signer {
    /// The header of a good proof of this signer.
    pub(super) fn proof_header(self) -> Value {
        json!({"typ": "dpop+jwt", "alg": self.algorithm(), "jwk": with(self.jwk(), json!({"kid": null}))})
    }
}

/// A proof of the EdDSA key, whose header or claims are changed.
pub(super) fn proof_with(header_changes: Value, claim_changes: Value) -> String {
    let header = with(Signer::EdDsa.proof_header(), header_changes).to_string();
    Signer::EdDsa.token(header, with(proof_claims(), claim_changes).to_string())
}

/// All three steps, for a token that is bound to the key of this signer.
pub(super) fn prove_with(signer: Signer, proof: impl AsRef<[u8]>) -> Result<(), ProofError> {
    let uri = TargetUri::parse(URI).unwrap();
    let expected = Expected {
        method: "POST",
        uri: &uri,
        token_digest: &token_digest(TOKEN.as_bytes()),
        thumbprint: &thumbprint(&signer.jwk()).unwrap(),
        algorithms: &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA],
        now_seconds: NOW,
        window_seconds: WINDOW_SECONDS,
    };
    let proof = Proof::parse(proof.as_ref())?;
    proof.check(&expected)?;
    proof.verify(None, &InProcess).map(drop)
}

pub(super) fn prove(proof: impl AsRef<[u8]>) -> Result<(), ProofError> {
    prove_with(Signer::EdDsa, proof)
}
