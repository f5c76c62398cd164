use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::confirmation::Confirmation;
use crate::error::TokenError;
use crate::issuer::TrustedIssuer;
use crate::limits;

/// Claims that only ID tokens (OpenID Connect Core section 3.3.2.11, FAPI) and security event tokens
/// (RFC 8417 section 2.2, which logout tokens are) have.
const OTHER_KINDS: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];

/// Payload `typ` by which Keycloak tells its tokens apart, for those that are not access tokens.
const OTHER_PAYLOAD_TYPES: [&str; 4] = ["ID", "Refresh", "Offline", "Logout"];

/// With these, groups are somewhere else (OpenID Connect Core section 5.6.2; Entra does it above 200 groups).
/// A caller whose groups are not known cannot be judged, and an address that a token names is never fetched.
const ELSEWHERE: [&str; 3] = ["_claim_names", "_claim_sources", "hasgroups"];

/// The names of [`crate::ClaimNames`] that errors can tell.
const KNOWN: [&str; 15] = [
    "sub",
    "oid",
    "uid",
    "client_id",
    "azp",
    "cid",
    "appid",
    "scope",
    "scp",
    "groups",
    "roles",
    "tid",
    "jti",
    "uti",
    "upn",
];

/// What a verified token says of its caller. Every string is bounded and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// `iss`, which is one of the configured issuers. A subject means something only together with it.
    pub issuer: String,
    /// Whom the token speaks of, never empty: the first of [`crate::ClaimNames::subject`], `sub` by default.
    pub subject: String,
    /// The first of [`crate::ClaimNames::client`] that is there.
    pub client: Option<String>,
    /// `scope` or `scp`, in the token's order.
    pub scopes: Vec<String>,
    /// `aud`, all of it; one at least is a configured audience, if any is configured.
    pub audience: Vec<String>,
    /// `groups`, or what is configured for it.
    pub groups: Vec<String>,
    /// `roles`, or what is configured for it.
    pub roles: Vec<String>,
    /// `tid`, or what is configured for it.
    #[serde(default)]
    pub tenant: Option<String>,
    /// `exp`, in seconds since 1970, without the clock skew.
    pub expires_at: u64,
    /// `jti`, or what is configured for it.
    pub token_id: Option<String>,
    /// `cnf`: of what possession is still to be proven.
    #[serde(default)]
    pub confirmation: Confirmation,
}

/// A token whose signature verified, and what its issuer's name and header have said of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) members: &'a Map<String, Value>,
    pub(crate) trusted: &'a TrustedIssuer,
    /// `iss`.
    pub(crate) issuer: &'a str,
    /// The tenant in the name of the issuer, if its configuration has a place for one.
    pub(crate) tenant_in_issuer: Option<&'a str>,
    /// Whether `typ` says that it is an access token.
    pub(crate) typed: bool,
}

impl Judged<'_> {
    /// Judges the claims.
    pub(crate) fn claims(self, now_seconds: u64) -> Result<Claims, TokenError> {
        let Self { members, trusted, .. } = self;
        let names = &trusted.claim_names;
        check_kind(members)?;
        let expires_at = check_times(members, trusted.clock_skew_seconds, now_seconds)?;
        let audience = audience(members, &trusted.audiences)?;
        if let Some(name) = ELSEWHERE.iter().find(|name| members.contains_key(**name)) {
            return Err(TokenError::Claims(name));
        }
        let subject = mapped(members, &names.subject, "subject")?;
        let client = mapped(members, &names.client, "client")?;
        // An ID token may have the same `typ`, or none, but is not issued to a client for a resource.
        if !self.typed && client.is_none() {
            return Err(TokenError::Type);
        }
        Ok(Claims {
            issuer: self.issuer.to_owned(),
            subject: subject.ok_or_else(|| missing(&names.subject, "subject"))?,
            client,
            scopes: scopes(members, &names.scope)?,
            audience,
            groups: mapped_list(members, &names.groups, "groups")?,
            roles: mapped_list(members, &names.roles, "roles")?,
            tenant: self.tenant()?,
            expires_at,
            token_id: mapped(members, &names.token_id, "token_id")?,
            confirmation: Confirmation::read(members)?,
        })
    }

    /// The tenant, which must be that of the issuer's name, and one that is trusted.
    fn tenant(self) -> Result<Option<String>, TokenError> {
        let names = &self.trusted.claim_names.tenant;
        let tenant = mapped(self.members, names, "tenant")?;
        let trusted = match (&tenant, self.tenant_in_issuer) {
            (None, None) => self.trusted.tenants.is_empty(),
            (None, Some(_)) => false,
            (Some(tenant), in_issuer) => {
                in_issuer.is_none_or(|in_issuer| in_issuer == tenant)
                    && (self.trusted.tenants.is_empty() || self.trusted.tenants.contains(tenant))
            }
        };
        if trusted { Ok(tenant) } else { Err(missing(names, "tenant")) }
    }
}

fn check_kind(members: &Map<String, Value>) -> Result<(), TokenError> {
    let other_payload_type = members.get("typ").is_some_and(|payload_type| {
        payload_type.as_str().is_none_or(|payload_type| {
            OTHER_PAYLOAD_TYPES.iter().any(|other| other.eq_ignore_ascii_case(payload_type))
        })
    });
    if other_payload_type || OTHER_KINDS.iter().any(|name| members.contains_key(*name)) {
        return Err(TokenError::Type);
    }
    Ok(())
}

/// Checks `exp`, `nbf` and `iat`, and returns `exp`. A token lives before `exp`, not at it (RFC 7519 section
/// 4.1.4).
fn check_times(members: &Map<String, Value>, skew_seconds: u64, now_seconds: u64) -> Result<u64, TokenError> {
    let expires_at = time(members, "exp")?.ok_or(TokenError::Claims("exp"))?;
    let starts = [time(members, "nbf")?, time(members, "iat")?];
    if now_seconds >= expires_at.saturating_add(skew_seconds) {
        return Err(TokenError::Expired);
    }
    if starts.into_iter().flatten().any(|start| start > now_seconds.saturating_add(skew_seconds)) {
        return Err(TokenError::NotYetValid);
    }
    Ok(expires_at)
}

/// A time in whole seconds. RFC 7519 section 2 would allow fractions; no provider sends them, and readers
/// round them differently.
fn time(members: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, TokenError> {
    match members.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_u64()
            .filter(|seconds| *seconds <= limits::TIME)
            .map(Some)
            .ok_or(TokenError::Claims(name)),
    }
}

/// `aud` is a string or an array (RFC 7519 section 4.1.3), compared byte for byte.
fn audience(members: &Map<String, Value>, accepted: &[String]) -> Result<Vec<String>, TokenError> {
    let named = match members.get("aud") {
        None => return Err(TokenError::Claims("aud")),
        Some(Value::String(audience)) if is_text(audience) => vec![audience.clone()],
        Some(value) => list(value, limits::AUDIENCES).ok_or(TokenError::Claims("aud"))?,
    };
    if accepted.is_empty() && !named.is_empty() || named.iter().any(|audience| accepted.contains(audience)) {
        Ok(named)
    } else {
        Err(TokenError::Audience)
    }
}

/// The first of these claims that is there. All are read, so that a malformed one is not hidden by an earlier
/// one.
fn mapped(
    members: &Map<String, Value>,
    names: &[String],
    role: &'static str,
) -> Result<Option<String>, TokenError> {
    let mut first = None;
    for name in names {
        let value = members.get(name).map(|value| text(value).ok_or_else(|| malformed(name, role)));
        first = first.or(value.transpose()?);
    }
    Ok(first)
}

/// The first of these claims that is there, as an array of strings; nothing if none is.
fn mapped_list(
    members: &Map<String, Value>,
    names: &[String],
    role: &'static str,
) -> Result<Vec<String>, TokenError> {
    let mut first = None;
    for name in names {
        let value =
            members.get(name).map(|value| list(value, limits::GROUPS).ok_or_else(|| malformed(name, role)));
        first = first.or(value.transpose()?);
    }
    Ok(first.unwrap_or_default())
}

/// `scope` (RFC 9068 section 2.2.3), `scp` (Okta, Entra), or what is configured. Where several are there they
/// must agree: two lists of rights are one too many.
fn scopes(members: &Map<String, Value>, names: &[String]) -> Result<Vec<String>, TokenError> {
    let mut first: Option<Vec<String>> = None;
    for name in names {
        let Some(value) = members.get(name) else { continue };
        let scopes = scope_list(value).ok_or_else(|| malformed(name, "scope"))?;
        if first.as_ref().is_some_and(|first| *first != scopes) {
            return Err(malformed(name, "scope"));
        }
        first = Some(scopes);
    }
    Ok(first.unwrap_or_default())
}

fn scope_list(value: &Value) -> Option<Vec<String>> {
    let scopes: Vec<String> = match value {
        // Some providers write an empty string where there is no scope.
        Value::String(list) if list.is_empty() => Vec::new(),
        Value::String(list) => {
            list.split(' ').take(limits::SCOPES.saturating_add(1)).map(str::to_owned).collect()
        }
        value => list(value, limits::SCOPES)?,
    };
    (scopes.len() <= limits::SCOPES && scopes.iter().all(|scope| is_scope(scope))).then_some(scopes)
}

/// `scope-token` of RFC 6749 section 3.3. White space in one would make two of it in the next reader.
fn is_scope(scope: &str) -> bool {
    is_text(scope) && scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

/// The error for a claim that is not there under any of its names.
fn missing(names: &[String], role: &'static str) -> TokenError {
    malformed(names.first().map_or(role, String::as_str), role)
}

/// The error for this claim. An error holds nothing of a token and is copied freely, so that a name that only
/// the configuration knows is replaced with its role.
fn malformed(name: &str, role: &'static str) -> TokenError {
    TokenError::Claims(KNOWN.into_iter().find(|known| *known == name).unwrap_or(role))
}

fn list(value: &Value, most: usize) -> Option<Vec<String>> {
    value.as_array().filter(|items| items.len() <= most)?.iter().map(text).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| is_text(text)).map(str::to_owned)
}

/// Claims end up in headers, logs and receipts: no control characters, and an end.
fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::CLAIM_BYTES && !text.contains(char::is_control)
}
