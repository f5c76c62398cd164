/// Why a token is refused.
///
/// It never holds a part of the token. Which check failed first is not a promise, except that claims other
/// than `iss` are judged only when the signature verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Not three segments of base64url, or a header or payload that is not strict JSON of the right types.
    /// Often an opaque token, an encrypted one, or two readers being played against each other.
    #[error("the token's {0} is malformed")]
    Malformed(&'static str),
    /// The token or its header exceeds its limit ([`crate::limits`]).
    #[error("the token is too large")]
    TooLarge,
    /// The algorithm is none that this issuer signs with, or not that of the key: an issuer's change that is
    /// not configured here, or algorithm confusion (RFC 8725 section 2.1).
    #[error("the token's algorithm is not that of the issuer's key")]
    Algorithm,
    /// The header brings a key, points to one, or asks for decompression: nothing of that is ever followed.
    #[error("the token's header has the member `{0}`")]
    Header(&'static str),
    /// The header demands an extension (`crit`, `b64`); this verifier has none.
    #[error("the token's header demands an extension")]
    CriticalHeader,
    /// The issuer has no such key, or the token names none where there are several. Typically keys were rotated:
    /// with newer keys the verification may be repeated.
    #[error("the token names no key of its issuer")]
    KeyUnknown,
    /// The signature does not verify: a forged or damaged token, or stale keys under a reused key id.
    #[error("the token's signature does not verify")]
    Signature,
    /// `iss` is missing or exactly equal to no configured issuer.
    #[error("the token's issuer is not trusted")]
    Issuer,
    /// `aud` names none of the configured audiences: the token was issued for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead, beyond the clock skew: clocks differ, or the token is held back.
    #[error("the token is not yet valid")]
    NotYetValid,
    /// `typ` is not accepted, or the claims are those of another kind of token, such as an ID token.
    #[error("the token is not an access token")]
    Type,
    /// This claim is missing, of the wrong type, or exceeds a limit. A claim that only the configuration knows is
    /// named by what it stands for, as in [`crate::ClaimNames`].
    #[error("the claim `{0}` is missing or malformed")]
    Claims(&'static str),
    /// `cnf` binds the token to something (RFC 7800) of which possession cannot be proven here, or is malformed.
    #[error("the token is bound in a way that is not supported")]
    Bound,
}

impl TokenError {
    /// A stable name for logs, metrics and policies.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "token_malformed",
            Self::TooLarge => "token_too_large",
            Self::Algorithm => "token_algorithm",
            Self::Header(_) => "token_header",
            Self::CriticalHeader => "token_critical_header",
            Self::KeyUnknown => "token_key_unknown",
            Self::Signature => "token_signature",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Type => "token_type",
            Self::Claims(_) => "token_claims",
            Self::Bound => "token_bound",
        }
    }
}
