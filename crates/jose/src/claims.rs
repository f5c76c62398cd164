use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::TokenError;
use crate::issuer::TrustedIssuer;
use crate::limits;

/// The client that a token was issued to, by the names that providers use: RFC 9068, OpenID Connect, Okta,
/// Entra.
const CLIENT: [&str; 4] = ["client_id", "azp", "cid", "appid"];

/// Claims that only ID tokens (OpenID Connect Core section 3.3.2.11, FAPI) and security event tokens
/// (RFC 8417 section 2.2, which logout tokens are) have.
const OTHER_KINDS: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];

/// Payload `typ` by which Keycloak tells its tokens apart, for those that are not access tokens.
const OTHER_PAYLOAD_TYPES: [&str; 4] = ["ID", "Refresh", "Offline", "Logout"];

/// With these, groups are somewhere else (OpenID Connect Core section 5.6.2; Entra does it above 200 groups).
/// A caller whose groups are not known cannot be judged, and an address that a token names is never fetched.
const ELSEWHERE: [&str; 3] = ["_claim_names", "_claim_sources", "hasgroups"];

/// What a verified token says of its caller. Every string is bounded and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// `iss`, which is one of the configured issuers. A subject means something only together with it.
    pub issuer: String,
    /// `sub`, never empty.
    pub subject: String,
    /// The first of `client_id`, `azp`, `cid` and `appid` that is there.
    pub client: Option<String>,
    /// `scope` or `scp`, in the token's order.
    pub scopes: Vec<String>,
    /// `aud`, all of it; one at least is a configured audience.
    pub audience: Vec<String>,
    /// `groups`.
    pub groups: Vec<String>,
    /// `roles`.
    pub roles: Vec<String>,
    /// `exp`, in seconds since 1970, without the clock skew.
    pub expires_at: u64,
    /// `jti`.
    pub token_id: Option<String>,
}

/// Judges the claims of a token whose signature verified with a key of this issuer.
pub(crate) fn judge(
    members: &Map<String, Value>,
    issuer: &TrustedIssuer,
    now_seconds: u64,
) -> Result<Claims, TokenError> {
    check_kind(members)?;
    let expires_at = check_times(members, issuer.clock_skew_seconds, now_seconds)?;
    let audience = audience(members, &issuer.audiences)?;
    if let Some(name) = ELSEWHERE.iter().find(|name| members.contains_key(**name)) {
        return Err(TokenError::Claims(name));
    }
    Ok(Claims {
        issuer: issuer.issuer.clone(),
        subject: string(members, "sub")?.ok_or(TokenError::Claims("sub"))?,
        client: client(members)?,
        scopes: scopes(members)?,
        audience,
        groups: strings(members, "groups", limits::GROUPS)?,
        roles: strings(members, "roles", limits::GROUPS)?,
        expires_at,
        token_id: string(members, "jti")?,
    })
}

fn check_kind(members: &Map<String, Value>) -> Result<(), TokenError> {
    if members.contains_key("cnf") {
        return Err(TokenError::Bound);
    }
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
        Some(Value::String(_)) => string(members, "aud")?.into_iter().collect(),
        Some(_) => strings(members, "aud", limits::AUDIENCES)?,
    };
    if named.iter().any(|audience| accepted.contains(audience)) {
        Ok(named)
    } else {
        Err(TokenError::Audience)
    }
}

/// All names are read, so that a malformed one is not hidden by an earlier one.
fn client(members: &Map<String, Value>) -> Result<Option<String>, TokenError> {
    let mut first = None;
    for name in CLIENT {
        let client = string(members, name)?;
        first = first.or(client);
    }
    Ok(first)
}

/// `scope` (RFC 9068 section 2.2.3) or `scp` (Okta, Entra). Where both are there they must agree: two lists
/// of rights are one too many.
fn scopes(members: &Map<String, Value>) -> Result<Vec<String>, TokenError> {
    match (scope_list(members, "scope")?, scope_list(members, "scp")?) {
        (Some(scopes), Some(others)) if scopes != others => Err(TokenError::Claims("scp")),
        (scopes, others) => Ok(scopes.or(others).unwrap_or_default()),
    }
}

fn scope_list(members: &Map<String, Value>, name: &'static str) -> Result<Option<Vec<String>>, TokenError> {
    let scopes: Vec<String> = match members.get(name) {
        None => return Ok(None),
        // Some providers write an empty string where there is no scope.
        Some(Value::String(list)) if list.is_empty() => Vec::new(),
        Some(Value::String(list)) => {
            list.split(' ').take(limits::SCOPES.saturating_add(1)).map(str::to_owned).collect()
        }
        Some(_) => strings(members, name, limits::SCOPES)?,
    };
    if scopes.len() <= limits::SCOPES && scopes.iter().all(|scope| is_scope(scope)) {
        Ok(Some(scopes))
    } else {
        Err(TokenError::Claims(name))
    }
}

/// `scope-token` of RFC 6749 section 3.3. White space in one would make two of it in the next reader.
fn is_scope(scope: &str) -> bool {
    is_text(scope) && scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

fn strings(members: &Map<String, Value>, name: &'static str, most: usize) -> Result<Vec<String>, TokenError> {
    let Some(value) = members.get(name) else { return Ok(Vec::new()) };
    let items = value.as_array().filter(|items| items.len() <= most).ok_or(TokenError::Claims(name))?;
    items.iter().map(|item| text(item).ok_or(TokenError::Claims(name))).collect()
}

fn string(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, TokenError> {
    members.get(name).map(|value| text(value).ok_or(TokenError::Claims(name))).transpose()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| is_text(text)).map(str::to_owned)
}

/// Claims end up in headers, logs and receipts: no control characters, and an end.
fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::CLAIM_BYTES && !text.contains(char::is_control)
}
