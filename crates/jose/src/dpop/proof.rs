use std::fmt;

use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::compact::CompactJws;
use crate::dpop::error::ProofError;
use crate::dpop::target_uri::TargetUri;
use crate::error::TokenError;
use crate::jwk::{Jwk, KeyError, is_key_id};
use crate::key_material::KeyMaterial;
use crate::public_key::PublicKey;
use crate::signature_check::SignatureCheck;
use crate::{base64url, json, limits};

/// Members that point to a key or a certificate, or change what the payload is or must be (RFC 7515 section
/// 4.1, RFC 7516 section 4.1, RFC 7797). A proof's key is its `jwk` and nothing else.
const REFUSED: [&str; 7] = ["crit", "b64", "jku", "x5u", "x5c", "enc", "zip"];

/// A DPoP proof (RFC 9449 section 4.2) that was read. Nothing of it is proven before [`Proof::verify`].
pub struct Proof<'a> {
    signing_input: &'a [u8],
    signature: Vec<u8>,
    algorithm: Algorithm,
    key: KeyMaterial,
    thumbprint: String,
    claims: ProofClaims,
}

struct ProofClaims {
    token_id: String,
    method: String,
    uri: TargetUri,
    issued_at: u64,
    expires_at: Option<u64>,
    not_before: Option<u64>,
    token_digest: Option<Vec<u8>>,
    nonce: Option<String>,
}

/// What a proof must be for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The method of the request, compared with regard to case.
    pub method: &'a str,
    /// The URI of the request as the public knows it, never from what a client can set.
    pub uri: &'a TargetUri,
    /// [`crate::token_digest`] of the access token as it was sent.
    pub token_digest: &'a [u8; 32],
    /// The thumbprint that the token is bound to: [`crate::Confirmation::key_thumbprint`].
    pub thumbprint: &'a str,
    /// The algorithms that proofs are accepted with.
    pub algorithms: &'a [Algorithm],
    /// Seconds since 1970.
    pub now_seconds: u64,
    /// By how many seconds `iat` may lie back or ahead.
    pub window_seconds: u64,
}

impl<'a> Proof<'a> {
    /// Reads the value of one `DPoP` header field.
    ///
    /// # Errors
    /// [`ProofError`] for a proof that could be none for any request: wrong in form, type, members or limits.
    pub fn parse(proof: &'a [u8]) -> Result<Self, ProofError> {
        if proof.len() > limits::PROOF_BYTES {
            return Err(ProofError::TooLarge);
        }
        let jws = CompactJws::parse(proof).map_err(|error| match error {
            TokenError::Malformed(place) => ProofError::Malformed(place),
            _ => ProofError::TooLarge,
        })?;
        let (algorithm, key) = read_header(&jws.header)?;
        let members =
            json::object(&jws.payload, limits::PROOF_BYTES).map_err(|_| ProofError::Malformed("payload"))?;
        let claims = ProofClaims::read(&members)?;
        let thumbprint = key.thumbprint();
        Ok(Self {
            signing_input: jws.signing_input,
            signature: jws.signature,
            algorithm,
            key,
            thumbprint,
            claims,
        })
    }

    /// The RFC 7638 thumbprint of the proof's key in base64url.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The nonce that the client had from the server.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.claims.nonce.as_deref()
    }

    /// `jti`, by which a proof that is sent again is known.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.claims.token_id
    }

    /// `iat`, in seconds since 1970.
    #[must_use]
    pub fn issued_at(&self) -> u64 {
        self.claims.issued_at
    }

    /// Compares the claims with what is expected (RFC 9449 section 4.3). The signature is not looked at.
    ///
    /// # Errors
    /// [`ProofError`] for the first check that failed.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), ProofError> {
        if !expected.algorithms.contains(&self.algorithm) {
            return Err(ProofError::Algorithm);
        }
        if self.claims.method != expected.method {
            return Err(ProofError::Method);
        }
        if self.claims.uri != *expected.uri {
            return Err(ProofError::Uri);
        }
        self.claims.check_times(expected.now_seconds, expected.window_seconds)?;
        let digest = self.claims.token_digest.as_ref().ok_or(ProofError::Claims("ath"))?;
        if digest != expected.token_digest {
            return Err(ProofError::Token);
        }
        if self.thumbprint == expected.thumbprint { Ok(()) } else { Err(ProofError::Binding) }
    }

    /// Verifies the signature with the proof's own key. `known` is the key of an earlier proof, which saves
    /// checking the same key again; a key of another thumbprint is not used.
    ///
    /// Returns the key if it was checked now.
    ///
    /// # Errors
    /// [`ProofError::Key`] for a key that is weak or no key, [`ProofError::Signature`] if it did not sign.
    pub fn verify(
        &self,
        known: Option<&PublicKey>,
        signatures: &dyn SignatureCheck,
    ) -> Result<Option<PublicKey>, ProofError> {
        match known.filter(|key| key.thumbprint() == self.thumbprint) {
            Some(key) => self.verify_with(key, signatures).map(|()| None),
            None => {
                let key = PublicKey::new(&self.key).map_err(ProofError::Key)?;
                self.verify_with(&key, signatures)?;
                Ok(Some(key))
            }
        }
    }

    fn verify_with(&self, key: &PublicKey, signatures: &dyn SignatureCheck) -> Result<(), ProofError> {
        signatures.verify(key, self.signing_input, &self.signature).map_err(|_| ProofError::Signature)
    }
}

impl fmt::Debug for Proof<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Proof").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl ProofClaims {
    fn read(members: &Map<String, Value>) -> Result<Self, ProofError> {
        Ok(Self {
            token_id: required(text(members, "jti", limits::PROOF_ID_BYTES)?, "jti")?,
            method: required(text(members, "htm", limits::PROOF_ID_BYTES)?, "htm")?,
            uri: text(members, "htu", limits::TARGET_URI_BYTES)?
                .and_then(|uri| TargetUri::parse(&uri))
                .ok_or(ProofError::Claims("htu"))?,
            issued_at: required(time(members, "iat")?, "iat")?,
            expires_at: time(members, "exp")?,
            not_before: time(members, "nbf")?,
            token_digest: digest(members, "ath")?,
            nonce: nonce(members)?,
        })
    }

    /// The window reaches as far back as ahead, because a client's clock may be wrong either way. What a client
    /// says of a shorter life holds too.
    fn check_times(&self, now_seconds: u64, window_seconds: u64) -> Result<(), ProofError> {
        let latest = now_seconds.saturating_add(window_seconds);
        if self.issued_at > latest || self.not_before.is_some_and(|start| start > latest) {
            return Err(ProofError::NotYetValid);
        }
        let stale = now_seconds > self.issued_at.saturating_add(window_seconds);
        if stale || self.expires_at.is_some_and(|end| now_seconds >= end) {
            return Err(ProofError::Stale);
        }
        Ok(())
    }
}

/// The algorithm and the key, which must fit each other.
fn read_header(members: &Map<String, Value>) -> Result<(Algorithm, KeyMaterial), ProofError> {
    if members.get("typ").and_then(Value::as_str) != Some("dpop+jwt") {
        return Err(ProofError::Type);
    }
    if let Some(name) = REFUSED.iter().find(|name| members.contains_key(**name)) {
        return Err(ProofError::Header(name));
    }
    // A key id says nothing that `jwk` does not, but a hostile one is none.
    if members.get("kid").is_some_and(|key_id| !key_id.as_str().is_some_and(is_key_id)) {
        return Err(ProofError::Malformed("header"));
    }
    let algorithm =
        members.get("alg").and_then(Value::as_str).and_then(Algorithm::named).ok_or(ProofError::Algorithm)?;
    let jwk = members.get("jwk").ok_or(ProofError::Key(KeyError::NotAnObject))?;
    let material = Jwk::read(jwk).map_err(ProofError::Key)?.material;
    let key = material.ok_or(ProofError::Key(KeyError::Unusable))?;
    if key.algorithm() == algorithm { Ok((algorithm, key)) } else { Err(ProofError::Algorithm) }
}

fn required<T>(value: Option<T>, name: &'static str) -> Result<T, ProofError> {
    value.ok_or(ProofError::Claims(name))
}

/// A string that is not empty, bounded, and without control characters.
fn text(
    members: &Map<String, Value>,
    name: &'static str,
    most_bytes: usize,
) -> Result<Option<String>, ProofError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    let fits = |text: &&str| (1..=most_bytes).contains(&text.len()) && !text.contains(char::is_control);
    value.as_str().filter(fits).map(|text| Some(text.to_owned())).ok_or(ProofError::Claims(name))
}

/// A time in whole seconds. RFC 7519 section 2 would allow fractions; readers round them differently.
fn time(members: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, ProofError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    value.as_u64().filter(|seconds| *seconds <= limits::TIME).map(Some).ok_or(ProofError::Claims(name))
}

/// The base64url of 32 bytes.
fn digest(members: &Map<String, Value>, name: &'static str) -> Result<Option<Vec<u8>>, ProofError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    let bytes = value.as_str().and_then(base64url::decode).filter(|bytes| bytes.len() == 32);
    bytes.map(Some).ok_or(ProofError::Claims(name))
}

/// `1*NQCHAR` (RFC 9449 section 8.1).
fn nonce(members: &Map<String, Value>) -> Result<Option<String>, ProofError> {
    let nonce = text(members, "nonce", limits::NONCE_BYTES)?;
    let is_nonce =
        |nonce: &String| nonce.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'));
    if nonce.as_ref().is_none_or(is_nonce) { Ok(nonce) } else { Err(ProofError::Claims("nonce")) }
}
