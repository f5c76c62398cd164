use std::collections::BTreeMap;

use crate::algorithm::Algorithm;
use crate::error::TokenError;
use crate::header::Header;
use crate::limits;
use crate::profile::{ClaimNames, Profile};

/// Stands for a tenant in the name of an issuer.
const TENANT: &str = "{tenant}";

/// An issuer whose access tokens are accepted, and how. Its keys come with each verification.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// What `iss` must be, byte for byte: no trailing slash is added or taken, no case is folded.
    ///
    /// Where it has `{tenant}`, `iss` must have one of [`TrustedIssuer::tenants`], and the claim for the tenant
    /// must be the same.
    pub issuer: String,
    /// The names of this resource. A token must be for one of them, byte for byte. If there are none, any
    /// audience is accepted, and whoever calls must judge [`crate::Claims::audience`].
    pub audiences: Vec<String>,
    /// The algorithms that the issuer signs access tokens with.
    pub algorithms: Vec<Algorithm>,
    /// By how many seconds the issuer's clock may be off, at most [`limits::CLOCK_SKEW_SECONDS`]. Default 30.
    pub clock_skew_seconds: u64,
    /// The accepted `typ`, compared without regard to ASCII case. Default `at+jwt` and `application/at+jwt`.
    ///
    /// Providers that write `JWT` also write it into ID tokens. Therefore a token of another `typ` than the
    /// default ones must name the client that it was issued to.
    pub types: Vec<String>,
    /// Whether a token without `typ` is accepted; some providers, such as Okta, write none. Default false.
    pub accept_absent_type: bool,
    /// The tenants whose tokens are accepted. If there are none, the claim does not matter.
    pub tenants: Vec<String>,
    /// Where the tokens say what.
    pub claim_names: ClaimNames,
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
    /// There are too many audiences, or an empty or too long one.
    #[error(
        "there must be at most {} audiences of 1 to {} bytes without control characters",
        limits::AUDIENCES,
        limits::CLAIM_BYTES
    )]
    Audiences,
    /// `{tenant}` is there twice or without tenants, or there are too many tenants, or a malformed one, or no
    /// claim to find them in.
    #[error(
        "`{{tenant}}` may be there once and needs `tenants`, at most {} of letters, digits, `.`, `_` and `-`, and a claim",
        limits::TENANTS
    )]
    Tenants,
    /// There is no claim for the subject, or too many names for something, or an empty or too long one.
    #[error(
        "claim names must be at most {} each, none of them empty, and one at least for the subject",
        limits::CLAIM_NAMES
    )]
    ClaimNames,
    /// There is no algorithm.
    #[error("at least one algorithm is needed")]
    NoAlgorithm,
    /// The clock skew exceeds [`limits::CLOCK_SKEW_SECONDS`].
    #[error("the clock skew must be at most {} seconds", limits::CLOCK_SKEW_SECONDS)]
    ClockSkew,
    /// No `typ` is accepted and an absent one is not either, or an accepted `typ` is empty.
    #[error("`types` must name at least one type, and none that is empty")]
    Types,
}

impl TrustedIssuer {
    /// An issuer with the default clock skew, of tokens as RFC 9068 has them.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audiences: Vec<String>, algorithms: Vec<Algorithm>) -> Self {
        let profile = Profile::Rfc9068;
        Self {
            issuer: issuer.into(),
            audiences,
            algorithms,
            clock_skew_seconds: 30,
            types: profile.types(),
            accept_absent_type: profile.accepts_absent_type(),
            tenants: Vec::new(),
            claim_names: profile.claim_names(),
        }
    }

    /// With types and claim names of this profile, and with its algorithms if there are none yet.
    #[must_use]
    pub fn with_profile(self, profile: Profile) -> Self {
        let algorithms = if self.algorithms.is_empty() { profile.algorithms() } else { self.algorithms };
        Self {
            algorithms,
            types: profile.types(),
            accept_absent_type: profile.accepts_absent_type(),
            claim_names: profile.claim_names(),
            ..self
        }
    }

    /// Refuses a `typ` that is not one of this issuer's access tokens (RFC 8725 section 3.11), and an algorithm
    /// that is not one of its own.
    pub(crate) fn check_header(&self, header: &Header) -> Result<(), TokenError> {
        let accepted = match &header.media_type {
            None => self.accept_absent_type,
            Some(media_type) => self.types.iter().any(|accepted| accepted.eq_ignore_ascii_case(media_type)),
        };
        if !accepted {
            Err(TokenError::Type)
        } else if self.algorithms.contains(&header.algorithm) {
            Ok(())
        } else {
            Err(TokenError::Algorithm)
        }
    }

    /// Every `iss` that this issuer goes by, and the tenant in it.
    pub(crate) fn names(&self) -> Vec<(String, Option<String>)> {
        match self.issuer.split_once(TENANT) {
            None => vec![(self.issuer.clone(), None)],
            Some((before, after)) => {
                let name = |tenant: &String| (format!("{before}{tenant}{after}"), Some(tenant.clone()));
                self.tenants.iter().map(name).collect()
            }
        }
    }

    fn problem(&self) -> Option<IssuerProblem> {
        let is_text = |text: &String| {
            !text.is_empty() && text.len() <= limits::CLAIM_BYTES && !text.contains(char::is_control)
        };
        if !is_text(&self.issuer) || self.issuer.contains(char::is_whitespace) {
            Some(IssuerProblem::Issuer)
        } else if self.audiences.len() > limits::AUDIENCES || !self.audiences.iter().all(is_text) {
            Some(IssuerProblem::Audiences)
        } else if !self.tenants_are_sound() {
            Some(IssuerProblem::Tenants)
        } else if self.claim_names.subject.is_empty()
            || self.claim_names.lists().iter().any(|names| names.len() > limits::CLAIM_NAMES)
            || !self.claim_names.lists().into_iter().flatten().all(is_text)
        {
            Some(IssuerProblem::ClaimNames)
        } else if self.algorithms.is_empty() {
            Some(IssuerProblem::NoAlgorithm)
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

    fn tenants_are_sound(&self) -> bool {
        let is_tenant = |tenant: &String| {
            (1..=limits::TENANT_BYTES).contains(&tenant.len())
                && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let places = self.issuer.matches(TENANT).count();
        self.tenants.len() <= limits::TENANTS
            && self.tenants.iter().all(is_tenant)
            && (self.tenants.is_empty() || !self.claim_names.tenant.is_empty())
            && (places == 0 || (places == 1 && !self.tenants.is_empty()))
    }
}

/// Checks the issuers, and returns the index and the tenant of every `iss` that they go by. None may be that of
/// two: which keys are meant would depend on the order.
pub(crate) fn check(
    issuers: &[TrustedIssuer],
) -> Result<BTreeMap<String, (usize, Option<String>)>, ConfigurationError> {
    if issuers.is_empty() {
        return Err(ConfigurationError::NoIssuer);
    }
    if issuers.len() > limits::ISSUERS {
        return Err(ConfigurationError::TooManyIssuers);
    }
    let mut names = BTreeMap::new();
    for (index, trusted) in issuers.iter().enumerate() {
        if let Some(problem) = trusted.problem() {
            return Err(ConfigurationError::Issuer { issuer: trusted.issuer.clone(), problem });
        }
        for (name, tenant) in trusted.names() {
            if names.insert(name.clone(), (index, tenant)).is_some() {
                return Err(ConfigurationError::DuplicateIssuer(name));
            }
        }
    }
    Ok(names)
}
