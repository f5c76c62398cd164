use serde_json::{Value, json};

use super::fixtures::*;
use crate::{TokenError, limits};

#[track_caller]
fn assert_refused(changes: Value, expected: TokenError) {
    assert_eq!(verify(token_with(json!({}), changes.clone())), Err(expected), "{changes}");
}

#[test]
fn issuers_are_equal_byte_for_byte() {
    for issuer in [
        json!("https://issuer.example.com/"),
        json!("https://ISSUER.example.com"),
        json!("http://issuer.example.com"),
        json!("https://issuer.example.com:443"),
        json!("https://issuer.example.com.attacker.example.com"),
        json!("https://issuer.example.co"),
        json!(" https://issuer.example.com"),
        json!("https://issuer.example.com\u{0}"),
        json!("https://íssuer.example.com"),
        json!(""),
        json!([ISSUER]),
        json!({"iss": ISSUER}),
        json!(1),
        json!(null),
    ] {
        assert_refused(json!({"iss": issuer}), TokenError::Issuer);
    }
}

#[test]
fn audiences_are_equal_byte_for_byte() {
    for audience in [
        json!("https://mcp.example.com/mcp/"),
        json!("https://mcp.example.com/"),
        json!("https://mcp.example.com"),
        json!("https://mcp.example.com/mcp2"),
        json!("https://mcp.example.com/MCP"),
        json!("https://MCP.example.com/mcp"),
        json!("https://mcp.example.com/mcp?x"),
        json!("*"),
        json!([]),
        json!(["https://a.example.com", "https://mcp.example.com/mcp/"]),
        json!([format!("{AUDIENCE} https://a.example.com")]),
        json!(format!("https://a.example.com {AUDIENCE}")),
    ] {
        assert_refused(json!({"aud": audience}), TokenError::Audience);
    }
    for audience in [
        json!(null),
        json!(""),
        json!(1),
        json!(true),
        json!({"aud": AUDIENCE}),
        json!([AUDIENCE, 1]),
        json!([AUDIENCE, null]),
        json!([AUDIENCE, ""]),
        json!([[AUDIENCE]]),
        json!(vec![AUDIENCE; limits::AUDIENCES + 1]),
    ] {
        assert_refused(json!({"aud": audience}), TokenError::Claims("aud"));
    }
}

#[test]
fn times_are_whole_seconds_or_refused() {
    assert_refused(json!({"exp": null}), TokenError::Claims("exp"));
    for name in ["exp", "nbf", "iat"] {
        // Written as text, because some of these numbers exist only there.
        for time in [
            "-1",
            "-0",
            "-9223372036854775808",
            "1.5",
            "1800000300.0",
            "1.8e9",
            "1e400",
            "253402300800",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1e20",
            "\"1800000300\"",
            "\"\"",
            "null",
            "true",
            "[]",
            "[1800000300]",
            "{}",
        ] {
            let claims = with(claims(), json!({name: null})).to_string();
            let payload = format!("{{\"{name}\":{time},{}", claims.strip_prefix('{').unwrap());
            let token = Signer::EdDsa.token(Signer::EdDsa.header().to_string(), payload);
            let expected =
                if time == "1e400" { TokenError::Malformed("payload") } else { TokenError::Claims(name) };
            assert_eq!(verify(token), Err(expected), "{name} {time}");
        }
    }
}

#[test]
fn what_a_token_is_bound_to_is_returned() {
    const KEY: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    const CERTIFICATE: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
    for (confirmation, key, certificate) in [
        (json!({"jkt": KEY}), Some(KEY), None),
        (json!({"x5t#S256": CERTIFICATE}), None, Some(CERTIFICATE)),
        (json!({"jkt": KEY, "x5t#S256": CERTIFICATE}), Some(KEY), Some(CERTIFICATE)),
    ] {
        let claims = verify(token_with(json!({}), json!({"cnf": confirmation}))).unwrap();
        assert_eq!(claims.confirmation.key_thumbprint.as_deref(), key);
        assert_eq!(claims.confirmation.certificate_thumbprint.as_deref(), certificate);
        assert!(!claims.confirmation.is_empty());
    }
    assert!(verify(token_with(json!({}), json!({}))).unwrap().confirmation.is_empty());
}

#[test]
fn a_binding_that_is_not_understood_is_refused() {
    let digest = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    for confirmation in [
        json!({"unknown": 1}),
        json!({"jkt": digest, "unknown": 1}),
        json!({"jkt": digest, "jwk": Signer::EdDsa.jwk()}),
        json!({"kid": "ed-1"}),
        json!({"JKT": digest}),
        json!({"x5t": digest}),
        json!({"jkt": ""}),
        json!({"jkt": 1}),
        json!({"jkt": [digest]}),
        json!({"jkt": format!("{digest}=")}),
        json!({"jkt": format!("{digest}A")}),
        json!({"jkt": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4l"}),
        json!({"jkt": "AAAA"}),
        json!({"x5t#S256": "03806d2f626650c840b2f263e6d2b29fae12ab39ae5db32b25ad27efad72e6fd"}),
        json!({"x5t#S256": {"x": digest}}),
        json!({}),
        json!([]),
        json!([digest]),
        json!(false),
        json!(""),
    ] {
        assert_refused(json!({"cnf": confirmation}), TokenError::Bound);
    }
    let claims = claims().to_string();
    for value in ["null", r#"{"jkt":null}"#] {
        let null = format!("{{\"cnf\":{value},{}", claims.strip_prefix('{').unwrap());
        let token = Signer::EdDsa.token(Signer::EdDsa.header().to_string(), null);
        assert_eq!(verify(token), Err(TokenError::Bound));
    }
}

#[test]
fn other_kinds_of_token_are_refused_by_their_claims() {
    for changes in [
        json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
        json!({"c_hash": "LDktKdoQak3Pk0cnXxCltA"}),
        json!({"s_hash": "x"}),
        json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        json!({"typ": "ID"}),
        json!({"typ": "Refresh"}),
        json!({"typ": "offline"}),
        json!({"typ": "Logout"}),
        json!({"typ": ["Bearer"]}),
    ] {
        assert_refused(changes, TokenError::Type);
    }
    assert!(verify(token_with(json!({}), json!({"typ": "Bearer", "nonce": "n"}))).is_ok());
}

#[test]
fn groups_that_are_elsewhere_are_refused() {
    for (name, value) in [
        ("_claim_names", json!({"groups": "src1"})),
        ("_claim_names", json!({})),
        ("_claim_sources", json!({"src1": {"endpoint": "https://attacker.example.com"}})),
        ("hasgroups", json!(true)),
        ("hasgroups", json!("true")),
    ] {
        assert_refused(json!({name: value}), TokenError::Claims(name));
        assert_refused(json!({name: value, "groups": ["g1"]}), TokenError::Claims(name));
    }
}

#[test]
fn strings_are_strings_not_empty_bounded_and_without_control_characters() {
    let bad = [
        json!(""),
        json!(1),
        json!(true),
        json!(["alice"]),
        json!({"x": "alice"}),
        json!("alice\n"),
        json!("alice\u{0}"),
        json!("al\u{85}ice"),
        json!("x".repeat(limits::CLAIM_BYTES + 1)),
    ];
    for name in ["sub", "client_id", "azp", "cid", "appid", "jti"] {
        for value in &bad {
            assert_refused(json!({name: value}), TokenError::Claims(name));
        }
    }
    assert_refused(json!({"sub": null}), TokenError::Claims("sub"));
    assert_refused(json!({"client_id": "agent", "appid": 1}), TokenError::Claims("appid"));
}

#[test]
fn lists_are_arrays_of_such_strings() {
    for name in ["groups", "roles", "scope", "scp"] {
        for value in [
            json!(1),
            json!({"0": "a"}),
            json!(["a", 1]),
            json!(["a", null]),
            json!(["a", ""]),
            json!(["a", ["b"]]),
            json!(["a", "b\n"]),
            json!(["x".repeat(limits::CLAIM_BYTES + 1)]),
        ] {
            assert_refused(json!({name: value}), TokenError::Claims(name));
        }
    }
    assert_refused(json!({"groups": "admin"}), TokenError::Claims("groups"));
    assert_refused(json!({"roles": "admin"}), TokenError::Claims("roles"));
}

#[test]
fn a_scope_has_one_reading() {
    for scope in [" ", "a  b", " a", "a ", "a\tb", "a\u{a0}b", "a\"b", "a\\b", "ä"] {
        for name in ["scope", "scp"] {
            assert_refused(json!({name: scope}), TokenError::Claims(name));
        }
    }
    assert_refused(json!({"scope": ["a b"]}), TokenError::Claims("scope"));
    assert_refused(json!({"scope": "a", "scp": ["a", "admin"]}), TokenError::Claims("scp"));
    assert_refused(json!({"scope": "", "scp": ["admin"]}), TokenError::Claims("scp"));
}

#[test]
fn claims_of_a_token_that_does_not_verify_are_not_judged() {
    let token = token_with(json!({}), json!({"exp": 0, "aud": "x", "sub": ""}));
    let (input, _) = token.rsplit_once('.').unwrap();
    assert_eq!(verify(format!("{input}.{}", "A".repeat(86))), Err(TokenError::Signature));
}

#[test]
fn reasons_are_stable_names() {
    for (error, reason) in [
        (TokenError::Malformed("form"), "token_malformed"),
        (TokenError::TooLarge, "token_too_large"),
        (TokenError::Algorithm, "token_algorithm"),
        (TokenError::Header("jku"), "token_header"),
        (TokenError::CriticalHeader, "token_critical_header"),
        (TokenError::KeyUnknown, "token_key_unknown"),
        (TokenError::Signature, "token_signature"),
        (TokenError::Issuer, "token_issuer"),
        (TokenError::Audience, "token_audience"),
        (TokenError::Expired, "token_expired"),
        (TokenError::NotYetValid, "token_not_yet_valid"),
        (TokenError::Type, "token_type"),
        (TokenError::Claims("sub"), "token_claims"),
        (TokenError::Bound, "token_bound"),
    ] {
        assert_eq!(error.reason(), reason);
    }
}
