use airlock_jose::issue::SigningKey;
use airlock_pipeline::{
    Headers, Options, Reply,
    memory::{self, Departed, MemoryHost, Passed},
};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://issuer.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";
const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
const NOW: u64 = 1_700_000_000;

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32]).unwrap()
}

fn configuration() -> Value {
    json!({
        "issuers": [{
            "issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": ["EdDSA"],
            "jwks": {"keys": [key().public_jwk()]}
        }],
        "resource_metadata": METADATA,
    })
}

fn stage(configuration: Value) -> Result<TokenValidator, String> {
    TokenValidator::new(serde_json::from_value(configuration).map_err(|error| error.to_string())?)
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 60, "scope": "mcp:read"})
}

fn bearer_of(claims: &Value) -> String {
    format!("Bearer {}", key().sign(claims))
}

/// What a request with these `authorization` lines comes to, and who is found to call.
fn send(configuration: Value, authorization: &[&str]) -> (Passed, MemoryHost, Caller, Vec<String>) {
    let (mut chain, exchange) =
        memory::chain(vec![Box::new(stage(configuration).unwrap())], Options::default());
    let post = memory::post();
    let lines = post.iter().map(|(name, value)| (name.to_vec(), value.to_vec()));
    let tokens = authorization.iter().map(|value| (b"authorization".to_vec(), value.as_bytes().to_vec()));
    let mut host = MemoryHost::with_request(Headers::new(lines.chain(tokens).collect()));
    host.now = NOW * 1_000_000;
    let passed = host.request(&mut chain, &[b"{}"], false);
    let facts = exchange.borrow().facts.clone();
    (passed, host, facts.caller, facts.observed.into_iter().map(|refusal| refusal.reason).collect())
}

fn challenge(reply: &Reply) -> &str {
    let challenge = reply.headers.iter().find(|(name, _)| *name == "www-authenticate");
    challenge.map(|(_, value)| value.as_str()).unwrap()
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

#[test]
fn a_call_with_a_credible_token_passes_without_it() {
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let (passed, host, caller, _) =
            send(configuration(), &[&bearer_of(&claims()).replace("Bearer", scheme)]);
        assert_eq!(passed, Passed::On(b"{}".to_vec()));
        assert!(!host.upstream.headers.unwrap().contains("authorization"));
        assert_eq!(host.properties["airlock.subject"], b"alice");
        let claims = caller.claims().unwrap();
        assert_eq!(
            (claims.issuer.as_str(), claims.scopes.as_slice()),
            (ISSUER, ["mcp:read".to_owned()].as_slice())
        );
    }
}

#[test]
fn a_token_is_forwarded_only_where_configuration_says_so() {
    let token = bearer_of(&claims());
    let (_, host, ..) = send(with(configuration(), "forward_token", json!(true)), &[&token]);
    assert_eq!(host.upstream.headers.unwrap().text("authorization"), Some(token.as_str()));
}

#[test]
fn a_call_without_a_credible_token_is_challenged_before_its_body_is_read() {
    let stranger = format!("Bearer {}", SigningKey::from_seed([8; 32]).unwrap().sign(&claims()));
    let other = bearer_of(&with(claims(), "sub", json!("mallory")));
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
        ("expired", &[&bearer_of(&with(claims(), "exp", json!(NOW - 31)))], "token_expired", true),
        (
            "not yet valid",
            &[&bearer_of(&with(claims(), "nbf", json!(NOW + 31)))],
            "token_not_yet_valid",
            true,
        ),
        (
            "another audience",
            &[&bearer_of(&with(claims(), "aud", json!("https://other.example.com")))],
            "token_audience",
            true,
        ),
        (
            "another issuer",
            &[&bearer_of(&with(claims(), "iss", json!("https://other.example.com")))],
            "token_issuer",
            true,
        ),
        ("forged: the signature of another token", &[&forged], "token_signature", true),
        ("forged: the key of a stranger", &[&stranger], "token_key_unknown", true),
    ];
    for (name, authorization, reason, is_invalid) in cases {
        let (passed, host, caller, _) = send(configuration(), authorization);
        let Passed::Refused(reply) = passed else { panic!("{name}") };
        assert_eq!((reply.status, reply.reason), (401, reason), "{name}");
        assert_eq!(host.upstream, Departed::default(), "{name}");
        assert_eq!(caller, Caller::Anonymous, "{name}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["error"]["code"], json!(rpc::UNAUTHENTICATED), "{name}");
        let challenge = challenge(&reply);
        assert!(challenge.starts_with("Bearer "), "{name}: {challenge}");
        assert!(challenge.ends_with(&format!("resource_metadata=\"{METADATA}\"")), "{name}: {challenge}");
        // RFC 6750 section 3.1: no error where no bearer token was sent.
        assert_eq!(
            challenge.contains("error=\"invalid_token\", error_description=\""),
            is_invalid,
            "{name}: {challenge}"
        );
        assert!(
            challenge.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\'),
            "{name}: {challenge}"
        );
        let told = format!("{challenge} {}", String::from_utf8_lossy(&reply.body));
        assert!(!told.contains("hunter2") && !told.contains(head), "{name}");
    }
}

#[test]
fn a_challenge_without_parameters_is_the_scheme() {
    let (Passed::Refused(reply), ..) = send(with(configuration(), "resource_metadata", json!(null)), &[])
    else {
        panic!("refused");
    };
    assert_eq!(challenge(&reply), "Bearer");
}

#[test]
fn observation_notes_who_would_have_been_refused_and_leaves_the_token() {
    let observing = || with(configuration(), "mode", json!("observe"));
    let valid = bearer_of(&claims());
    let cases: [(&[&str], &[&str]); 3] =
        [(&[&valid], &[]), (&[], &["token_missing"]), (&["Bearer x"], &["token_malformed"])];
    for (authorization, noted) in cases {
        let (passed, host, caller, observed) = send(observing(), authorization);
        assert_eq!(passed, Passed::On(b"{}".to_vec()));
        assert_eq!(host.upstream.headers.unwrap().text("authorization"), authorization.first().copied());
        assert_eq!(observed, noted);
        assert_eq!(caller.claims().is_some(), noted.is_empty());
    }
}

#[test]
fn a_token_that_cannot_be_taken_out_refuses_the_call() {
    let (mut chain, _) = memory::chain(vec![Box::new(stage(configuration()).unwrap())], Options::default());
    let mut headers = memory::post();
    headers.set("authorization", bearer_of(&claims()).as_bytes());
    let mut host = MemoryHost::with_request(headers);
    host.now = NOW * 1_000_000;
    host.faults.headers = true;
    let Passed::Refused(reply) = host.request(&mut chain, &[b"{}"], false) else { panic!("refused") };
    assert_eq!((reply.status, host.upstream), (500, Departed::default()));
}

#[test]
fn configurations_that_could_not_work_are_refused_with_the_place() {
    let cases = [
        (with(configuration(), "issuers", json!([])), "no issuer is configured"),
        (with(configuration(), "resource_metadata", json!("https://x/\"")), "resource_metadata: "),
        (with(configuration(), "resource_metadata", json!("https://x/ y")), "resource_metadata: "),
        (
            with(configuration(), "resource_metadata", json!("https://x/\r\nset-cookie: a")),
            "resource_metadata: ",
        ),
        (with(configuration(), "anonymous", json!(true)), "unknown field `anonymous`"),
        (with(configuration(), "mode", json!("off")), "unknown variant `off`"),
    ];
    for (configuration, problem) in cases {
        let error = stage(configuration).err().unwrap();
        assert!(error.contains(problem), "{error}");
    }
    let mut bad_keys = configuration();
    bad_keys["issuers"][0]["jwks"] = json!({"keys": [{"kty": "oct", "k": "hunter2"}]});
    let error = stage(bad_keys).err().unwrap();
    assert!(!error.contains("hunter2"), "{error}");
}
