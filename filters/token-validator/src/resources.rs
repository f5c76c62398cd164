//! The MCP servers behind this gateway as protected resources (RFC 9728): which of them a request is for, and what
//! clients are told about each.

use airlock_jose::dpop::TargetUri;
use airlock_mcp::origin::HostPattern;
use airlock_pipeline::Reply;
use serde_json::{Map, Value, json};

use crate::{challenge::Challenges, configuration::ResourceConfiguration};

/// Where metadata is found (RFC 9728 section 3): the path of the resource follows.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Seconds for which clients may keep metadata.
const METADATA_AGE_SECONDS: u32 = 300;

/// All of them.
#[derive(Debug)]
pub(crate) struct Resources(Vec<Resource>);

/// One MCP server.
#[derive(Debug)]
pub(crate) struct Resource {
    /// As clients know it.
    pub(crate) identifier: String,
    /// `https://mcp.example.com`: what the paths of proofs are joined to.
    origin: String,
    /// The `:authority` of the identifier.
    authority: String,
    /// Other names under which it is reached here.
    hosts: Vec<HostPattern>,
    /// `/notes`, or empty for a whole host.
    path: String,
    /// Values of `aud` of which a token must name one.
    pub(crate) audiences: Vec<String>,
    /// Where its metadata is, for challenges.
    pub(crate) metadata_url: String,
    /// Scopes for a client without a token, separated by spaces.
    pub(crate) challenge_scopes: String,
    metadata: Vec<u8>,
}

/// What a request is for.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// The description of a resource.
    Metadata(&'a Resource),
    /// A resource itself.
    Resource(&'a Resource),
    /// Something at a gateway that describes nothing.
    Undescribed,
    /// Nothing that is here.
    Unknown,
}

impl Resources {
    /// Checks the configuration; `issuers` are the authorization servers of resources that name none.
    pub(crate) fn new(
        configured: Vec<ResourceConfiguration>,
        issuers: &[String],
        challenges: &Challenges,
    ) -> Result<Self, String> {
        let mut resources = Vec::with_capacity(configured.len());
        for (index, resource) in configured.into_iter().enumerate() {
            let resource = Resource::new(resource, issuers, challenges)
                .map_err(|problem| format!("resources[{index}].{problem}"))?;
            resources.push(resource);
        }
        for (index, resource) in resources.iter().enumerate() {
            let shared = |other: &Resource| {
                other.path == resource.path
                    && (other.serves(&resource.authority)
                        || resource.serves(&other.authority)
                        || other.hosts.iter().any(|host| resource.hosts.contains(host)))
            };
            if resources.iter().take(index).any(shared) {
                return Err(format!(
                    "resources[{index}].resource: an earlier resource has the same host and path"
                ));
            }
        }
        Ok(Self(resources))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// What a request with this `:authority` and this path without query is for. Where several resources fit, the one
    /// with the longest path.
    pub(crate) fn target(&self, authority: &str, path: &str) -> Target<'_> {
        if self.0.is_empty() {
            return Target::Undescribed;
        }
        let authority = canonical_authority(authority);
        let here = || self.0.iter().filter(|resource| resource.serves(&authority));
        if let Some(described) = path.strip_prefix(WELL_KNOWN) {
            let exact = here().find(|resource| resource.path == described.trim_end_matches('/'));
            let mut all = here();
            // A host with one resource describes it at the root as well: that is where clients look last.
            let only = match (all.next(), all.next(), described) {
                (only, None, "" | "/") => only,
                _ => None,
            };
            return exact.or(only).map_or(Target::Unknown, Target::Metadata);
        }
        here()
            .filter(|resource| resource.covers(path))
            .max_by_key(|resource| resource.path.len())
            .map_or(Target::Unknown, Target::Resource)
    }
}

impl Resource {
    fn new(
        configured: ResourceConfiguration,
        issuers: &[String],
        challenges: &Challenges,
    ) -> Result<Self, String> {
        let problem = "resource: must be `https://host[:port][/path]`, in normal form, without a query and a slash at \
                       the end; `http` only for this machine (RFC 9728 section 1.2)";
        let Identifier { origin, authority, path } =
            Identifier::parse(&configured.resource).ok_or_else(|| problem.to_owned())?;
        let authorization_servers = if configured.authorization_servers.is_empty() {
            issuers
        } else {
            &configured.authorization_servers
        };
        if let Some(server) = authorization_servers.iter().find(|server| !is_url(server)) {
            return Err(format!(
                "authorization_servers: `{server}` is no URL: name the authorization servers here"
            ));
        }
        let scopes = [&configured.scopes_supported, &configured.challenge_scopes];
        if let Some(scope) = scopes.into_iter().flatten().find(|scope| !is_scope(scope)) {
            return Err(format!(
                "scopes_supported: `{}` is no scope (RFC 6749 section 3.3)",
                scope.escape_debug()
            ));
        }
        let challenged = if configured.challenge_scopes.is_empty() {
            &configured.scopes_supported
        } else {
            &configured.challenge_scopes
        };
        let challenge_scopes = challenged.join(" ");
        Ok(Self {
            identifier: configured.resource.clone(),
            metadata_url: format!("{origin}{WELL_KNOWN}{path}"),
            authority,
            hosts: configured.hosts.clone(),
            audiences: audiences(&configured),
            challenge_scopes,
            metadata: metadata(&configured, authorization_servers, challenges),
            origin,
            path,
        })
    }

    /// Whether requests with this `:authority`, in canonical form, can be for this resource.
    fn serves(&self, authority: &str) -> bool {
        self.authority == authority || self.hosts.iter().any(|host| host.matches(authority))
    }

    /// Whether a path is that of this resource, or under it.
    fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What a proof for this path must name as its `htu`.
    pub(crate) fn target_uri(&self, path: &str) -> Option<TargetUri> {
        TargetUri::parse(&format!("{}{path}", self.origin))
    }

    /// The answer to a request for the metadata. Anybody may read it, from web pages too.
    pub(crate) fn describe(&self, method: &str) -> Option<Reply> {
        let (status, body) = match method {
            "GET" | "HEAD" => (200, self.metadata.clone()),
            "OPTIONS" => (204, Vec::new()),
            _ => return None,
        };
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", format!("public, max-age={METADATA_AGE_SECONDS}")),
            ("access-control-allow-origin", "*".to_owned()),
            ("access-control-allow-methods", "GET, HEAD, OPTIONS".to_owned()),
            ("access-control-allow-headers", "*".to_owned()),
        ];
        Some(Reply { status, headers, body, reason: "resource_metadata" })
    }
}

/// What tokens for a resource name as their audience. An identifier without a path also comes back from URL libraries
/// with a slash at its end, and in the tokens that were asked for with it.
fn audiences(configured: &ResourceConfiguration) -> Vec<String> {
    if !configured.audiences.is_empty() {
        return configured.audiences.clone();
    }
    let identifier = &configured.resource;
    let is_whole_host = identifier.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    let with_slash = is_whole_host.then(|| format!("{identifier}/"));
    std::iter::once(identifier.clone()).chain(with_slash).collect()
}

/// The document of RFC 9728 section 2.
fn metadata(
    configured: &ResourceConfiguration,
    authorization_servers: &[String],
    challenges: &Challenges,
) -> Vec<u8> {
    let mut document = Map::new();
    document.insert("resource".to_owned(), json!(configured.resource));
    document.insert("authorization_servers".to_owned(), json!(authorization_servers));
    document.insert("bearer_methods_supported".to_owned(), json!(["header"]));
    document.insert("dpop_signing_alg_values_supported".to_owned(), json!(challenges.algorithms()));
    document.insert("dpop_bound_access_tokens_required".to_owned(), json!(!challenges.accept_bearer()));
    if !configured.scopes_supported.is_empty() {
        document.insert("scopes_supported".to_owned(), json!(configured.scopes_supported));
    }
    let texts = [
        ("resource_name", &configured.resource_name),
        ("resource_documentation", &configured.resource_documentation),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            document.insert(name.to_owned(), json!(text));
        }
    }
    Value::Object(document).to_string().into_bytes()
}

/// The parts of a resource identifier.
struct Identifier {
    origin: String,
    authority: String,
    path: String,
}

impl Identifier {
    /// Takes an identifier apart; `None` if it is not in the one form that all readers compare equal.
    fn parse(identifier: &str) -> Option<Self> {
        let normal = TargetUri::parse(identifier)?;
        let (scheme, rest) = identifier.split_once("://")?;
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
        // An empty path is normalised to a slash, which an identifier does not have.
        let same =
            normal.as_str() == identifier || (path.is_empty() && normal.as_str() == format!("{identifier}/"));
        let secure = scheme == "https" || is_this_machine(authority);
        (same && secure && !path.ends_with('/')).then(|| Self {
            origin: format!("{scheme}://{authority}"),
            authority: authority.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// Names of the machine itself, where there is no network to listen on.
fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// In lower case and without the default port, as identifiers are written.
fn canonical_authority(authority: &str) -> String {
    let authority = authority.to_ascii_lowercase();
    let stripped = authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80"));
    stripped.unwrap_or(&authority).to_owned()
}

fn is_url(url: &str) -> bool {
    TargetUri::parse(url).is_some()
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// `scope-token` of RFC 6749 section 3.3, which needs no escaping in a challenge.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}
