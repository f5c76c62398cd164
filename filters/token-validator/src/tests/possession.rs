use airlock_jose::issue::{SigningKey, access_token_hash};
use airlock_pipeline::{PeerCertificate, memory::post};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::fixtures::*;
use crate::Memory;

fn certificate(byte: u8) -> PeerCertificate {
    PeerCertificate {
        digest: [byte; 32],
        subject: "CN=agent,OU=agents".to_owned(),
        dns_name: None,
        uri: None,
    }
}

fn proof(token: &str) -> String {
    client_key().sign_proof(&proof_claims(token))
}

fn proof_with(token: &str, name: &str, value: Value) -> String {
    let mut claims = proof_claims(token);
    claims[name] = value;
    client_key().sign_proof(&claims)
}

#[test]
fn a_bound_token_passes_with_its_proof_and_neither_goes_on() {
    let mut gateway = Gateway::new(configuration());
    let token = bound_token();
    let outcome = gateway.dpop(&token, &proof(&token));
    assert_eq!(outcome.admitted().subject, "alice");
    assert_eq!(outcome.exchange.facts.scheme, Some(airlock_pipeline::Scheme::Dpop));
    let upstream = outcome.upstream.unwrap();
    assert!(!upstream.contains("authorization") && !upstream.contains("dpop"));
    gateway.dpop(&token, &proof_with(&token, "jti", json!("proof-2"))).admitted();
}

#[test]
fn a_proof_is_accepted_once_also_by_another_worker_and_after_an_update() {
    let memory = Memory::default();
    let mut gateway = Gateway::over(configuration(), &memory);
    let token = bound_token();
    gateway.dpop(&token, &proof(&token)).admitted();
    assert_eq!(gateway.dpop(&token, &proof(&token)).refused(), (401, "proof_replayed"));
    let mut gateway = gateway.reconfigured(with("/dpop", json!({"window_seconds": 200})), &memory);
    assert_eq!(gateway.dpop(&token, &proof(&token)).refused(), (401, "proof_replayed"));
    // Another worker has a memory of its own; what they share is the proxy's.
    let mut gateway = gateway.reconfigured(configuration(), &Memory::default());
    assert_eq!(gateway.dpop(&token, &proof(&token)).refused(), (401, "proof_replayed"));
}

#[test]
fn what_is_no_proof_for_this_request_is_refused_with_a_challenge() {
    let token = bound_token();
    let stranger = SigningKey::from_seed([9; 32]).unwrap();
    let damaged = {
        let good = proof(&token);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{signed}.{first}{}", signature.get(1..).unwrap())
    };
    let cases = [
        ("opaque", "hunter2".to_owned(), "proof_malformed"),
        ("an access token", token.clone(), "proof_type"),
        ("another method", proof_with(&token, "htm", json!("GET")), "proof_method"),
        ("the method in small letters", proof_with(&token, "htm", json!("post")), "proof_method"),
        ("another path", proof_with(&token, "htu", json!("https://mcp.example.com/other")), "proof_uri"),
        ("another host", proof_with(&token, "htu", json!("https://mcp.example.net/mcp")), "proof_uri"),
        ("another scheme", proof_with(&token, "htu", json!("http://mcp.example.com/mcp")), "proof_uri"),
        ("too old", proof_with(&token, "iat", json!(NOW - 301)), "proof_stale"),
        ("from the future", proof_with(&token, "iat", json!(NOW + 301)), "proof_not_yet_valid"),
        ("a time that is none", proof_with(&token, "iat", json!("now")), "proof_claims"),
        ("for another token", proof_with(&token, "ath", json!(access_token_hash("x"))), "proof_token"),
        ("for no token", proof_with(&token, "ath", Value::Null), "proof_claims"),
        ("without an id", proof_with(&token, "jti", json!("")), "proof_claims"),
        ("with another key", stranger.sign_proof(&proof_claims(&token)), "proof_binding"),
        ("damaged", damaged, "proof_signature"),
    ];
    for (name, proof, reason) in cases {
        let mut gateway = Gateway::new(configuration());
        let outcome = gateway.dpop(&token, &proof);
        assert_eq!(outcome.refused(), (401, reason), "{name}");
        let challenges = outcome.challenges();
        assert!(!challenges[0].contains("error="), "{name}: the other scheme has no error");
        assert!(challenges[1].starts_with("DPoP "), "{name}");
        assert!(challenges[1].contains("error=\"invalid_dpop_proof\", error_description=\""), "{name}");
        assert!(challenges[1].ends_with("algs=\"ES256 EdDSA RS256\""), "{name}");
        assert!(!format!("{:?}", outcome.reply()).contains("hunter2"), "{name}");
        assert!(
            gateway.host.shared.keys().all(|key| !key.starts_with("airlock.proofs.1.")),
            "{name}: not remembered"
        );
    }
}

#[test]
fn scheme_proof_and_token_must_fit_each_other() {
    let (bound, free) = (bound_token(), key().sign(&claims()));
    let (proof, of_free) = (proof(&bound), client_key().sign_proof(&proof_claims(&free)));
    let both = format!("{proof}, {proof}");
    let none: &[&str] = &[];
    let cases = [
        ("bound, as a bearer token", "Bearer", &bound, none, "proof_missing", "invalid_token"),
        (
            "bound, as a bearer token with a proof",
            "Bearer",
            &bound,
            &[&proof],
            "proof_missing",
            "invalid_token",
        ),
        ("bound, without a proof", "DPoP", &bound, none, "proof_missing", "invalid_dpop_proof"),
        ("two proofs", "DPoP", &bound, &[&proof, &proof], "proof_repeated", "invalid_dpop_proof"),
        ("two proofs in a line", "DPoP", &bound, &[&both], "proof_malformed", "invalid_dpop_proof"),
        ("not bound, with a proof", "DPoP", &free, &[&of_free], "token_unbound", "invalid_token"),
    ];
    for (name, scheme, token, proofs, reason, error) in cases {
        let authorization = format!("{scheme} {token}");
        let proofs = proofs.iter().map(|proof| ("dpop", *proof));
        let lines: Vec<_> =
            std::iter::once(("authorization", authorization.as_str())).chain(proofs).collect();
        let outcome = Gateway::new(configuration()).send(&lines);
        assert_eq!(outcome.refused(), (401, reason), "{name}");
        let challenge = outcome.challenges()[1];
        assert!(challenge.contains(&format!("error=\"{error}\"")), "{name}: {challenge}");
    }
    Gateway::new(configuration()).bearer(&free).admitted();
}

#[test]
fn issuers_say_whose_tokens_must_be_bound() {
    let (bound, free) = (bound_token(), key().sign(&claims()));
    let cases = [
        (json!("optional"), true),
        (json!("required"), false),
        (json!({"scopes": ["mcp:write"]}), true),
        (json!({"scopes": ["mcp:admin", "mcp:read"]}), false),
    ];
    for (requirement, free_passes) in cases {
        let mut gateway = Gateway::new(with("/issuers/0/dpop", requirement.clone()));
        gateway.dpop(&bound, &proof(&bound)).admitted();
        let outcome = gateway.bearer(&free);
        if free_passes {
            outcome.admitted();
        } else {
            assert_eq!(outcome.refused(), (401, "token_unbound"), "{requirement}");
        }
    }
    // Where no bearer token is accepted at all, none is asked for.
    let mut gateway = Gateway::new(with("/issuers/0/dpop", json!("required")));
    let outcome = gateway.bearer(&free);
    let challenges = outcome.challenges();
    assert_eq!(challenges.len(), 1);
    assert!(
        challenges[0].starts_with("DPoP resource_metadata=")
            && challenges[0].contains("error=\"invalid_token\"")
    );
}

#[test]
fn the_uri_of_a_proof_is_that_of_the_resource_whatever_the_proxy_was_asked_for() {
    let token = bound_token();
    let mut configuration = with("/resources/0/hosts", json!(["gateway.internal:8443"]));
    set(&mut configuration, "/resources/0/challenge_scopes", json!(["mcp:read"]));
    let mut gateway = Gateway::new(configuration);
    let mut send = |authority: &str, path: &str, jti: &str, uri: &str| {
        let mut claims = proof_claims(&token);
        (claims["jti"], claims["htu"]) = (json!(jti), json!(uri));
        let mut headers = post();
        headers.set(":authority", authority.as_bytes());
        headers.set(":path", path.as_bytes());
        let proof = client_key().sign_proof(&claims);
        let authorization = format!("DPoP {token}");
        let forwarded = [("x-forwarded-host", "evil.example.com"), ("x-forwarded-proto", "http")];
        let outcome = gateway.request(
            headers,
            &[&[("authorization", authorization.as_str()), ("dpop", proof.as_str())], &forwarded[..]]
                .concat(),
        );
        match outcome.caller.claims() {
            Some(_) => "admitted",
            None => outcome.refused().1,
        }
    };
    assert_eq!(send("gateway.internal:8443", "/mcp", "1", RESOURCE), "admitted");
    assert_eq!(send("mcp.example.com", "/mcp?session=1", "2", RESOURCE), "admitted");
    assert_eq!(send("mcp.example.com", "/mcp/a", "3", "HTTPS://MCP.example.com:443/mcp/%61?x=y"), "admitted");
    assert_eq!(send("gateway.internal:8443", "/mcp", "4", "https://gateway.internal:8443/mcp"), "proof_uri");
    assert_eq!(send("mcp.example.com", "/mcp", "5", "https://evil.example.com/mcp"), "proof_uri");
    assert_eq!(send("mcp.example.com", "/mcp/a", "6", RESOURCE), "proof_uri");
}

#[test]
fn a_nonce_is_asked_for_handed_out_and_renewed() {
    let mut gateway =
        Gateway::new(with("/dpop", json!({"nonce": {"required": true, "lifetime_seconds": 60}})));
    let token = bound_token();
    let asked = gateway.dpop(&token, &proof(&token));
    assert_eq!(asked.refused(), (401, "proof_nonce"));
    assert!(asked.challenges()[1].contains("error=\"use_dpop_nonce\""));
    let nonce = asked.header_lines("dpop-nonce")[0].to_owned();

    let outcome = gateway.dpop(&token, &proof_with(&token, "nonce", json!(nonce)));
    outcome.admitted();
    let handed_out = |gateway: &Gateway| {
        gateway.host.downstream.headers.clone().unwrap().text("dpop-nonce").map(str::to_owned)
    };
    assert_eq!(handed_out(&gateway), None, "this one will do");

    gateway.host.now += 60 * 1_000_000;
    let mut claims = proof_claims(&token);
    (claims["nonce"], claims["jti"]) = (json!(nonce), json!("proof-2"));
    gateway.dpop(&token, &client_key().sign_proof(&claims)).admitted();
    assert_ne!(handed_out(&gateway).unwrap(), nonce);

    gateway.host.now += 20 * 1_000_000;
    for wrong in ["", "x", nonce.get(1..).unwrap(), &format!("{nonce}A")] {
        let mut claims = proof_claims(&token);
        (claims["nonce"], claims["jti"]) = (json!(wrong), json!("proof-3"));
        let refused = gateway.dpop(&token, &client_key().sign_proof(&claims)).refused();
        assert!(matches!(refused, (401, "proof_nonce" | "proof_claims")), "{refused:?}");
    }
}

#[test]
fn a_token_bound_to_a_certificate_needs_that_certificate() {
    let thumbprint = URL_SAFE_NO_PAD.encode([1; 32]);
    let token = key().sign(&claims_with("cnf", json!({"x5t#S256": thumbprint})));
    let mut gateway = Gateway::new(configuration());
    assert_eq!(gateway.bearer(&token).refused(), (401, "token_certificate"));
    gateway.host.certificate = Some(certificate(2));
    assert_eq!(gateway.bearer(&token).refused(), (401, "token_certificate"));
    gateway.host.certificate = Some(certificate(1));
    gateway.bearer(&token).admitted();
    gateway.host.faults.certificate = true;
    assert_eq!(gateway.bearer(&token).refused(), (500, "proxy_failure"));

    let mut gateway = Gateway::new(with("/issuers/0/mtls", json!("required")));
    gateway.host.certificate = Some(certificate(1));
    gateway.bearer(&token).admitted();
    assert_eq!(gateway.bearer(&key().sign(&claims())).refused(), (401, "token_unbound"));
}

#[test]
fn a_token_bound_to_both_needs_both_and_one_bound_to_something_else_is_refused() {
    let thumbprint = URL_SAFE_NO_PAD.encode([1; 32]);
    let both = json!({"jkt": client_key().key_id(), "x5t#S256": thumbprint});
    let token = key().sign(&claims_with("cnf", both));
    let mut gateway = Gateway::new(configuration());
    assert_eq!(gateway.dpop(&token, &proof(&token)).refused(), (401, "token_certificate"));
    gateway.host.certificate = Some(certificate(1));
    assert_eq!(gateway.bearer(&token).refused(), (401, "proof_missing"));
    gateway.dpop(&token, &proof(&token)).admitted();
    for confirmation in
        [json!({}), json!({"jwk": {}}), json!({"jkt": "x", "kid": "y"}), json!(null), json!("jkt")]
    {
        let token = key().sign(&claims_with("cnf", confirmation.clone()));
        assert_eq!(gateway.bearer(&token).refused(), (401, "token_bound"), "{confirmation}");
    }
}

#[test]
fn a_proxy_that_does_not_share_data_accepts_no_proof() {
    let mut gateway = Gateway::new(configuration());
    gateway.host.faults.shared = true;
    let token = bound_token();
    assert_eq!(gateway.dpop(&token, &proof(&token)).refused(), (500, "proxy_failure"));
}

#[test]
fn certificate_rules_come_before_everything_else() {
    let rules = json!([{"organizational_units": ["agents"]}]);
    let mut gateway = Gateway::new(with("/client_certificates", rules));
    assert_eq!(gateway.send(&[]).refused(), (403, "certificate_missing"));
    gateway.host.certificate = Some(certificate(1));
    gateway.bearer(&key().sign(&claims())).admitted();
    gateway.host.certificate =
        Some(PeerCertificate { subject: "CN=x,OU=people".to_owned(), ..certificate(1) });
    assert_eq!(gateway.send(&[]).refused(), (403, "certificate_not_allowed"));
}

#[test]
fn a_full_share_of_the_store_is_said_so() {
    let mut gateway = Gateway::new(with("/dpop", json!({"replay_entries": 262_144})));
    let token = bound_token();
    let refused = (0..200_000).find_map(|number| {
        // The store does not ask for a signature: it is filled past the proofs, or this would take minutes.
        let replays = crate::replay::Replays::new(262_144, 300).unwrap();
        let jti = format!("filler-{number}");
        replays.spend(&mut gateway.host, client_key().key_id(), RESOURCE, &jti, NOW, NOW).err()
    });
    assert!(refused.is_some());
    let outcome = (0..5_000)
        .map(|number| gateway.dpop(&token, &proof_with(&token, "jti", json!(format!("proof-{number}")))))
        .find(|outcome| outcome.caller.claims().is_none())
        .expect("a full shard");
    assert_eq!(outcome.refused(), (429, "proof_key_full"));
    assert_eq!(outcome.header_lines("retry-after").len(), 1);
}
