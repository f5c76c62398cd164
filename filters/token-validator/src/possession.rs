//! Whether the sender of a token has what the token is bound to: a key (RFC 9449) or a certificate (RFC 8705).

use airlock_jose::{
    Algorithm, Claims, PublicKey, SignatureCheck,
    dpop::{Expected, Proof, ProofError},
};
use airlock_pipeline::{Host, HostError, Scheme};

use crate::{
    cache::{Digest, Verified},
    certificate,
    configuration::{DpopConfiguration, Requirement},
    credentials::Credentials,
    nonce::{Freshness, Nonces},
    replay::{ReplayError, Replays},
    resources::Resource,
    tokens::Issuer,
};

/// How possession is judged.
#[derive(Debug)]
pub(crate) struct Possession {
    algorithms: Vec<Algorithm>,
    window_seconds: u64,
    nonces: Option<Nonces>,
    replays: Replays,
}

/// Why possession is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PossessionError {
    /// The proof is not good.
    Proof(ProofError),
    /// The proof needs this nonce.
    Nonce(String),
    /// The proof was used before, or it cannot be found out.
    Replay(ReplayError),
    /// The token is bound to a key and was sent as if it were not.
    ProofMissing,
    /// The token is not bound, and it must be.
    Unbound,
    /// The token was sent as if it were bound to a key.
    NotBound,
    /// The connection does not have the certificate that the token is bound to.
    Certificate,
    /// The proxy does not say what it knows.
    Host,
}

/// What a request shows, and what it is for.
pub(crate) struct Shown<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) token_digest: &'a Digest,
    pub(crate) method: &'a str,
    /// The path of the request.
    pub(crate) path: &'a str,
    /// `None` where configuration does not say under which URL clients know this server: no proof can name it then.
    pub(crate) resource: Option<&'a Resource>,
}

impl From<HostError> for PossessionError {
    fn from(HostError: HostError) -> Self {
        Self::Host
    }
}

impl Possession {
    pub(crate) fn new(configuration: DpopConfiguration) -> Result<Self, String> {
        if configuration.algorithms.is_empty() {
            return Err("algorithms: at least one is needed".to_owned());
        }
        if !(1..=3_600).contains(&configuration.window_seconds) {
            return Err("window_seconds: must be from 1 to 3600".to_owned());
        }
        Ok(Self {
            algorithms: configuration.algorithms,
            window_seconds: configuration.window_seconds,
            nonces: Nonces::new(configuration.nonce).map_err(|problem| format!("nonce.{problem}"))?,
            replays: Replays::new(configuration.replay_entries, configuration.window_seconds)
                .map_err(|problem| format!("replay_entries: {problem}"))?,
        })
    }

    pub(crate) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Judges everything that the token is bound to, and whether that is enough for its issuer. Returns a nonce if the
    /// client should use another from now on.
    pub(crate) fn judge(
        &self,
        shown: &Shown<'_>,
        verified: &Verified,
        issuer: &Issuer,
        host: &mut dyn Host,
        native_signatures: bool,
    ) -> Result<Option<String>, PossessionError> {
        let confirmation = &verified.claims.confirmation;
        let lacks_key = issuer.dpop.applies(&verified.claims) && confirmation.key_thumbprint.is_none();
        let lacks_certificate =
            issuer.mtls.applies(&verified.claims) && confirmation.certificate_thumbprint.is_none();
        if lacks_key || lacks_certificate {
            return Err(PossessionError::Unbound);
        }
        if let Some(thumbprint) = &confirmation.certificate_thumbprint {
            let certificate = host.peer_certificate()?.ok_or(PossessionError::Certificate)?;
            if !certificate::is_bound(&certificate, thumbprint) {
                return Err(PossessionError::Certificate);
            }
        }
        match (&confirmation.key_thumbprint, shown.credentials.scheme, shown.credentials.proof) {
            (None, Scheme::Bearer, _) => Ok(None),
            (None, Scheme::Dpop, _) => Err(PossessionError::NotBound),
            (Some(thumbprint), Scheme::Dpop, Some(proof)) => {
                self.prove(shown, proof, thumbprint, verified, host, native_signatures)
            }
            (Some(_), _, _) => Err(PossessionError::ProofMissing),
        }
    }

    /// RFC 9449 section 4.3. What costs most and what changes something comes last.
    fn prove(
        &self,
        shown: &Shown<'_>,
        proof: &[u8],
        thumbprint: &str,
        verified: &Verified,
        host: &mut dyn Host,
        native_signatures: bool,
    ) -> Result<Option<String>, PossessionError> {
        let uri = shown.resource.and_then(|resource| resource.target_uri(shown.path));
        let uri = &uri.ok_or(PossessionError::Proof(ProofError::Uri))?;
        let proof = Proof::parse(proof).map_err(PossessionError::Proof)?;
        let now_seconds = host.now_micros() / 1_000_000;
        let expected = Expected {
            method: shown.method,
            uri,
            token_digest: shown.token_digest,
            thumbprint,
            algorithms: &self.algorithms,
            now_seconds,
            window_seconds: self.window_seconds,
        };
        proof.check(&expected).map_err(PossessionError::Proof)?;
        let next_nonce = self.check_nonce(&proof, host)?;
        let signatures = HostSignatures { host, native: native_signatures };
        let built = proof.verify(verified.proof_key.get(), &signatures).map_err(PossessionError::Proof)?;
        if let Some(key) = built {
            let _ = verified.proof_key.set(key);
        }
        self.replays
            .spend(host, thumbprint, uri.as_str(), proof.token_id(), proof.issued_at(), now_seconds)
            .map_err(PossessionError::Replay)?;
        Ok(next_nonce)
    }

    fn check_nonce(&self, proof: &Proof<'_>, host: &mut dyn Host) -> Result<Option<String>, PossessionError> {
        let Some(nonces) = &self.nonces else { return Ok(None) };
        let freshness = match proof.nonce() {
            Some(nonce) => nonces.check(host, nonce)?,
            None => Freshness::Stale,
        };
        match freshness {
            Freshness::Fresh => Ok(None),
            Freshness::Aging => Ok(Some(nonces.current(host)?)),
            Freshness::Stale => Err(PossessionError::Nonce(nonces.current(host)?)),
        }
    }
}

impl Requirement {
    /// Whether a token with these claims must be bound.
    pub(crate) fn applies(&self, claims: &Claims) -> bool {
        match self {
            Self::Optional => false,
            Self::Required => true,
            Self::Scopes(scopes) => scopes.iter().any(|scope| claims.scopes.contains(scope)),
        }
    }
}

/// Signatures that the proxy verifies where it can, and this module where it cannot.
pub(crate) struct HostSignatures<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) native: bool,
}

impl SignatureCheck for HostSignatures<'_> {
    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), airlock_jose::SignatureMismatch> {
        let foreign = if self.native { key.foreign(signature)? } else { None };
        let verified = foreign
            .and_then(|foreign| self.host.verify_signature(foreign.public_key, message, &foreign.signature));
        match verified {
            Some(true) => Ok(()),
            Some(false) => Err(airlock_jose::SignatureMismatch),
            None => key.verify(message, signature),
        }
    }
}
