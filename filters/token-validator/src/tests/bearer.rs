use airlock_jose::issue::SigningKey;
use airlock_pipeline::{
    Headers, Options,
    memory::{self, Departed, MemoryHost, Passed},
    rpc,
};
use serde_json::{Value, json};

use super::fixtures::*;
use crate::Memory;

#[test]
fn a_call_with_a_credible_token_passes_without_it() {
    let token = key().sign(&claims());
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let mut gateway = Gateway::new(configuration());
        let outcome = gateway.send(&[("authorization", &format!("{scheme} {token}")), ("dpop", "of no use")]);
        let claims = outcome.admitted();
        assert_eq!(
            (claims.issuer.as_str(), claims.scopes.as_slice()),
            (ISSUER, ["mcp:read".to_owned()].as_slice())
        );
        let upstream = outcome.upstream.unwrap();
        assert!(!upstream.contains("authorization") && !upstream.contains("dpop"));
        assert_eq!(gateway.host.properties["airlock.subject"], b"alice");
        assert_eq!(gateway.host.properties["airlock.client"], b"agent");
    }
}

#[test]
fn a_token_is_forwarded_only_where_configuration_says_so() {
    let token = format!("Bearer {}", key().sign(&claims()));
    let mut gateway = Gateway::new(with("/forward_token", json!(true)));
    let outcome = gateway.send(&[("authorization", &token)]);
    assert_eq!(outcome.upstream.unwrap().text("authorization"), Some(token.as_str()));
}

#[test]
fn a_call_without_a_credible_token_is_challenged_before_its_body_is_read() {
    let bearer_of = |claims: &Value| format!("Bearer {}", key().sign(claims));
    let stranger = format!("Bearer {}", SigningKey::from_seed([9; 32]).unwrap().sign(&claims()));
    let other = bearer_of(&claims_with("sub", json!("mallory")));
    let valid = bearer_of(&claims());
    let (head, _) = valid.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", other.rsplit_once('.').unwrap().1);
    let cases: [(&str, &[&str], &str, bool); 14] = [
        ("no header", &[], "token_missing", false),
        ("another scheme", &["Basic YTpi"], "token_scheme", false),
        ("no scheme", &[valid.strip_prefix("Bearer ").unwrap()], "token_scheme", false),
        ("an empty header", &[""], "token_scheme", false),
        ("two headers", &[&valid, &valid], "token_repeated", true),
        ("two schemes", &["Basic YTpi", &valid], "token_repeated", true),
        ("no token", &["Bearer "], "token_malformed", true),
        ("no JWT", &["Bearer hunter2"], "token_malformed", true),
        ("expired", &[&bearer_of(&claims_with("exp", json!(NOW - 31)))], "token_expired", true),
        ("not yet valid", &[&bearer_of(&claims_with("nbf", json!(NOW + 31)))], "token_not_yet_valid", true),
        (
            "another audience",
            &[&bearer_of(&claims_with("aud", json!("https://other.example.com")))],
            "token_audience",
            true,
        ),
        (
            "another issuer",
            &[&bearer_of(&claims_with("iss", json!("https://other.example.com")))],
            "token_issuer",
            true,
        ),
        ("forged: the signature of another token", &[&forged], "token_signature", true),
        ("forged: the key of a stranger", &[&stranger], "token_key_unknown", true),
    ];
    for (name, authorization, reason, is_invalid) in cases {
        let lines: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
        let mut gateway = Gateway::new(configuration());
        let outcome = gateway.send(&lines);
        assert_eq!(outcome.refused(), (401, reason), "{name}");
        assert_eq!(gateway.host.upstream, Departed::default(), "{name}");
        assert_eq!(outcome.caller.claims(), None, "{name}");
        assert_eq!(gateway.host.counters[&format!("refused.{reason}")], 1, "{name}");
        let body: Value = serde_json::from_slice(&outcome.reply().body).unwrap();
        assert_eq!(body["error"]["code"], json!(rpc::UNAUTHENTICATED), "{name}");
        let challenges = outcome.challenges();
        let [bearer, dpop] = challenges.as_slice() else { panic!("{name}: {challenges:?}") };
        let offer = format!("resource_metadata=\"{METADATA}\", scope=\"mcp:read mcp:write\"");
        assert!(bearer.starts_with(&format!("Bearer {offer}")), "{name}: {bearer}");
        assert_eq!(*dpop, format!("DPoP {offer}, algs=\"ES256 EdDSA RS256\""), "{name}");
        // RFC 6750 section 3.1: no error where no bearer token was sent.
        assert_eq!(
            bearer.contains(", error=\"invalid_token\", error_description=\""),
            is_invalid,
            "{name}: {bearer}"
        );
        let is_plain = |line: &&str| line.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\');
        assert!(challenges.iter().all(is_plain), "{name}: {challenges:?}");
        let told = format!("{challenges:?} {}", String::from_utf8_lossy(&outcome.reply().body));
        assert!(!told.contains("hunter2") && !told.contains(head), "{name}");
        if is_invalid {
            assert!(bearer.ends_with(&format!("({reason})\"")), "{name}: {bearer}");
        }
    }
}

#[test]
fn without_resources_a_challenge_has_nothing_to_point_to() {
    let mut configuration = with("/issuers/0/audiences", json!([RESOURCE]));
    configuration.as_object_mut().unwrap().remove("resources");
    let mut gateway = Gateway::new(configuration);
    assert_eq!(gateway.send(&[]).challenges(), ["Bearer", "DPoP algs=\"ES256 EdDSA RS256\""]);
    gateway.bearer(&key().sign(&claims())).admitted();
}

#[test]
fn observation_notes_who_would_have_been_refused_and_leaves_the_token() {
    let valid = format!("Bearer {}", key().sign(&claims()));
    let cases: [(&[&str], &[&str]); 3] =
        [(&[&valid], &[]), (&[], &["token_missing"]), (&["Bearer x"], &["token_malformed"])];
    for (authorization, noted) in cases {
        let lines: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
        let outcome = Gateway::new(with("/mode", json!("observe"))).send(&lines);
        assert_eq!(outcome.passed, Passed::On(b"{}".to_vec()));
        assert_eq!(outcome.upstream.unwrap().text("authorization"), authorization.first().copied());
        let observed: Vec<_> =
            outcome.exchange.facts.observed.iter().map(|refusal| &refusal.reason).collect();
        assert_eq!(observed, noted);
        assert_eq!(outcome.caller.claims().is_some(), noted.is_empty());
    }
}

#[test]
fn a_token_that_cannot_be_taken_out_refuses_the_call() {
    let stage = stage(configuration(), &Memory::default()).unwrap();
    let (mut chain, _) = memory::chain(vec![Box::new(stage)], Options::default());
    let mut headers = memory::post();
    headers.set("authorization", format!("Bearer {}", key().sign(&claims())).as_bytes());
    let mut host = MemoryHost::with_request(headers);
    host.now = NOW * 1_000_000;
    host.faults.headers = true;
    let Passed::Refused(reply) = host.request(&mut chain, &[b"{}"], false) else { panic!("refused") };
    assert_eq!((reply.status, host.upstream), (500, Departed::default()));
}

#[test]
fn a_challenge_of_the_server_reaches_the_client_only_where_its_token_reaches_the_server() {
    let evil = "Bearer resource_metadata=\"https://evil.example.com/.well-known/oauth-protected-resource\"";
    for (member, value, passes) in
        [("mode", "enforce", false), ("mode", "observe", true), ("forward_token", "true", true)]
    {
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        let stage = stage(with(&format!("/{member}"), value), &Memory::default()).unwrap();
        let (mut chain, _) = memory::chain(vec![Box::new(stage)], Options::default());
        let mut headers = memory::post();
        headers.set("authorization", format!("Bearer {}", key().sign(&claims())).as_bytes());
        let mut host = MemoryHost::with_request(headers);
        host.now = NOW * 1_000_000;
        assert_eq!(host.request(&mut chain, &[b"{}"], false), Passed::On(b"{}".to_vec()));
        let answer = Headers::from([(":status", "401"), ("www-authenticate", evil)]);
        host.response(&mut chain, answer, &[], false);
        let answer = host.downstream.headers.unwrap();
        assert_eq!(
            (answer.text(":status"), answer.contains("www-authenticate")),
            (Some("401"), passes),
            "{member}"
        );
    }
}
