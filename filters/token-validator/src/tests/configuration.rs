use serde_json::{Value, json};

use super::fixtures::*;
use crate::Memory;

#[test]
fn configurations_that_could_not_work_are_refused_with_the_place() {
    let issuer = |members: Value| {
        let mut issuer =
            json!({"issuer": ISSUER, "algorithms": ["EdDSA"], "jwks": {"keys": [key().public_jwk()]}});
        for (name, value) in members.as_object().unwrap() {
            issuer[name] = value.clone();
        }
        with("/issuers", json!([issuer]))
    };
    let mut without_resources = configuration();
    without_resources.as_object_mut().unwrap().remove("resources");
    let mut bound = without_resources.clone();
    set(&mut bound, "/issuers/0/audiences", json!([RESOURCE]));
    set(&mut bound, "/issuers/0/dpop", json!("required"));
    let mut twice = configuration();
    twice["resources"].as_array_mut().unwrap().push(json!({"resource": RESOURCE}));
    let mut urn = with("/issuers/0/issuer", json!("urn:example:issuer"));
    set(&mut urn, "/issuers/0/audiences", json!([RESOURCE]));
    let cases = [
        (with("/issuers", json!([])), "no issuer"),
        (without_resources, "issuers[0].audiences: name what its tokens are for"),
        (bound, "issuers[0].dpop: proofs name the URL"),
        (twice, "resources[1].resource: an earlier resource has the same host and path"),
        (urn, "resources[0].authorization_servers: `urn:example:issuer` is no URL"),
        (issuer(json!({"jwks": null})), "issuers[0].jwks: the keys must be here, or `cluster`"),
        (issuer(json!({"cluster": "idp"})), "issuers[0].jwks: the keys are either here or fetched"),
        (issuer(json!({"jwks": {"keys": []}})), "issuers[0].jwks: no key is for any of"),
        (issuer(json!({"algorithms": ["ES256"]})), "issuers[0].jwks: no key is for any of"),
        (issuer(json!({"clock_skew_seconds": 301})), "the clock skew must be at most 300 seconds"),
        (issuer(json!({"profile": "entra2"})), "unknown variant `entra2`"),
        (issuer(json!({"claims": {"user": ["uid"]}})), "unknown field `user`"),
        (issuer(json!({"dpop": "sometimes"})), "unknown variant `sometimes`"),
        (issuer(json!({"denied": {"token": []}})), "unknown field `token`"),
        (with("/dpop", json!({"algorithms": []})), "dpop.algorithms: at least one"),
        (with("/dpop", json!({"algorithms": ["HS256"]})), "unknown variant `HS256`"),
        (with("/dpop", json!({"window_seconds": 0})), "dpop.window_seconds: must be from 1 to 3600"),
        (with("/dpop", json!({"replay_entries": 1})), "dpop.replay_entries: must be from"),
        (
            with("/resources/0/scopes_supported", json!(["a b"])),
            "resources[0].scopes_supported: `a b` is no scope",
        ),
        (with("/anonymous", json!(true)), "unknown field `anonymous`"),
        (with("/mode", json!("off")), "unknown variant `off`"),
    ];
    for (configuration, problem) in cases {
        let error =
            stage(configuration, &Memory::default()).err().unwrap_or_else(|| panic!("accepted: {problem}"));
        assert!(error.contains(problem), "{error}");
    }
    let secret = issuer(json!({"jwks": {"keys": [{"kty": "oct", "k": "hunter2"}]}}));
    let error = stage(secret, &Memory::default()).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn entra_and_okta_need_three_lines() {
    for (profile, issuer) in [
        ("entra", "https://login.microsoftonline.com/8f2c3a5e-0000-4000-8000-000000000000/v2.0"),
        ("okta", "https://example.okta.com/oauth2/default"),
    ] {
        let three = json!([{"profile": profile, "issuer": issuer, "cluster": "provider"}]);
        stage(with("/issuers", three), &Memory::default()).unwrap();
    }
}

#[test]
fn names_of_claims_are_those_of_the_profile_where_none_are_given() {
    let mut configuration = with("/issuers/0/claims", json!({"groups": ["teams"]}));
    set(&mut configuration, "/issuers/0/allowed_groups", json!(["ops"]));
    let mut gateway = Gateway::new(configuration);
    let outcome = gateway.bearer(&key().sign(&claims_with("teams", json!(["ops"]))));
    assert_eq!((outcome.admitted().subject.as_str(), outcome.admitted().groups.len()), ("alice", 1));
    assert_eq!(
        gateway.bearer(&key().sign(&claims_with("groups", json!(["ops"])))).refused().1,
        "group_required"
    );
}
