//! `airlock dev token`.

use std::time::{SystemTime, UNIX_EPOCH};

use airlock_cli::{
    arguments::StateDirectory,
    state::{DEVELOPMENT_AUDIENCE, DEVELOPMENT_ISSUER, State},
};
use airlock_jose::{Algorithm, Claims, InProcess, KeySet, TokenError, TrustedIssuer, Verifier};
use serde_json::Value;

use crate::command::Place;

/// What `airlock up` over this state directory would say of a token.
pub(crate) fn judge(place: &Place, state: &str, token: &[u8]) -> Result<Claims, TokenError> {
    let state = State::open(&StateDirectory { directory: Some(place.path(state)) }).unwrap();
    let identity = state.development_identity().unwrap();
    let issuer = &identity["issuers"][0];
    assert_eq!(issuer["algorithms"], serde_json::json!(["EdDSA"]));
    let audiences = vec![issuer["audiences"][0].as_str().unwrap().to_owned()];
    let keys = KeySet::parse(&issuer["jwks"]).unwrap();
    let trusted = TrustedIssuer::new(issuer["issuer"].as_str().unwrap(), audiences, vec![Algorithm::EdDSA]);
    Verifier::new(vec![trusted]).unwrap().read(token)?.verify(&keys, &InProcess, now())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims(place: &Place, arguments: &[&str]) -> Claims {
    let ended = place.run(&[&["dev", "token", "--state", "s"], arguments].concat());
    assert_eq!((ended.exit, ended.errors.as_str()), (0, ""));
    judge(place, "s", ended.output.trim_end().as_bytes()).unwrap()
}

#[test]
fn a_token_says_what_was_asked_for_and_verifies_with_the_state_that_made_it() {
    let place = Place::new();
    let asked = [
        "--subject",
        "zoe@example.com",
        "--client",
        "editor",
        "--scope",
        "a b",
        "--scope",
        "c",
        "--minutes",
        "5",
    ];
    let said = claims(&place, &asked);
    assert_eq!((said.issuer.as_str(), said.subject.as_str()), (DEVELOPMENT_ISSUER, "zoe@example.com"));
    assert_eq!(said.client.as_deref(), Some("editor"));
    assert_eq!(said.scopes, ["a", "b", "c"]);
    assert_eq!(said.audience, [DEVELOPMENT_AUDIENCE]);
    assert!((now() + 240..=now() + 300).contains(&said.expires_at));
    assert_ne!(said.token_id, claims(&place, &asked).token_id, "every token has an id of its own");
}

#[test]
fn without_options_a_token_has_no_scope_and_lasts_an_hour() {
    let place = Place::new();
    let said = claims(&place, &[]);
    assert_eq!(said.subject, "developer@example.com");
    assert!(said.scopes.is_empty() && said.client.is_none());
    assert!((now() + 3_540..=now() + 3_600).contains(&said.expires_at));
}

#[test]
fn a_token_of_another_state_directory_is_refused() {
    let place = Place::new();
    let token = place.run(&["dev", "token", "--state", "other"]).output;
    let refused = judge(&place, "s", token.trim_end().as_bytes());
    assert_eq!(refused, Err(TokenError::KeyUnknown));
}

#[test]
fn programs_get_the_same_token_facts() {
    let place = Place::new();
    let ended = place.run(&["dev", "token", "--state", "s", "--scope", "a", "--format", "json"]);
    let told: Value = serde_json::from_str(&ended.output).unwrap();
    let said = judge(&place, "s", told["token"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(told["subject"], said.subject);
    assert_eq!(told["scopes"], serde_json::json!(said.scopes));
    assert_eq!(told["expires_at"], said.expires_at);
}
