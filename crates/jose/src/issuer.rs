use std::collections::BTreeSet;

use crate::algorithm::Algorithm;
use crate::error::TokenError;
use crate::header::Header;
use crate::key_set::KeySet;
use crate::limits;
use crate::public_key::PublicKey;

/// The `typ` of access tokens: that of RFC 9068 section 2.1, and what common providers write instead.
const ACCESS_TOKEN_TYPES: [&str; 3] = ["at+jwt", "application/at+jwt", "JWT"];

/// An issuer whose access tokens are accepted, and how.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// What `iss` must be, byte for byte: no trailing slash is added or taken, no case is folded.
    pub issuer: String,
    /// The names of this resource. A token must be for one of them, byte for byte.
    pub audiences: Vec<String>,
    /// The algorithms that the issuer signs access tokens with.
    pub algorithms: Vec<Algorithm>,
    /// The issuer's keys. They verify tokens of no other issuer.
    pub keys: KeySet,
    /// By how many seconds the issuer's clock may be off, at most [`limits::CLOCK_SKEW_SECONDS`]. Default 30.
    pub clock_skew_seconds: u64,
    /// The accepted `typ`, compared without regard to ASCII case. Default `at+jwt`, `application/at+jwt` and
    /// `JWT`.
    ///
    /// Providers that write `JWT` also write it into ID tokens. Where a provider writes `at+jwt`, leave only
    /// that.
    pub types: Vec<String>,
    /// Whether a token without `typ` is accepted; some providers, such as Okta, write none. Default false.
    pub accept_absent_type: bool,
}

/// Why a verifier cannot be configured like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// There is no issuer, so that no token could ever be accepted.
    #[error("no issuer is configured")]
    NoIssuer,
    /// More than [`limits::ISSUERS`] issuers.
    #[error("more than {} issuers are configured", limits::ISSUERS)]
    TooManyIssuers,
    /// The same issuer twice: which keys are meant would depend on the order.
    #[error("the issuer `{0}` is configured twice")]
    DuplicateIssuer(String),
    /// One issuer's configuration is wrong.
    #[error("issuer `{issuer}`: {problem}")]
    Issuer {
        /// The issuer as configured.
        issuer: String,
        /// What is wrong with it.
        problem: IssuerProblem,
    },
}

/// What is wrong with the configuration of one issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerProblem {
    /// The issuer is empty, too long, or has white space or control characters.
    #[error("the issuer must be 1 to {} bytes without white space", limits::CLAIM_BYTES)]
    Issuer,
    /// There is no audience, or too many, or an empty or too long one. A token for anybody would be one for
    /// everybody.
    #[error(
        "there must be 1 to {} audiences of 1 to {} bytes without control characters",
        limits::AUDIENCES,
        limits::CLAIM_BYTES
    )]
    Audiences,
    /// There is no algorithm.
    #[error("at least one algorithm is needed")]
    NoAlgorithm,
    /// No key of the set verifies any of the algorithms.
    #[error("the key set has no key for any of the algorithms")]
    NoKey,
    /// The clock skew exceeds [`limits::CLOCK_SKEW_SECONDS`].
    #[error("the clock skew must be at most {} seconds", limits::CLOCK_SKEW_SECONDS)]
    ClockSkew,
    /// No `typ` is accepted and an absent one is not either, or an accepted `typ` is empty.
    #[error("`types` must name at least one type, and none that is empty")]
    Types,
}

impl TrustedIssuer {
    /// An issuer with the default clock skew and types.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        audiences: Vec<String>,
        algorithms: Vec<Algorithm>,
        keys: KeySet,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            audiences,
            algorithms,
            keys,
            clock_skew_seconds: 30,
            types: ACCESS_TOKEN_TYPES.map(str::to_owned).to_vec(),
            accept_absent_type: false,
        }
    }

    /// Refuses a `typ` that is not one of this issuer's access tokens (RFC 8725 section 3.11).
    pub(crate) fn check_type(&self, header: &Header) -> Result<(), TokenError> {
        let accepted = match &header.media_type {
            None => self.accept_absent_type,
            Some(media_type) => self.types.iter().any(|accepted| accepted.eq_ignore_ascii_case(media_type)),
        };
        if accepted { Ok(()) } else { Err(TokenError::Type) }
    }

    /// The one key that a token with this header must be signed with.
    pub(crate) fn select_key(&self, header: &Header) -> Result<&PublicKey, TokenError> {
        if !self.algorithms.contains(&header.algorithm) {
            return Err(TokenError::Algorithm);
        }
        self.keys.select(header.key_id.as_deref(), header.algorithm)
    }

    fn problem(&self) -> Option<IssuerProblem> {
        let is_text = |text: &String| {
            !text.is_empty() && text.len() <= limits::CLAIM_BYTES && !text.contains(char::is_control)
        };
        if !is_text(&self.issuer) || self.issuer.contains(char::is_whitespace) {
            Some(IssuerProblem::Issuer)
        } else if !(1..=limits::AUDIENCES).contains(&self.audiences.len())
            || !self.audiences.iter().all(is_text)
        {
            Some(IssuerProblem::Audiences)
        } else if self.algorithms.is_empty() {
            Some(IssuerProblem::NoAlgorithm)
        } else if !self.algorithms.iter().any(|algorithm| self.keys.verifies(*algorithm)) {
            Some(IssuerProblem::NoKey)
        } else if self.clock_skew_seconds > limits::CLOCK_SKEW_SECONDS {
            Some(IssuerProblem::ClockSkew)
        } else if (self.types.is_empty() && !self.accept_absent_type)
            || self.types.iter().any(String::is_empty)
        {
            Some(IssuerProblem::Types)
        } else {
            None
        }
    }
}

/// Refuses issuers that could not be told apart or that could not be verified safely.
pub(crate) fn check(issuers: &[TrustedIssuer]) -> Result<(), ConfigurationError> {
    if issuers.is_empty() {
        return Err(ConfigurationError::NoIssuer);
    }
    if issuers.len() > limits::ISSUERS {
        return Err(ConfigurationError::TooManyIssuers);
    }
    let mut names = BTreeSet::new();
    for trusted in issuers {
        if let Some(problem) = trusted.problem() {
            return Err(ConfigurationError::Issuer { issuer: trusted.issuer.clone(), problem });
        }
        if !names.insert(&trusted.issuer) {
            return Err(ConfigurationError::DuplicateIssuer(trusted.issuer.clone()));
        }
    }
    Ok(())
}
