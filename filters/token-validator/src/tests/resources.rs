use airlock_pipeline::{Headers, memory::Passed};
use serde_json::{Value, json};

use super::fixtures::*;

fn request(gateway: &mut Gateway, method: &str, authority: &str, path: &str) -> Outcome {
    let headers = Headers::from([(":method", method), (":authority", authority), (":path", path)]);
    gateway.request(headers, &[])
}

fn several() -> Value {
    let mut configuration = configuration();
    configuration["resources"] = json!([
        {"resource": "https://mcp.example.com/notes", "resource_name": "Notes", "hosts": ["gateway.internal:8443"]},
        {"resource": "https://mcp.example.com/notes/archive", "authorization_servers": ["https://old.example.com"]},
        {"resource": "https://files.example.com"},
    ]);
    configuration
}

#[test]
fn metadata_is_answered_here_without_a_token() {
    let mut gateway = Gateway::new(configuration());
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        let outcome = request(&mut gateway, "GET", "mcp.example.com", path);
        let reply = outcome.reply();
        assert_eq!((reply.status, reply.reason), (200, "resource_metadata"), "{path}");
        let document: Value = serde_json::from_slice(&reply.body).unwrap();
        let expected = json!({
            "resource": RESOURCE,
            "authorization_servers": [ISSUER],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["mcp:read", "mcp:write"],
            "dpop_signing_alg_values_supported": ["ES256", "EdDSA", "RS256"],
            "dpop_bound_access_tokens_required": false,
        });
        assert_eq!(document, expected);
        assert_eq!(outcome.header_lines("access-control-allow-origin"), ["*"]);
        assert!(outcome.exchange.facts.answered && outcome.exchange.facts.refusal.is_none());
    }
    let preflight =
        request(&mut gateway, "OPTIONS", "mcp.example.com", "/.well-known/oauth-protected-resource/mcp");
    assert_eq!((preflight.reply().status, preflight.reply().body.len()), (204, 0));
    let post = request(&mut gateway, "POST", "mcp.example.com", "/.well-known/oauth-protected-resource/mcp");
    assert_eq!(post.refused(), (405, "http_method"));
}

#[test]
fn every_resource_has_metadata_of_its_own() {
    let mut gateway = Gateway::new(several());
    let cases = [
        ("mcp.example.com", "/notes", Some("https://mcp.example.com/notes")),
        ("MCP.example.com:443", "/notes", Some("https://mcp.example.com/notes")),
        ("gateway.internal:8443", "/notes", Some("https://mcp.example.com/notes")),
        ("mcp.example.com", "/notes/archive", Some("https://mcp.example.com/notes/archive")),
        ("files.example.com", "", Some("https://files.example.com")),
        ("files.example.com", "/", Some("https://files.example.com")),
        ("mcp.example.com", "", None),
        ("mcp.example.com", "/note", None),
        ("mcp.example.com", "/notes/other", None),
        ("mcp.example.com", "s", None),
        ("other.example.com", "/notes", None),
    ];
    for (host, path, resource) in cases {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let outcome = request(&mut gateway, "GET", host, &path);
        match resource {
            Some(resource) => {
                let document: Value = serde_json::from_slice(&outcome.reply().body).unwrap();
                assert_eq!(document["resource"], resource, "{host}{path}");
            }
            None => assert_eq!(outcome.refused(), (404, "resource_unknown"), "{host}{path}"),
        }
    }
}

#[test]
fn a_challenge_names_the_resource_that_was_asked_for() {
    let mut gateway = Gateway::new(several());
    let cases = [
        ("mcp.example.com", "/notes", "https://mcp.example.com/.well-known/oauth-protected-resource/notes"),
        (
            "mcp.example.com",
            "/notes/a?b",
            "https://mcp.example.com/.well-known/oauth-protected-resource/notes",
        ),
        (
            "mcp.example.com",
            "/notes/archive/7",
            "https://mcp.example.com/.well-known/oauth-protected-resource/notes/archive",
        ),
        (
            "mcp.example.com",
            "/notes/archives",
            "https://mcp.example.com/.well-known/oauth-protected-resource/notes",
        ),
        ("files.example.com", "/any", "https://files.example.com/.well-known/oauth-protected-resource"),
    ];
    for (host, path, metadata) in cases {
        let outcome = request(&mut gateway, "POST", host, path);
        assert_eq!(outcome.refused(), (401, "token_missing"));
        let wanted = format!("resource_metadata=\"{metadata}\"");
        assert!(outcome.challenges().iter().all(|line| line.contains(&wanted)), "{:?}", outcome.challenges());
    }
    for (host, path) in
        [("mcp.example.com", "/"), ("mcp.example.com", "/notesx"), ("x.example.com", "/notes")]
    {
        assert_eq!(request(&mut gateway, "POST", host, path).refused(), (404, "resource_unknown"));
    }
}

#[test]
fn a_token_for_one_resource_opens_no_other() {
    let mut gateway = Gateway::new(several());
    let mut send = |audience: &Value, host: &str, path: &str| {
        let token = key().sign(&claims_with("aud", audience.clone()));
        let headers = Headers::from([(":method", "POST"), (":authority", host), (":path", path)]);
        let outcome = gateway.request(headers, &[("authorization", &format!("Bearer {token}"))]);
        match outcome.passed {
            Passed::On(_) => "admitted",
            _ => outcome.refused().1,
        }
    };
    let (notes, archive) =
        (json!("https://mcp.example.com/notes"), json!("https://mcp.example.com/notes/archive"));
    assert_eq!(send(&notes, "mcp.example.com", "/notes"), "admitted");
    assert_eq!(send(&notes, "mcp.example.com", "/notes/archive"), "token_audience");
    assert_eq!(send(&archive, "mcp.example.com", "/notes"), "token_audience");
    assert_eq!(send(&json!([notes, archive]), "mcp.example.com", "/notes/archive"), "admitted");
    // URL libraries write a whole host with a slash.
    for whole in ["https://files.example.com", "https://files.example.com/"] {
        assert_eq!(send(&json!(whole), "files.example.com", "/a"), "admitted");
    }
    for other in
        ["https://MCP.example.com/notes", "https://mcp.example.com/notes/", "https://mcp.example.com"]
    {
        assert_eq!(send(&json!(other), "mcp.example.com", "/notes"), "token_audience", "{other}");
    }
}

#[test]
fn an_issuer_and_a_resource_must_agree_on_the_audience() {
    let mut configuration = with("/issuers/0/audiences", json!(["api://notes", "api://files"]));
    set(&mut configuration, "/resources/0/audiences", json!(["api://notes"]));
    let mut gateway = Gateway::new(configuration.clone());
    gateway.bearer(&key().sign(&claims_with("aud", json!("api://notes")))).admitted();
    for other in ["api://files", RESOURCE] {
        let outcome = gateway.bearer(&key().sign(&claims_with("aud", json!(other))));
        assert_eq!(outcome.refused(), (401, "token_audience"), "{other}");
    }
    // A name for each is not one for both.
    set(&mut configuration, "/resources/0/audiences", json!(["api://notes", "api://mail"]));
    let mut gateway = Gateway::new(configuration.clone());
    let two = json!(["api://files", "api://mail"]);
    assert_eq!(gateway.bearer(&key().sign(&claims_with("aud", two))).refused(), (401, "token_audience"));
    set(&mut configuration, "/resources/0/audiences", json!(["api://mail"]));
    let error = stage(configuration, &crate::Memory::default()).unwrap_err();
    assert!(error.contains("no issuer has an audience of `https://mcp.example.com/mcp`"), "{error}");
}

#[test]
fn identifiers_that_readers_could_take_for_another_are_refused() {
    for identifier in [
        "",
        "mcp.example.com/mcp",
        "ftp://mcp.example.com/mcp",
        "http://mcp.example.com/mcp",
        "https://mcp.example.com/mcp/",
        "https://mcp.example.com/mcp?a=b",
        "https://mcp.example.com/mcp#a",
        "https://MCP.example.com/mcp",
        "https://mcp.example.com:443/mcp",
        "https://mcp.example.com/a/../mcp",
        "https://mcp.example.com/%6dcp",
        "https://user@mcp.example.com/mcp",
        "https://mcp.example.com/mcp\"",
        "http://localhost.example.com/mcp",
    ] {
        let error =
            stage(with("/resources/0/resource", json!(identifier)), &crate::Memory::default()).unwrap_err();
        assert!(error.starts_with("resources[0].resource: must be"), "{identifier}: {error}");
    }
    for identifier in ["http://127.0.0.1:8787/mcp", "http://localhost:8787/mcp", "http://[::1]:8787/mcp"] {
        stage(with("/resources/0/resource", json!(identifier)), &crate::Memory::default()).unwrap();
    }
}
