//! Proofs that must be refused (RFC 9449 sections 4.3 and 11).

use serde_json::{Value, json};

use super::fixtures::*;
use crate::dpop::{Proof, ProofError};
use crate::{KeyError, base64url, limits};

const FORM: ProofError = ProofError::Malformed("form");
const HEADER: ProofError = ProofError::Malformed("header");
const PAYLOAD: ProofError = ProofError::Malformed("payload");
const SIGNATURE: ProofError = ProofError::Malformed("signature");

#[track_caller]
fn assert_header_refused(changes: Value, expected: ProofError) {
    assert_eq!(prove(proof_with(changes.clone(), json!({}))), Err(expected), "{changes}");
}

#[track_caller]
fn assert_claims_refused(changes: Value, expected: ProofError) {
    assert_eq!(prove(proof_with(json!({}), changes.clone())), Err(expected), "{changes}");
}

/// A proof with this text instead of `"name":value` in its claims, for what JSON values cannot hold.
fn with_claim_text(name: &str, text: &str) -> String {
    let claims = with(proof_claims(), json!({name: null})).to_string();
    let payload = format!("{{{text},{}", claims.strip_prefix('{').unwrap());
    Signer::EdDsa.token(Signer::EdDsa.proof_header().to_string(), payload)
}

#[test]
fn there_must_be_exactly_one_compact_jws() {
    let good = proof_with(json!({}), json!({}));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for (proof, expected) in [
        (String::new(), FORM),
        (good.replacen('.', "", 1), FORM),
        (format!("{good}.AA"), FORM),
        (format!("{good}.AA.AA"), FORM),
        (format!("{good}, {good}"), FORM),
        (format!("{good},"), SIGNATURE),
        (format!(" {good}"), HEADER),
        (format!("{good} "), SIGNATURE),
        (format!("{good}="), SIGNATURE),
        (format!("\"{good}\""), HEADER),
        (format!("{header}.{payload}."), ProofError::Signature),
        (format!("{header}..{signature}"), PAYLOAD),
        (format!("{header}={signature}.{payload}.{signature}"), HEADER),
        (json!({"payload": payload, "protected": header, "signature": signature}).to_string(), FORM),
    ] {
        assert_eq!(prove(&proof), Err(expected), "{proof}");
    }
    assert_eq!(prove([good.as_bytes(), b"\xff"].concat()), Err(SIGNATURE));
    assert_eq!(prove(vec![b'.'; limits::PROOF_BYTES + 1]), Err(ProofError::TooLarge));
}

#[test]
fn duplicate_members_are_refused_in_header_and_payload() {
    let header = Signer::EdDsa.proof_header().to_string();
    let rest = header.strip_prefix('{').unwrap();
    for first in [r#""alg":"none","#, r#""typ":"JWT","#, r#""jwk":{},"#, r#""\u006awk":{},"#] {
        let proof = Signer::EdDsa.token(format!("{{{first}{rest}"), proof_claims().to_string());
        assert_eq!(prove(proof), Err(HEADER), "{first}");
    }
    let doubled = header.replacen("\"crv\":", "\"crv\":\"P-256\",\"crv\":", 1);
    assert_ne!(doubled, header);
    assert_eq!(prove(Signer::EdDsa.token(doubled, proof_claims().to_string())), Err(HEADER));

    let claims = proof_claims().to_string();
    let rest = claims.strip_prefix('{').unwrap();
    for first in [r#""htm":"GET","#, r#""ht\u0075":"https://a.example.com","#, r#""iat":0,"#, r#""jti":"x","#]
    {
        let proof = Signer::EdDsa.token(header.clone(), format!("{{{first}{rest}"));
        assert_eq!(prove(proof), Err(PAYLOAD), "{first}");
    }
}

#[test]
fn another_kind_of_token_is_no_proof() {
    for media_type in [
        json!(null),
        json!("JWT"),
        json!("at+jwt"),
        json!("DPOP+JWT"),
        json!("application/dpop+jwt"),
        json!("dpop+jwt "),
        json!("dpop"),
        json!(""),
        json!(["dpop+jwt"]),
        json!(1),
    ] {
        assert_header_refused(json!({"typ": media_type}), ProofError::Type);
    }
    assert_eq!(prove(token_with(json!({}), json!({}))), Err(ProofError::Type));
}

#[test]
fn a_proof_is_no_access_token() {
    let claims = with(claims(), proof_claims()).to_string();
    let token = Signer::EdDsa.token(Signer::EdDsa.proof_header().to_string(), &claims);
    assert_eq!(verify(token), Err(crate::TokenError::Header("jwk")));
    let typed = with(Signer::EdDsa.header(), json!({"typ": "dpop+jwt"})).to_string();
    assert_eq!(verify(Signer::EdDsa.token(typed, claims)), Err(crate::TokenError::Type));
}

#[test]
fn the_algorithm_is_asymmetric_accepted_and_the_keys() {
    for algorithm in [
        json!(null),
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(""),
        json!("HS256"),
        json!("HS512"),
        json!("PS256"),
        json!("ES384"),
        json!("eddsa"),
        json!("Ed448"),
        json!("ES256"),
        json!("RS256"),
        json!(["EdDSA"]),
        json!(1),
    ] {
        assert_header_refused(json!({"alg": algorithm}), ProofError::Algorithm);
    }
    let secret = base64url::encode(b"secret");
    for algorithm in ["HS256", "EdDSA"] {
        let jwk = json!({"kty": "oct", "k": secret});
        let refused = prove(proof_with(json!({"alg": algorithm, "jwk": jwk}), json!({})));
        let symmetric =
            if algorithm == "HS256" { ProofError::Algorithm } else { key(KeyError::Private("k")) };
        assert_eq!(refused, Err(symmetric));
    }
}

#[test]
fn an_algorithm_that_is_not_accepted_here_is_refused() {
    use crate::dpop::{Expected, TargetUri, token_digest};
    let proof = proof_with(json!({}), json!({}));
    let proof = Proof::parse(proof.as_bytes()).unwrap();
    let refused = proof.check(&Expected {
        method: "POST",
        uri: &TargetUri::parse(URI).unwrap(),
        token_digest: &token_digest(TOKEN.as_bytes()),
        thumbprint: proof.thumbprint(),
        algorithms: &[crate::Algorithm::ES256, crate::Algorithm::RS256],
        now_seconds: NOW,
        window_seconds: WINDOW_SECONDS,
    });
    assert_eq!(refused, Err(ProofError::Algorithm));
}

#[test]
fn members_that_bring_or_fetch_another_key_or_demand_an_extension_are_refused() {
    for (name, value) in [
        ("jku", json!("https://attacker.example.com/jwks")),
        ("x5u", json!("https://attacker.example.com/cert")),
        ("x5c", json!(["MIIB"])),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!("b64")),
        ("b64", json!(false)),
        ("b64", json!(true)),
    ] {
        assert_header_refused(json!({name: value}), ProofError::Header(name));
    }
    for key_id in
        [json!(1), json!(""), json!(["x"]), json!("x\n"), json!("x".repeat(limits::KEY_ID_BYTES + 1))]
    {
        assert_header_refused(json!({"kid": key_id}), HEADER);
    }
}

fn key(cause: KeyError) -> ProofError {
    ProofError::Key(cause)
}

#[test]
fn the_key_is_public_whole_and_for_signatures() {
    let jwk = |changes: Value| with(Signer::EdDsa.jwk(), changes);
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for value in [json!("AQAB"), json!(""), json!(1), json!({})] {
            let private = jwk(json!({name: value}));
            assert_header_refused(json!({"jwk": private}), key(KeyError::Private(name)));
        }
    }
    for (jwk, cause) in [
        (json!("x"), KeyError::NotAnObject),
        (json!([Signer::EdDsa.jwk()]), KeyError::NotAnObject),
        (json!({}), KeyError::Member("kty")),
        (json!({"kty": "OKP", "crv": "Ed25519"}), KeyError::Member("x")),
        (jwk(json!({"x": base64url::encode([1; 33])})), KeyError::Member("x")),
        (jwk(json!({"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"})), KeyError::Member("x")),
        (jwk(json!({"use": "enc"})), KeyError::Unusable),
        (jwk(json!({"key_ops": ["sign"]})), KeyError::Unusable),
        (jwk(json!({"use": "sig", "key_ops": ["encrypt"]})), KeyError::Contradiction("key_ops")),
        (jwk(json!({"alg": "ES256"})), KeyError::Contradiction("alg")),
        (jwk(json!({"alg": "none"})), KeyError::Contradiction("alg")),
        (jwk(json!({"crv": "X25519"})), KeyError::Unusable),
        (jwk(json!({"crv": "P-256"})), KeyError::Contradiction("crv")),
        (json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}), KeyError::Unusable),
        (json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}), KeyError::Unusable),
    ] {
        assert_header_refused(json!({"jwk": jwk}), key(cause));
    }
    assert_header_refused(json!({"jwk": null}), key(KeyError::NotAnObject));
}

/// Keys that are only found to be weak when they are checked, with a token that is bound to them.
#[test]
fn a_weak_key_is_refused_though_the_token_is_bound_to_it() {
    let rsa = |modulus: &[u8], exponent: &str| json!({"kty": "RSA", "n": base64url::encode(modulus), "e": exponent});
    let [zero, one] = [[0; 32], [1; 32]].map(base64url::encode);
    let identity = base64url::encode([&[1][..], &[0; 31]].concat());
    let not_canonical = base64url::encode([&[0xf0][..], &[0xff; 30], &[0x7f]].concat());
    for (algorithm, jwk, cause) in [
        ("RS256", rsa(&[0xff; 128], "AQAB"), KeyError::Modulus),
        ("RS256", rsa(&[0xff; 513], "AQAB"), KeyError::Modulus),
        ("RS256", rsa(&[0xff; 1024], "AQAB"), KeyError::Modulus),
        ("RS256", rsa(&[0xfe; 256], "AQAB"), KeyError::Modulus),
        ("RS256", rsa(&[0xff; 256], "AQ"), KeyError::Exponent),
        ("RS256", rsa(&[0xff; 256], &base64url::encode([0xff; 256])), KeyError::Exponent),
        ("ES256", json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero}), KeyError::Point),
        ("ES256", json!({"kty": "EC", "crv": "P-256", "x": one, "y": one}), KeyError::Point),
        ("EdDSA", json!({"kty": "OKP", "crv": "Ed25519", "x": identity}), KeyError::Point),
        ("EdDSA", json!({"kty": "OKP", "crv": "Ed25519", "x": zero}), KeyError::Point),
        ("EdDSA", json!({"kty": "OKP", "crv": "Ed25519", "x": not_canonical}), KeyError::Point),
    ] {
        let header = json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk}).to_string();
        for signature in [vec![], vec![0; 64], vec![0; 256]] {
            let input = signing_input(&header, proof_claims().to_string());
            let text = format!("{input}.{}", base64url::encode(signature));
            let proof = Proof::parse(text.as_bytes()).unwrap();
            let refused = proof.verify(None, &crate::InProcess).map(drop);
            assert_eq!(refused, Err(key(cause)), "{jwk}");
        }
    }
}

#[test]
fn the_key_must_have_signed_this_proof() {
    for signer in SIGNERS {
        let header = signer.proof_header().to_string();
        let input = signing_input(&header, proof_claims().to_string());
        let other = signer.sign(signing_input(&header, "{}").as_bytes());
        for signature in [vec![], vec![0; 64], other, signer.sign(proof_claims().to_string().as_bytes())] {
            let proof = format!("{input}.{}", base64url::encode(signature));
            assert_eq!(prove_with(signer, proof), Err(ProofError::Signature), "{signer:?}");
        }
    }
    let der = {
        let input = signing_input(Signer::Es256.proof_header().to_string(), proof_claims().to_string());
        let signature = p256::ecdsa::Signature::from_slice(&Signer::Es256.sign(input.as_bytes())).unwrap();
        format!("{input}.{}", base64url::encode(signature.to_der()))
    };
    assert_eq!(prove_with(Signer::Es256, der), Err(ProofError::Signature));
}

#[test]
fn the_token_must_be_bound_to_the_proofs_key() {
    let other = Signer::Other.token(Signer::Other.proof_header().to_string(), proof_claims().to_string());
    assert_eq!(prove(&other), Err(ProofError::Binding));
    assert_eq!(prove_with(Signer::Other, other), Ok(()));
}

#[test]
fn the_method_is_equal_with_regard_to_case() {
    for method in ["GET", "post", "Post", "POST ", " POST", "PO", "POSTS"] {
        assert_claims_refused(json!({"htm": method}), ProofError::Method);
    }
    for method in [json!(null), json!(""), json!(1), json!(["POST"]), json!("POST\n")] {
        assert_claims_refused(json!({"htm": method}), ProofError::Claims("htm"));
    }
}

#[test]
fn the_uri_is_that_of_the_request() {
    for uri in [
        "https://mcp.example.com/",
        "https://mcp.example.com",
        "https://mcp.example.com/mcp/",
        "https://mcp.example.com/MCP",
        "https://mcp.example.com//mcp",
        "https://mcp.example.com/mcp%2F",
        "https://mcp.example.com/mcp/..",
        "https://mcp.example.com/mcp2",
        "http://mcp.example.com/mcp",
        "http://mcp.example.com:443/mcp",
        "https://mcp.example.com:80/mcp",
        "https://mcp.example.com:8443/mcp",
        "https://mcp.example.com./mcp",
        "https://mcp.example.com.attacker.example.com/mcp",
        "https://attacker.example.com/?https://mcp.example.com/mcp",
        "https://attacker.example.com/#https://mcp.example.com/mcp",
    ] {
        assert_claims_refused(json!({"htu": uri}), ProofError::Uri);
    }
    for uri in [
        json!(null),
        json!(""),
        json!("/mcp"),
        json!("mcp.example.com/mcp"),
        json!("//mcp.example.com/mcp"),
        json!("https:/mcp.example.com/mcp"),
        json!("https:\\\\mcp.example.com\\mcp"),
        json!("https://mcp.example.com\\@attacker.example.com/mcp"),
        json!("https://user@mcp.example.com/mcp"),
        json!("https://user:password@mcp.example.com/mcp"),
        json!("https://mcp.example.com/mcp\u{0}"),
        json!("https://mcp.example.com/mcp\r\n"),
        json!(" https://mcp.example.com/mcp"),
        json!("https://mcp.example.com/m cp"),
        json!("https://mcp.example.com/mcp%"),
        json!("https://mcp.example.com/mcp%zz"),
        json!("https://mcp.example.com/mçp"),
        json!("https://mcp.exämple.com/mcp"),
        json!("https://mcp%2eexample.com/mcp"),
        json!("wss://mcp.example.com/mcp"),
        json!([URI]),
        json!(1),
    ] {
        assert_claims_refused(json!({"htu": uri}), ProofError::Claims("htu"));
    }
}

#[test]
fn times_are_whole_seconds_or_refused() {
    assert_claims_refused(json!({"iat": null}), ProofError::Claims("iat"));
    for name in ["iat", "exp", "nbf"] {
        for time in [
            "-1",
            "-0",
            "1800000000.0",
            "1800000000.5",
            "1.8e9",
            "253402300800",
            "18446744073709551615",
            "18446744073709551616",
            "\"1800000000\"",
            "null",
            "true",
            "[1800000000]",
            "{}",
        ] {
            let refused = prove(with_claim_text(name, &format!("\"{name}\":{time}")));
            assert_eq!(refused, Err(ProofError::Claims(name)), "{name} {time}");
        }
    }
}

#[test]
fn the_proof_is_for_this_access_token() {
    for token in ["", "an.access.toke", "an.access.token ", "AN.ACCESS.TOKEN", "DPoP an.access.token"] {
        let hash = crate::issue::access_token_hash(token);
        assert_claims_refused(json!({"ath": hash}), ProofError::Token);
    }
    let good = crate::issue::access_token_hash(TOKEN);
    for hash in [
        json!(null),
        json!(""),
        json!(TOKEN),
        json!(format!("{good}=")),
        json!(good.get(..42).unwrap()),
        json!(format!("{good}A")),
        json!([good]),
        json!(1),
    ] {
        assert_claims_refused(json!({"ath": hash}), ProofError::Claims("ath"));
    }
}

#[test]
fn ids_and_nonces_are_bounded_text() {
    for name in ["jti", "nonce"] {
        for value in [json!(""), json!(1), json!(true), json!(["a"]), json!("a\n"), json!("a\u{0}")] {
            assert_claims_refused(json!({name: value}), ProofError::Claims(name));
        }
        let refused = prove(with_claim_text(name, &format!("\"{name}\":null")));
        assert_eq!(refused, Err(ProofError::Claims(name)));
    }
    assert_claims_refused(json!({"jti": null}), ProofError::Claims("jti"));
    for nonce in ["a b", "a\"b", "a\\b", "ä"] {
        assert_claims_refused(json!({"nonce": nonce}), ProofError::Claims("nonce"));
    }
}

#[test]
fn reasons_are_stable_names() {
    for (error, reason) in [
        (FORM, "proof_malformed"),
        (ProofError::TooLarge, "proof_too_large"),
        (ProofError::Type, "proof_type"),
        (ProofError::Header("jku"), "proof_header"),
        (ProofError::Algorithm, "proof_algorithm"),
        (key(KeyError::Point), "proof_key"),
        (ProofError::Signature, "proof_signature"),
        (ProofError::Claims("jti"), "proof_claims"),
        (ProofError::Method, "proof_method"),
        (ProofError::Uri, "proof_uri"),
        (ProofError::Token, "proof_token"),
        (ProofError::Binding, "proof_binding"),
        (ProofError::Stale, "proof_stale"),
        (ProofError::NotYetValid, "proof_not_yet_valid"),
    ] {
        assert_eq!(error.reason(), reason);
    }
}
