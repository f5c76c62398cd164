use airlock_pipeline::{Headers, Repeated, Scheme};

/// What a request shows of itself to say who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credentials<'a> {
    /// How the token is presented.
    pub(crate) scheme: Scheme,
    /// The access token.
    pub(crate) token: &'a [u8],
    /// The proof that the sender has the token's key.
    pub(crate) proof: Option<&'a [u8]>,
}

/// Why a request shows nothing that could be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// There is no `authorization` header.
    #[error("this gateway needs an access token: `authorization: Bearer …` or `authorization: DPoP …`")]
    Missing,
    /// The header has another scheme, or none.
    #[error("the `authorization` header must use the Bearer or the DPoP scheme")]
    Scheme,
    /// The header is there twice. Proxies join the lines with a comma, which no token has.
    #[error("the header `authorization` may be sent only once")]
    Repeated,
    /// The header `dpop` is there twice (RFC 9449 section 4.3, check 1).
    #[error("the header `dpop` may be sent only once")]
    RepeatedProof,
    /// The DPoP scheme without a proof.
    #[error("the DPoP scheme needs a proof in the header `dpop`")]
    NoProof,
}

impl CredentialsError {
    /// The stable reason code.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Scheme => "token_scheme",
            Self::Repeated => "token_repeated",
            Self::RepeatedProof => "proof_repeated",
            Self::NoProof => "proof_missing",
        }
    }
}

impl<'a> Credentials<'a> {
    /// Reads the headers of a request. A token anywhere else, such as in the query, is none (RFC 6750 section 2.3 is
    /// obsolete, and MCP forbids it).
    pub(crate) fn read(headers: &'a Headers) -> Result<Self, CredentialsError> {
        let header = headers.one("authorization").map_err(|Repeated| CredentialsError::Repeated)?;
        let (scheme, token) =
            split(header.ok_or(CredentialsError::Missing)?).ok_or(CredentialsError::Scheme)?;
        let proof = headers.one("dpop").map_err(|Repeated| CredentialsError::RepeatedProof)?;
        match (scheme, proof) {
            (Scheme::Dpop, None) => Err(CredentialsError::NoProof),
            (Scheme::Dpop | Scheme::Bearer, proof) => Ok(Self { scheme, token, proof }),
        }
    }
}

/// Scheme and token; the scheme is compared without regard to case (RFC 9110 section 11.1).
fn split(header: &[u8]) -> Option<(Scheme, &[u8])> {
    [("Bearer ", Scheme::Bearer), ("DPoP ", Scheme::Dpop)].into_iter().find_map(|(name, scheme)| {
        let (start, token) = header.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name.as_bytes()).then_some((scheme, token))
    })
}
