//! Who calls: verifies the access token of a request (RFC 6750, RFC 9068) and that its sender has what it is bound to
//! (RFC 9449, RFC 8705), before anything of its body is read, and takes it out of what leaves for the server. Tells
//! clients where to get a token (RFC 9728).
//!
//! The order of checks is that of their cost, except that nothing is said about a token's caller before the sender has
//! shown that the token is theirs.

mod admission;
mod cache;
mod certificate;
mod challenge;
mod configuration;
mod credentials;
mod keys;
mod memory;
mod nonce;
mod possession;
mod refusal;
mod replay;
mod resources;
#[cfg(test)]
mod tests;
mod tokens;
#[cfg(test)]
mod workers;

use std::rc::Rc;

use airlock_jose::{Claims, token_digest};
use airlock_pipeline::{
    CallAnswer, Caller, Denial, Exchange, Headers, Host, Mode, Next, Scheme, Side, Stage, Upkeep, publish,
    rpc,
};

use crate::{
    certificate::Rules,
    challenge::Challenges,
    credentials::Credentials,
    possession::{Possession, Shown},
    refusal::Refusals,
    resources::{Resource, Resources, Target},
    tokens::{Known, Tokens},
};

pub use configuration::{
    CacheConfiguration, Configuration, Denied, DpopConfiguration, IssuerConfiguration, Requirement,
    ResourceConfiguration,
};
pub use memory::Memory;

/// The stage.
#[derive(Debug)]
pub struct TokenValidator {
    resources: Resources,
    tokens: Tokens,
    possession: Possession,
    certificates: Option<Rules>,
    challenges: Challenges,
    mode: Mode,
    forward_token: bool,
}

impl TokenValidator {
    /// Checks the configuration and prepares the keys. What is known of tokens and keys already is in `memory`.
    ///
    /// # Errors
    /// A sentence that names the issuer or key at fault and the remedy.
    pub fn new(configuration: Configuration, memory: &Memory) -> Result<Self, String> {
        let possession = Possession::new(configuration.dpop).map_err(|problem| format!("dpop.{problem}"))?;
        let issuers: Vec<String> =
            configuration.issuers.iter().flat_map(IssuerConfiguration::names).collect();
        let bearer = configuration.issuers.iter().any(|issuer| !matches!(issuer.dpop, Requirement::Required));
        let challenges = Challenges::new(bearer, possession.algorithms());
        let resources = Resources::new(configuration.resources, &issuers, &challenges)?;
        let Configuration { issuers, cache, native_signatures, .. } = configuration;
        let tokens = Tokens::new(issuers, &resources, cache, native_signatures, memory)?;
        Ok(Self {
            resources,
            tokens,
            possession,
            certificates: configuration.client_certificates,
            challenges,
            mode: configuration.mode,
            forward_token: configuration.forward_token,
        })
    }

    /// Finds out who calls, and takes away what only the gateway may see.
    fn authenticate(
        &self,
        headers: &Headers,
        resource: Option<&Resource>,
        exchange: &mut Exchange,
        host: &mut dyn Host,
    ) -> Result<Next, Denial> {
        let refusals = Refusals { challenges: &self.challenges, resource };
        if let Some(rules) = &self.certificates {
            let certificate = host.peer_certificate()?;
            rules.judge(certificate.as_ref()).map_err(|error| refusals.of_certificate(error))?;
        }
        let credentials = Credentials::read(headers).map_err(|error| refusals.of_credentials(error))?;
        let scheme = credentials.scheme;
        let digest = token_digest(credentials.token);
        let known = self.tokens.known(&digest, credentials.token, resource, &mut exchange.wait, host);
        let (verified, issuer) = match known.map_err(|error| refusals.of_token(scheme, error))? {
            Known::Good(verified, issuer) => (verified, issuer),
            Known::Pending => return Ok(Next::Wait),
        };
        let shown = Shown {
            credentials,
            token_digest: &digest,
            method: &exchange.facts.http_method,
            path: &exchange.facts.path,
            resource,
        };
        let native = self.tokens.native_signatures;
        let judged = self.possession.judge(&shown, &verified, issuer, host, native);
        exchange.next_nonce = judged.map_err(|error| refusals.of_possession(scheme, error))?;
        identify(&verified.claims, scheme, exchange, host);
        issuer.admission.judge(&verified.claims).map_err(|refused| refusals.of_admission(scheme, refused))?;
        if self.keeps_credentials() {
            host.remove_header(Side::Request, "authorization")?;
            if headers.contains("dpop") {
                host.remove_header(Side::Request, "dpop")?;
            }
        }
        Ok(Next::On)
    }

    /// Whether what clients authenticate with ends here.
    fn keeps_credentials(&self) -> bool {
        !self.forward_token && self.mode == Mode::Enforce
    }
}

impl Stage for TokenValidator {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn request_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<Next, Denial> {
        exchange.facts.caller = Caller::Anonymous;
        let resource = match self.resources.target(&exchange.facts.host, &exchange.facts.path) {
            Target::Resource(resource) => Some(resource),
            Target::Undescribed => None,
            Target::Metadata(resource) => {
                let described = resource.describe(&exchange.facts.http_method);
                return described.map(Next::Reply).ok_or_else(not_a_page);
            }
            Target::Unknown => {
                let message = "no MCP server is described at this address";
                return Err(Denial::new(404, rpc::DENIED, "resource_unknown", message));
            }
        };
        exchange.facts.resource_metadata = resource.map(|resource| resource.metadata_url.clone());
        // Borrowed for the time of this hook: a copy of all headers would cost as much as finding a remembered token.
        let headers = std::mem::take(&mut exchange.request_headers);
        let outcome = self.authenticate(&headers, resource, exchange, host);
        exchange.request_headers = headers;
        outcome
    }

    fn reads_response_headers(&self) -> bool {
        false
    }

    fn response_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        if self.keeps_credentials() {
            // It is the gateway that clients authenticate to. A challenge of the server behind it could lead them, and
            // what they sign in with, to anybody.
            host.remove_header(Side::Response, "www-authenticate")?;
        }
        match exchange.next_nonce.take() {
            Some(nonce) => Ok(host.set_header(Side::Response, "dpop-nonce", &nonce)?),
            None => Ok(()),
        }
    }

    fn upkeep(&self, host: &mut dyn Host) -> Upkeep {
        self.tokens.upkeep(host)
    }

    fn answered(&self, call: u32, answer: Option<CallAnswer>, host: &mut dyn Host) -> Upkeep {
        self.tokens.answered(call, answer.as_ref(), host)
    }
}

/// Passes on who calls. Whether they may call at all is another question, and its answer is to be on record.
fn identify(claims: &Rc<Claims>, scheme: Scheme, exchange: &mut Exchange, host: &mut dyn Host) {
    publish(host, "subject", &claims.subject);
    if let Some(client) = &claims.client {
        publish(host, "client", client);
    }
    exchange.facts.caller = Caller::Known(Rc::clone(claims));
    exchange.facts.scheme = Some(scheme);
}

/// Metadata can only be read.
fn not_a_page() -> Denial {
    Denial::new(405, rpc::DENIED, "http_method", "the description of a resource can only be read: use GET")
}
