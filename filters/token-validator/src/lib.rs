//! Who calls: verifies the access token of a request (RFC 6750, RFC 9068) before anything of its body is read, and
//! takes it out of what leaves for the server.

#[cfg(test)]
mod tests;

use airlock_jose::{Algorithm, Claims, KeySet, TrustedIssuer, Verifier};
use airlock_pipeline::{Caller, Denial, Exchange, Host, Mode, Next, Side, Stage, publish, rpc};
use serde::Deserialize;
use serde_json::Value;

/// Configuration of the stage.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Whether a call without a credible token is refused, or only recorded.
    #[serde(default)]
    pub mode: Mode,
    /// Who may issue tokens; at least one.
    pub issuers: Vec<Issuer>,
    /// Whether the client's token goes on to the server. MCP forbids it unless the server is its audience too.
    #[serde(default)]
    pub forward_token: bool,
    /// URL of the protected-resource metadata (RFC 9728) that challenges point to.
    #[serde(default)]
    pub resource_metadata: Option<String>,
}

/// One issuer that is trusted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Value of `iss`, compared exactly.
    pub issuer: String,
    /// Values of `aud` of which a token must name one, compared exactly.
    pub audiences: Vec<String>,
    /// Signature algorithms that this issuer uses.
    pub algorithms: Vec<Algorithm>,
    /// The issuer's public keys (RFC 7517).
    pub jwks: Value,
    /// How far the issuer's clock may be off, seconds.
    #[serde(default = "default_clock_skew_seconds")]
    pub clock_skew_seconds: u64,
}

fn default_clock_skew_seconds() -> u64 {
    30
}

/// The stage.
pub struct TokenValidator {
    verifier: Verifier,
    mode: Mode,
    forward_token: bool,
    resource_metadata: Option<String>,
}

impl TokenValidator {
    /// Checks the configuration and prepares the keys.
    ///
    /// # Errors
    /// A sentence that names the issuer or key at fault and the remedy.
    pub fn new(configuration: Configuration) -> Result<Self, String> {
        let mut issuers = Vec::with_capacity(configuration.issuers.len());
        for (index, issuer) in configuration.issuers.into_iter().enumerate() {
            let keys =
                KeySet::parse(&issuer.jwks).map_err(|error| format!("issuers[{index}].jwks: {error}"))?;
            issuers.push(TrustedIssuer {
                clock_skew_seconds: issuer.clock_skew_seconds,
                ..TrustedIssuer::new(issuer.issuer, issuer.audiences, issuer.algorithms, keys)
            });
        }
        let quoted =
            |url: &String| url.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\'));
        if configuration.resource_metadata.as_ref().is_some_and(quoted) {
            return Err("resource_metadata: must be a URL without spaces and quotes".to_owned());
        }
        Ok(Self {
            verifier: Verifier::new(issuers).map_err(|error| error.to_string())?,
            mode: configuration.mode,
            forward_token: configuration.forward_token,
            resource_metadata: configuration.resource_metadata,
        })
    }

    fn authenticate(&self, exchange: &Exchange, now_seconds: u64) -> Result<Claims, Denial> {
        let header = exchange.request_headers.one("authorization").map_err(|_| {
            self.refused("token_repeated", "the header `authorization` may be sent only once")
        })?;
        let Some(header) = header else {
            let message = "this gateway needs an access token: `authorization: Bearer …`";
            return Err(self.unauthenticated("token_missing", message, Vec::new()));
        };
        let Some(token) = bearer(header) else {
            let message = "the `authorization` header must use the Bearer scheme";
            return Err(self.unauthenticated("token_scheme", message, Vec::new()));
        };
        self.verifier
            .verify(token, now_seconds)
            .map_err(|error| self.refused(error.reason(), &error.to_string()))
    }

    /// A token was sent and is none.
    fn refused(&self, reason: &'static str, problem: &str) -> Denial {
        let parameters = vec![
            "error=\"invalid_token\"".to_owned(),
            format!("error_description=\"{}\"", problem.replace(['"', '\\'], "'")),
        ];
        self.unauthenticated(reason, problem, parameters)
    }

    /// A 401 with its challenge (RFC 6750 section 3). Its `parameters` say nothing of an error when no bearer token was
    /// sent (section 3.1).
    fn unauthenticated(&self, reason: &'static str, message: &str, mut parameters: Vec<String>) -> Denial {
        if let Some(url) = &self.resource_metadata {
            parameters.push(format!("resource_metadata=\"{url}\""));
        }
        let challenge = format!("Bearer {}", parameters.join(", "));
        Denial {
            headers: vec![("www-authenticate", challenge.trim_end().to_owned())],
            ..Denial::new(401, rpc::UNAUTHENTICATED, reason, message)
        }
    }
}

impl Stage for TokenValidator {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn request_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<Next, Denial> {
        exchange.facts.caller = Caller::Anonymous;
        let claims = self.authenticate(exchange, host.now_micros() / 1_000_000)?;
        publish(host, "subject", &claims.subject);
        if let Some(client) = &claims.client {
            publish(host, "client", client);
        }
        exchange.facts.caller = Caller::Known(claims.into());
        if !self.forward_token && self.mode == Mode::Enforce {
            host.remove_header(Side::Request, "authorization")?;
        }
        Ok(Next::On)
    }
}

/// The token of `Bearer <token>`; the scheme is compared without regard to case (RFC 9110 section 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}
