//! What a client is told about each way in which it can fail to show who it is.

use airlock_pipeline::{Denial, HostError, Scheme, rpc};

use crate::{
    admission,
    certificate::CertificateError,
    challenge::{Challenges, Error},
    credentials::CredentialsError,
    possession::PossessionError,
    replay::ReplayError,
    resources::Resource,
    tokens::TokensError,
};

/// Seconds after which a client may try again when the gateway could not judge it.
const RETRY_AFTER_SECONDS: u32 = 5;

/// The refusals of requests for one resource.
#[derive(Clone, Copy)]
pub(crate) struct Refusals<'a> {
    pub(crate) challenges: &'a Challenges,
    pub(crate) resource: Option<&'a Resource>,
}

impl Refusals<'_> {
    pub(crate) fn of_credentials(self, error: CredentialsError) -> Denial {
        let message = error.to_string();
        match error {
            CredentialsError::Missing | CredentialsError::Scheme => {
                self.challenges.absent(self.resource, error.reason(), &message)
            }
            CredentialsError::Repeated => {
                self.challenge(Scheme::Bearer, "invalid_token", error.reason(), &message)
            }
            CredentialsError::RepeatedProof | CredentialsError::NoProof => {
                self.challenge(Scheme::Dpop, "invalid_dpop_proof", error.reason(), &message)
            }
        }
    }

    pub(crate) fn of_token(self, scheme: Scheme, error: TokensError) -> Denial {
        match error {
            TokensError::Token(error) => {
                self.challenge(scheme, "invalid_token", error.reason(), &error.to_string())
            }
            TokensError::KeysUnavailable => unavailable(
                503,
                "keys_unavailable",
                "the keys of the token's issuer cannot be had at the moment",
            ),
            TokensError::Host => HostError.into(),
        }
    }

    pub(crate) fn of_possession(self, scheme: Scheme, error: PossessionError) -> Denial {
        let bound = |scheme, reason, message| self.challenge(scheme, "invalid_token", reason, message);
        match error {
            PossessionError::Proof(error) => {
                self.challenge(Scheme::Dpop, "invalid_dpop_proof", error.reason(), &error.to_string())
            }
            PossessionError::Nonce(nonce) => {
                let message = "the proof must have the nonce of the header `dpop-nonce`";
                let mut denial = self.challenge(Scheme::Dpop, "use_dpop_nonce", "proof_nonce", message);
                denial.headers.push(("dpop-nonce", nonce));
                denial
            }
            PossessionError::Replay(error @ ReplayError::Replayed) => {
                self.challenge(Scheme::Dpop, "invalid_dpop_proof", error.reason(), &error.to_string())
            }
            PossessionError::Replay(error @ (ReplayError::Full | ReplayError::Busy)) => {
                unavailable(503, error.reason(), &error.to_string())
            }
            PossessionError::Replay(error @ ReplayError::KeyFull) => {
                unavailable(429, error.reason(), &error.to_string())
            }
            PossessionError::ProofMissing => {
                let message = "the token is bound to a key: send it with the DPoP scheme and a proof";
                bound(Scheme::Dpop, "proof_missing", message)
            }
            PossessionError::Unbound => bound(
                Scheme::Dpop,
                "token_unbound",
                "the token must be bound to a key or certificate of its client",
            ),
            PossessionError::NotBound => bound(
                Scheme::Dpop,
                "token_unbound",
                "the token is not bound to a key: send it with the Bearer scheme",
            ),
            PossessionError::Certificate => {
                let message = "the token is bound to another certificate than that of this connection";
                bound(scheme, "token_certificate", message)
            }
            PossessionError::Replay(ReplayError::Host) | PossessionError::Host => HostError.into(),
        }
    }

    pub(crate) fn of_admission(self, scheme: Scheme, refused: admission::Refused) -> Denial {
        let message = refused.to_string();
        match refused {
            admission::Refused::Token => self.challenge(scheme, "invalid_token", refused.reason(), &message),
            admission::Refused::Subject | admission::Refused::Client | admission::Refused::Group => {
                Denial::new(403, rpc::DENIED, refused.reason(), message)
            }
        }
    }

    pub(crate) fn of_certificate(self, error: CertificateError) -> Denial {
        Denial::new(403, rpc::DENIED, error.reason(), error.to_string())
    }

    fn challenge(
        self,
        scheme: Scheme,
        name: &'static str,
        reason: &'static str,
        description: &str,
    ) -> Denial {
        self.challenges.refused(self.resource, Error { scheme, name, reason, description })
    }
}

/// The gateway cannot judge now: that says nothing about the credentials, which the client should keep.
fn unavailable(status: u16, reason: &'static str, message: &str) -> Denial {
    Denial {
        headers: vec![("retry-after", RETRY_AFTER_SECONDS.to_string())],
        ..Denial::new(status, rpc::UNAVAILABLE, reason, message)
    }
}
