use airlock_jose::{Algorithm, ClaimNames, Profile};
use airlock_mcp::origin::HostPattern;
use airlock_pipeline::Mode;
use serde::Deserialize;
use serde_json::Value;

use crate::{certificate, nonce};

/// Configuration of the stage.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Whether a call without a credible token is refused, or only recorded.
    #[serde(default)]
    pub mode: Mode,
    /// The MCP servers behind this gateway as clients know them. Without any, the gateway describes none, and every
    /// issuer must name its audiences.
    #[serde(default)]
    pub resources: Vec<ResourceConfiguration>,
    /// Who may issue tokens; at least one.
    pub issuers: Vec<IssuerConfiguration>,
    /// How proofs of possession are judged (RFC 9449).
    #[serde(default)]
    pub dpop: DpopConfiguration,
    /// Which client certificates may connect at all. Without rules, certificates matter only to the tokens that are
    /// bound to them.
    #[serde(default)]
    pub client_certificates: Option<certificate::Rules>,
    /// How many verified tokens a worker remembers.
    #[serde(default)]
    pub cache: CacheConfiguration,
    /// Whether the client's token goes on to the server. MCP forbids it unless the server is its audience too.
    #[serde(default)]
    pub forward_token: bool,
    /// Whether RSA and ECDSA signatures are left to the proxy where it can verify them, which costs a twentieth.
    #[serde(default = "yes")]
    pub native_signatures: bool,
}

/// One MCP server as a protected resource (RFC 9728).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceConfiguration {
    /// The resource identifier: the URL that clients use for this server, such as `https://mcp.example.com/notes`.
    /// Everything under its path belongs to it. Proofs of possession must name it, whatever the proxy in front did.
    pub resource: String,
    /// Other names under which requests for it arrive here, on every port or on one.
    #[serde(default)]
    pub hosts: Vec<HostPattern>,
    /// Values of `aud` of which a token must name one, compared exactly; without any, the identifier itself.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Where clients get tokens; without any, the issuers.
    #[serde(default)]
    pub authorization_servers: Vec<String>,
    /// Scopes that the metadata lists.
    #[serde(default)]
    pub scopes_supported: Vec<String>,
    /// Scopes that a client without a token is told to ask for; without any, those of `scopes_supported`.
    #[serde(default)]
    pub challenge_scopes: Vec<String>,
    /// Name for people.
    #[serde(default)]
    pub resource_name: Option<String>,
    /// URL of a page for developers.
    #[serde(default)]
    pub resource_documentation: Option<String>,
}

/// One issuer that is trusted. Its keys are either here (`jwks`) or fetched (`cluster`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfiguration {
    /// Value of `iss`, compared exactly. It may hold `{tenant}` once, for the tenants listed.
    pub issuer: String,
    /// What kind of provider it is: the defaults of `algorithms`, `types` and `claims`.
    #[serde(default)]
    pub profile: Profile,
    /// Values of `aud` that this issuer may write, compared exactly. Without any, those of the resource.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Signature algorithms that this issuer uses.
    #[serde(default)]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Accepted `typ` of its tokens.
    #[serde(default)]
    pub types: Option<Vec<String>>,
    /// Whether a token without `typ` is accepted.
    #[serde(default)]
    pub accept_absent_type: Option<bool>,
    /// Tenants whose tokens are accepted; without any, all.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Claims by which this issuer says what counts, where they are not those of its profile.
    #[serde(default)]
    pub claims: ClaimsConfiguration,
    /// How far the issuer's clock may be off, seconds.
    #[serde(default = "default_clock_skew_seconds")]
    pub clock_skew_seconds: u64,
    /// The issuer's public keys (RFC 7517).
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Cluster of the proxy through which its keys are fetched.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Where its keys are; without it, the issuer's own metadata says so.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Where that metadata is; without it, at the places of RFC 8414 and OpenID Connect Discovery.
    #[serde(default)]
    pub discovery_uri: Option<String>,
    /// Seconds after which keys are fetched again.
    #[serde(default = "default_refresh_seconds")]
    pub refresh_seconds: u32,
    /// Shortest time between fetches that unknown key ids bring about, seconds.
    #[serde(default = "default_unknown_key_seconds")]
    pub unknown_key_seconds: u32,
    /// Seconds for which keys are used while the issuer cannot be reached.
    #[serde(default = "default_keep_seconds")]
    pub keep_seconds: u32,
    /// Milliseconds that a fetch may take, and that a request waits for it.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// Whether its tokens must be bound to a key of the client (RFC 9449).
    #[serde(default)]
    pub dpop: Requirement,
    /// Whether its tokens must be bound to a certificate of the client (RFC 8705).
    #[serde(default)]
    pub mtls: Requirement,
    /// Clients that may call; without any, all.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Groups of which a caller must be in every one.
    #[serde(default)]
    pub required_groups: Vec<String>,
    /// Groups of which a caller must be in one; without any, all may call.
    #[serde(default)]
    pub allowed_groups: Vec<String>,
    /// What is refused although it is valid. It takes effect with the next request, for remembered tokens too.
    #[serde(default)]
    pub denied: Denied,
}

impl IssuerConfiguration {
    /// Every `iss` that it goes by.
    pub(crate) fn names(&self) -> Vec<String> {
        const TENANT: &str = "{tenant}";
        if self.issuer.contains(TENANT) {
            self.tenants.iter().map(|tenant| self.issuer.replace(TENANT, tenant)).collect()
        } else {
            vec![self.issuer.clone()]
        }
    }
}

/// Names of claims. Of each list the first that is present counts; without a list, that of the profile holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimsConfiguration {
    /// Whom the token speaks of.
    pub subject: Option<Vec<String>>,
    /// The client that acts for them.
    pub client: Option<Vec<String>>,
    /// Scopes.
    pub scope: Option<Vec<String>>,
    /// Groups.
    pub groups: Option<Vec<String>>,
    /// Roles.
    pub roles: Option<Vec<String>>,
    /// The tenant.
    pub tenant: Option<Vec<String>>,
    /// The token's own id.
    pub token_id: Option<Vec<String>>,
}

impl ClaimsConfiguration {
    /// These names, and for the rest those of a profile.
    pub(crate) fn over(self, profile: ClaimNames) -> ClaimNames {
        ClaimNames {
            subject: self.subject.unwrap_or(profile.subject),
            client: self.client.unwrap_or(profile.client),
            scope: self.scope.unwrap_or(profile.scope),
            groups: self.groups.unwrap_or(profile.groups),
            roles: self.roles.unwrap_or(profile.roles),
            tenant: self.tenant.unwrap_or(profile.tenant),
            token_id: self.token_id.unwrap_or(profile.token_id),
        }
    }
}

/// Whether tokens must be bound to something that only their client has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// Bound tokens need their proof, others do without.
    #[default]
    Optional,
    /// Tokens that are not bound are refused.
    Required,
    /// Tokens that are not bound are refused if they carry one of these scopes.
    Scopes(Vec<String>),
}

/// Tokens that are refused although they are valid.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Denied {
    /// Values of `jti`.
    pub token_ids: Vec<String>,
    /// Values of the subject.
    pub subjects: Vec<String>,
    /// Values of the client.
    pub clients: Vec<String>,
}

/// How proofs of possession are judged.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpopConfiguration {
    /// Algorithms that proofs may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// How far `iat` of a proof may be off in either direction, seconds (SEP-1932: 5 minutes).
    pub window_seconds: u64,
    /// Proofs that are remembered at most, by all workers together, 16 bytes each.
    pub replay_entries: u32,
    /// Nonces that proofs must have (RFC 9449 section 9).
    pub nonce: nonce::Configuration,
}

impl Default for DpopConfiguration {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256],
            window_seconds: 300,
            replay_entries: 1 << 20,
            nonce: nonce::Configuration::default(),
        }
    }
}

/// How many verified tokens a worker remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfiguration {
    /// Tokens; 0 verifies every token every time.
    pub entries: usize,
    /// Bytes of these tokens together.
    pub bytes: usize,
}

impl Default for CacheConfiguration {
    fn default() -> Self {
        Self { entries: 4_096, bytes: 8 << 20 }
    }
}

fn yes() -> bool {
    true
}

fn default_clock_skew_seconds() -> u64 {
    30
}

fn default_refresh_seconds() -> u32 {
    300
}

fn default_unknown_key_seconds() -> u32 {
    5
}

fn default_keep_seconds() -> u32 {
    86_400
}

fn default_timeout_ms() -> u32 {
    5_000
}
