use serde_json::json;

use super::fixtures::*;
use crate::Memory;

#[test]
fn lists_say_which_valid_tokens_may_call() {
    let member = json!(["staff", "ops"]);
    let cases = [
        ("clients", json!(["agent"]), None),
        ("clients", json!(["other"]), Some((403, "client_not_allowed"))),
        ("required_groups", json!(["staff", "ops"]), None),
        ("required_groups", json!(["staff", "root"]), Some((403, "group_required"))),
        ("allowed_groups", json!(["root", "ops"]), None),
        ("allowed_groups", json!(["root"]), Some((403, "group_required"))),
        ("denied", json!({"token_ids": ["token-1"]}), Some((401, "token_revoked"))),
        ("denied", json!({"token_ids": ["token-2"], "subjects": ["bob"], "clients": ["x"]}), None),
        ("denied", json!({"subjects": ["alice"]}), Some((403, "subject_denied"))),
        ("denied", json!({"clients": ["agent"]}), Some((403, "client_not_allowed"))),
    ];
    for (name, list, expected) in cases {
        let mut gateway = Gateway::new(with(&format!("/issuers/0/{name}"), list.clone()));
        let outcome = gateway.bearer(&key().sign(&claims_with("groups", member.clone())));
        match expected {
            None => assert_eq!(outcome.admitted().subject, "alice", "{name}: {list}"),
            Some(expected) => {
                assert_eq!(outcome.refused(), expected, "{name}: {list}");
                assert!(outcome.caller.claims().is_some(), "who was refused is on record: {name}");
                let is_challenged = !outcome.challenges().is_empty();
                assert_eq!(is_challenged, expected.0 == 401, "another token would not help: {name}");
            }
        }
    }
}

#[test]
fn who_cannot_be_told_from_those_on_a_list_is_taken_for_one_of_them() {
    let nameless = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        key().sign(&claims)
    };
    let cases = [
        ("jti", "denied", json!({"token_ids": ["token-2"]}), (401, "token_revoked")),
        ("client_id", "denied", json!({"clients": ["other"]}), (403, "client_not_allowed")),
        ("client_id", "clients", json!(["agent"]), (403, "client_not_allowed")),
    ];
    for (claim, name, list, expected) in cases {
        let mut gateway = Gateway::new(with(&format!("/issuers/0/{name}"), list));
        assert_eq!(gateway.bearer(&nameless(claim)).refused(), expected, "{claim}");
    }
}

#[test]
fn a_deny_list_takes_effect_on_tokens_that_are_remembered() {
    let memory = Memory::default();
    let token = key().sign(&claims());
    let mut gateway = Gateway::over(configuration(), &memory);
    gateway.bearer(&token).admitted();
    gateway.bearer(&token).admitted();
    let denied = with("/issuers/0/denied", json!({"token_ids": ["token-1"]}));
    let mut gateway = gateway.reconfigured(denied, &memory);
    assert_eq!(gateway.bearer(&token).refused(), (401, "token_revoked"));
}

#[test]
fn a_list_of_one_issuer_says_nothing_of_another() {
    let mut configuration = with("/issuers/0/denied", json!({"subjects": ["alice"]}));
    let other = json!({
        "issuer": "https://other.example.com", "algorithms": ["EdDSA"], "jwks": {"keys": [client_key().public_jwk()]},
    });
    configuration["issuers"].as_array_mut().unwrap().push(other);
    let mut gateway = Gateway::new(configuration);
    assert_eq!(gateway.bearer(&key().sign(&claims())).refused(), (403, "subject_denied"));
    let token = client_key().sign(&claims_with("iss", json!("https://other.example.com")));
    assert_eq!(gateway.bearer(&token).admitted().issuer, "https://other.example.com");
}
