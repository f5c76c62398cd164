//! What a client is told when it has not shown who it is (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section
//! 5.1).
//!
//! The clients of the official SDKs search the joined lines for the first `resource_metadata=`, `scope=` and `error=`,
//! and the older of them only if the first scheme is Bearer: so Bearer comes first wherever it is accepted at all, and
//! only one line names an error.

use airlock_jose::Algorithm;
use airlock_pipeline::{Denial, Scheme, rpc};

use crate::resources::Resource;

/// The schemes that are offered.
#[derive(Debug)]
pub(crate) struct Challenges {
    /// Whether some issuer's tokens are good without a proof.
    bearer: bool,
    /// Algorithms of proofs.
    algorithms: Vec<Algorithm>,
}

/// An error of RFC 6750 section 3.1 or RFC 9449 section 7.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Error<'a> {
    /// The scheme whose challenge names it.
    pub(crate) scheme: Scheme,
    /// Its registered name.
    pub(crate) name: &'static str,
    /// Our stable reason code.
    pub(crate) reason: &'static str,
    /// A sentence for developers.
    pub(crate) description: &'a str,
}

impl Challenges {
    pub(crate) fn new(bearer: bool, algorithms: &[Algorithm]) -> Self {
        Self { bearer, algorithms: algorithms.to_vec() }
    }

    /// Whether some issuer's tokens are good without a proof.
    pub(crate) fn accept_bearer(&self) -> bool {
        self.bearer
    }

    /// Algorithms of proofs.
    pub(crate) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// A 401 for a request without anything that could be judged: no error is named then (RFC 6750 section 3.1).
    pub(crate) fn absent(&self, resource: Option<&Resource>, reason: &'static str, message: &str) -> Denial {
        self.denial(resource, reason, message, None)
    }

    /// A 401 for credentials that are not good.
    pub(crate) fn refused(&self, resource: Option<&Resource>, error: Error<'_>) -> Denial {
        self.denial(resource, error.reason, error.description, Some(error))
    }

    fn denial(
        &self,
        resource: Option<&Resource>,
        reason: &'static str,
        message: &str,
        error: Option<Error<'_>>,
    ) -> Denial {
        let bearer = (Scheme::Bearer, self.bearer);
        let lines = [bearer, (Scheme::Dpop, true)]
            .into_iter()
            .filter(|(_, offered)| *offered)
            .map(|(scheme, _)| ("www-authenticate", self.line(scheme, resource, error)));
        Denial { headers: lines.collect(), ..Denial::new(401, rpc::UNAUTHENTICATED, reason, message) }
    }

    fn line(&self, scheme: Scheme, resource: Option<&Resource>, error: Option<Error<'_>>) -> String {
        let mut parameters = Vec::new();
        if let Some(resource) = resource {
            parameters.push(("resource_metadata", resource.metadata_url.clone()));
            if !resource.challenge_scopes.is_empty() {
                parameters.push(("scope", resource.challenge_scopes.clone()));
            }
        }
        let is_the_only_line = !self.bearer;
        if let Some(error) = error.filter(|error| error.scheme == scheme || is_the_only_line) {
            parameters.push(("error", error.name.to_owned()));
            let description = error.description.replace(['"', '\\', '`'], "'");
            parameters.push(("error_description", format!("{description} ({})", error.reason)));
        }
        if scheme == Scheme::Dpop {
            let names: Vec<&str> = self.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            parameters.push(("algs", names.join(" ")));
        }
        let parameters: Vec<String> =
            parameters.into_iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        format!("{} {}", scheme.name(), parameters.join(", ")).trim_end().to_owned()
    }
}
