use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{
    arguments::Dev,
    console::Console,
    failure::{Exit, Failure},
    state::{DEVELOPMENT_AUDIENCE, DEVELOPMENT_ISSUER, State},
};

/// `airlock dev`.
///
/// # Errors
/// A [`Failure`] if the issuer's key cannot be read or made.
pub fn run(command: &Dev, console: Console) -> Result<Exit, Failure> {
    let Dev::Token { subject, scopes, client, minutes, state } = command;
    let issuer = State::open(state)?.development_issuer()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expires_at = now + minutes * 60;
    let scopes: Vec<&str> = scopes.iter().flat_map(|scope| scope.split_whitespace()).collect();
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| Failure::new(Exit::Unavailable, format!("no random bytes: {error}")))?;
    let mut claims = json!({
        "iss": DEVELOPMENT_ISSUER,
        "aud": DEVELOPMENT_AUDIENCE,
        "sub": subject,
        "scope": scopes.join(" "),
        "iat": now,
        "exp": expires_at,
        "jti": URL_SAFE_NO_PAD.encode(id),
    });
    if let (Some(client), Some(claims)) = (client, claims.as_object_mut()) {
        claims.insert("client_id".to_owned(), json!(client));
    }
    let token = issuer.sign(&claims);
    let described = json!({ "token": token, "subject": subject, "scopes": scopes, "expires_at": expires_at });
    console.print(&token, &described);
    Ok(Exit::Success)
}
