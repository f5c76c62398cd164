use crate::jwk::KeyError;

/// Why a DPoP proof is refused. It never holds a part of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not three segments of base64url, or a header or payload that is not strict JSON of the right types.
    #[error("the proof's {0} is malformed")]
    Malformed(&'static str),
    /// The proof exceeds [`crate::limits::PROOF_BYTES`].
    #[error("the proof is too large")]
    TooLarge,
    /// `typ` is not `dpop+jwt`: another kind of token was sent as a proof.
    #[error("the type of the proof is not `dpop+jwt`")]
    Type,
    /// The header points to a key, brings a certificate, or demands an extension or decompression.
    #[error("the proof's header has the member `{0}`")]
    Header(&'static str),
    /// The algorithm is symmetric, `none`, not accepted here, or not that of the proof's key.
    #[error("the algorithm of the proof is not accepted, or not that of its key")]
    Algorithm,
    /// `jwk` is missing or refused; a private key in a proof must be taken for lost.
    #[error("the key of the proof: {0}")]
    Key(KeyError),
    /// The signature does not verify with the proof's own key.
    #[error("the signature of the proof does not verify")]
    Signature,
    /// This claim is missing, of the wrong type, or exceeds a limit.
    #[error("the claim `{0}` of the proof is missing or malformed")]
    Claims(&'static str),
    /// `htm` is not the method of the request.
    #[error("the proof is for another method")]
    Method,
    /// `htu` is not the URI of the request, as the public knows it.
    #[error("the proof is for another URI")]
    Uri,
    /// `ath` is not the digest of the access token.
    #[error("the proof is for another access token")]
    Token,
    /// The proof's key is not the one that the access token is bound to.
    #[error("the access token is bound to another key than the proof's")]
    Binding,
    /// `iat` is too long ago, or `exp` has passed.
    #[error("the proof is too old")]
    Stale,
    /// `iat` or `nbf` lies ahead by more than the window: the client's clock is wrong, or the proof was made in
    /// advance.
    #[error("the proof is not yet valid")]
    NotYetValid,
}

impl ProofError {
    /// A stable name for logs, metrics and policies.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "proof_malformed",
            Self::TooLarge => "proof_too_large",
            Self::Type => "proof_type",
            Self::Header(_) => "proof_header",
            Self::Algorithm => "proof_algorithm",
            Self::Key(_) => "proof_key",
            Self::Signature => "proof_signature",
            Self::Claims(_) => "proof_claims",
            Self::Method => "proof_method",
            Self::Uri => "proof_uri",
            Self::Token => "proof_token",
            Self::Binding => "proof_binding",
            Self::Stale => "proof_stale",
            Self::NotYetValid => "proof_not_yet_valid",
        }
    }
}
