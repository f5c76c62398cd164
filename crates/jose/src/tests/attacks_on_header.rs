use serde_json::json;

use super::fixtures::*;
use crate::{TokenError, base64url, limits};

const FORM: TokenError = TokenError::Malformed("form");
const HEADER: TokenError = TokenError::Malformed("header");
const PAYLOAD: TokenError = TokenError::Malformed("payload");
const SIGNATURE: TokenError = TokenError::Malformed("signature");

fn good() -> String {
    token_with(json!({}), json!({}))
}

#[track_caller]
fn assert_refused(token: impl AsRef<[u8]>, expected: TokenError) {
    let token = token.as_ref();
    let shown: String = token.iter().take(120).map(|byte| byte.escape_ascii().to_string()).collect();
    assert_eq!(verify(token), Err(expected), "{shown}");
}

#[test]
fn an_algorithm_that_is_not_the_keys_is_refused() {
    for (signer, algorithm) in [
        (Signer::EdDsa, json!("none")),
        (Signer::EdDsa, json!("None")),
        (Signer::EdDsa, json!("NONE")),
        (Signer::EdDsa, json!("nOnE")),
        (Signer::EdDsa, json!("none ")),
        (Signer::EdDsa, json!("")),
        (Signer::EdDsa, json!("HS256")),
        (Signer::EdDsa, json!("eddsa")),
        (Signer::EdDsa, json!("Ed448")),
        (Signer::EdDsa, json!(["EdDSA"])),
        (Signer::EdDsa, json!(1)),
        (Signer::EdDsa, json!({"alg": "EdDSA"})),
        (Signer::EdDsa, json!("ES256")),
        (Signer::EdDsa, json!("RS256")),
        (Signer::Es256, json!("EdDSA")),
        (Signer::Es256, json!("RS256")),
        (Signer::Es256, json!("ES256K")),
        (Signer::Es256, json!("ES384")),
        (Signer::Rs256, json!("ES256")),
        (Signer::Rs256, json!("PS256")),
        (Signer::Rs256, json!("RS1")),
        (Signer::Rs256, json!("RS512")),
    ] {
        let header = with(signer.header(), json!({"alg": algorithm})).to_string();
        assert_refused(signer.token(header, claims().to_string()), TokenError::Algorithm);
    }
    assert_refused(token_with(json!({"alg": null}), json!({})), TokenError::Algorithm);
}

#[test]
fn an_unsigned_token_is_refused() {
    for algorithm in ["none", "None", "NONE", "nOnE"] {
        for signature in ["", "AA"] {
            let input = signing_input(json!({"alg": algorithm}).to_string(), claims().to_string());
            assert_refused(format!("{input}.{signature}"), TokenError::Algorithm);
        }
    }
    for signer in SIGNERS {
        let input = signing_input(signer.header().to_string(), claims().to_string());
        assert_refused(format!("{input}."), TokenError::Signature);
    }
}

#[test]
fn members_that_bring_or_fetch_a_key_are_refused() {
    for (name, value) in [
        ("jku", json!("https://attacker.example.com/jwks")),
        ("jwk", Signer::EdDsa.jwk()),
        ("x5u", json!("https://attacker.example.com/cert")),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([])),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
    ] {
        assert_refused(token_with(json!({name: value}), json!({})), TokenError::Header(name));
    }
}

#[test]
fn a_key_that_the_attacker_brings_is_not_used() {
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "jwk": Signer::Other.jwk()});
    assert_refused(Signer::Other.token(header.to_string(), claims().to_string()), TokenError::Header("jwk"));
}

#[test]
fn extensions_are_refused() {
    for changes in [
        json!({"crit": ["exp"]}),
        json!({"crit": ["unknown"], "unknown": 1}),
        json!({"crit": []}),
        json!({"crit": "b64"}),
        json!({"crit": {}}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"b64": "false"}),
    ] {
        assert_refused(token_with(changes, json!({})), TokenError::CriticalHeader);
    }
    let null_crit = r#"{"alg":"EdDSA","kid":"ed-1","typ":"at+jwt","crit":null}"#;
    assert_refused(Signer::EdDsa.token(null_crit, claims().to_string()), TokenError::CriticalHeader);
}

#[test]
fn an_unencoded_payload_is_refused() {
    // RFC 7797 section 3: with `b64: false` the payload stands in the signing input as it is.
    let header =
        base64url::encode(r#"{"alg":"EdDSA","kid":"ed-1","typ":"at+jwt","b64":false,"crit":["b64"]}"#);
    let input = format!("{header}.{}", base64url::encode(claims().to_string()));
    let signature = Signer::EdDsa.sign(format!("{header}.{}", claims()).as_bytes());
    assert_refused(format!("{input}.{}", base64url::encode(signature)), TokenError::CriticalHeader);
}

#[test]
fn hostile_key_ids_are_refused() {
    for (key_id, expected) in [
        (json!("ed-2"), TokenError::KeyUnknown),
        (json!("ED-1"), TokenError::KeyUnknown),
        (json!("ed-1 "), TokenError::KeyUnknown),
        (json!("../../../dev/null"), TokenError::KeyUnknown),
        (json!("' OR 1=1 --"), TokenError::KeyUnknown),
        (json!("x".repeat(limits::KEY_ID_BYTES)), TokenError::KeyUnknown),
        (json!("x".repeat(limits::KEY_ID_BYTES + 1)), HEADER),
        (json!(""), HEADER),
        (json!("ed-1\u{0}"), HEADER),
        (json!("ed-1\r\nx: y"), HEADER),
        (json!(1), HEADER),
        (json!(["ed-1"]), HEADER),
        (json!({"kid": "ed-1"}), HEADER),
    ] {
        assert_refused(token_with(json!({"kid": key_id}), json!({})), expected);
    }
}

#[test]
fn a_key_of_another_issuer_is_not_used() {
    let header = Signer::Other.header().to_string();
    assert!(
        verify(Signer::Other.token(&header, with(claims(), json!({"iss": OTHER_ISSUER})).to_string()))
            .is_ok()
    );
    assert_refused(Signer::Other.token(&header, claims().to_string()), TokenError::KeyUnknown);

    let borrowed_id = Signer::EdDsa.header().to_string();
    assert_refused(Signer::Other.token(&borrowed_id, claims().to_string()), TokenError::Signature);
    let no_id = with(Signer::Other.header(), json!({"kid": null})).to_string();
    assert_refused(Signer::Other.token(no_id, claims().to_string()), TokenError::Signature);
}

#[test]
fn other_kinds_of_token_are_refused_by_their_type() {
    for media_type in [
        json!("dpop+jwt"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("oauth-authz-req+jwt"),
        json!("token-introspection+jwt"),
        json!("application/dpop+jwt"),
        json!("id_token"),
        json!("at+jwt "),
        json!("at+jwt; x=y"),
        json!("example/at+jwt"),
        json!("jwt+at"),
        json!("JWT"),
        json!("at+jw\u{54}\u{301}"),
        json!(""),
        json!(["at+jwt"]),
        json!(1),
    ] {
        assert_refused(token_with(json!({"typ": media_type}), json!({})), TokenError::Type);
    }
}

#[test]
fn duplicate_members_are_refused_in_header_and_payload() {
    for header in [
        r#"{"alg":"EdDSA","alg":"EdDSA","kid":"ed-1","typ":"at+jwt"}"#,
        r#"{"alg":"none","alg":"EdDSA","kid":"ed-1","typ":"at+jwt"}"#,
        r#"{"alg":"EdDSA","\u0061lg":"none","kid":"ed-1","typ":"at+jwt"}"#,
        r#"{"alg":"EdDSA","kid":"ed-1","kid":"ed-2","typ":"at+jwt"}"#,
        r#"{"alg":"EdDSA","kid":"ed-1","k\u0069d":"ed-1","typ":"at+jwt"}"#,
        r#"{"alg":"EdDSA","kid":"ed-1","typ":"at+jwt","x":{"y":1,"\u0079":1}}"#,
    ] {
        assert_refused(Signer::EdDsa.token(header, claims().to_string()), HEADER);
    }
    let claims = claims().to_string();
    let rest = claims.strip_prefix('{').unwrap();
    for first in [
        r#""iss":"https://other.example.com","#,
        r#""iss":"https://issuer.example.com","#,
        r#""\u0069ss":"https://other.example.com","#,
        r#""sub":"admin","#,
        r#""s\u0075b":"admin","#,
        r#""x":[{"y":{"z":1,"z":2}}],"#,
    ] {
        let payload = format!("{{{first}{rest}");
        assert_refused(Signer::EdDsa.token(Signer::EdDsa.header().to_string(), payload), PAYLOAD);
    }
}

#[test]
fn what_is_not_a_json_object_is_refused() {
    let good_header = Signer::EdDsa.header().to_string();
    let deep = format!("{}1{}", r#"{"x":"#.repeat(16), "}".repeat(16));
    let deeper = format!("{}1{}", r#"{"x":"#.repeat(17), "}".repeat(17));
    for bad in [
        &b""[..],
        b" ",
        b"[]",
        b"null",
        b"\"alg\"",
        b"1",
        b"{",
        b"{}{}",
        b"{\"alg\":\"EdDSA\",}",
        b"{\"alg\":\"EdDSA\xff\"}",
        b"\xef\xbb\xbf{\"alg\":\"EdDSA\"}",
        b"{\"alg\":\"EdDSA\"}\0",
        b"\xff\xfe{\0}\0",
        deeper.as_bytes(),
    ] {
        assert_refused(Signer::EdDsa.token(bad, claims().to_string()), HEADER);
        assert_refused(Signer::EdDsa.token(&good_header, bad), PAYLOAD);
    }
    assert_refused(Signer::EdDsa.token(&good_header, deep), TokenError::Issuer);
}

#[test]
fn other_forms_than_the_compact_one_are_refused() {
    let good = good();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for (token, expected) in [
        (String::new(), FORM),
        (".".to_owned(), FORM),
        ("..".to_owned(), HEADER),
        (header.to_owned(), FORM),
        (format!("{header}.{payload}"), FORM),
        (format!("{good}."), FORM),
        (format!("{good}.AA"), FORM),
        (format!("{good}.AA.AA"), FORM),
        (format!(".{good}"), FORM),
        (format!("{header}..{signature}"), PAYLOAD),
        (format!(".{payload}.{signature}"), HEADER),
        (json!({"payload": payload, "protected": header, "signature": signature}).to_string(), FORM),
        (
            json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})
                .to_string(),
            FORM,
        ),
        (format!("{{\"protected\":\"{header}\"}}.{payload}.{signature}"), HEADER),
        (format!("Bearer {good}"), HEADER),
        (format!("{good},{good}"), FORM),
        (format!("{good};{}", "x"), SIGNATURE),
    ] {
        assert_refused(token, expected);
    }
}

#[test]
fn base64_that_is_not_canonical_is_refused() {
    let good = good();
    let segments: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for (index, expected) in [HEADER, PAYLOAD, SIGNATURE].into_iter().enumerate() {
        let segment = segments[index];
        let (start, end) = segment.split_at(8);
        for changed in [
            format!("{segment}="),
            format!("{segment}=="),
            format!("{segment} "),
            format!(" {segment}"),
            format!("{segment}\n"),
            format!("{start}\r\n{end}"),
            format!("{start} {end}"),
            format!("{start}\0{end}"),
            format!("{start}+{end}"),
            format!("{start}/{end}"),
            format!("{start}%2E{end}"),
            format!("{start}é{end}"),
        ] {
            let mut token = segments.map(str::to_owned);
            token[index] = changed;
            assert_refused(token.join("."), expected);
        }
    }
    assert_refused([good.as_bytes(), b"\xff"].concat(), SIGNATURE);
}

#[test]
fn sizes_are_limited_before_anything_is_decoded() {
    assert_refused(vec![b'.'; limits::TOKEN_BYTES], FORM);
    assert_refused(vec![b'.'; limits::TOKEN_BYTES + 1], TokenError::TooLarge);
    assert_refused(vec![b'A'; 10 * limits::TOKEN_BYTES], TokenError::TooLarge);

    let fill = |length| token_with(json!({"x": "x".repeat(length)}), json!({}));
    let header_bytes = |token: &str| token.split('.').next().unwrap().len();
    let largest =
        (6000..6200).rev().find(|length| header_bytes(&fill(*length)) <= limits::HEADER_BYTES).unwrap();
    assert!(verify(fill(largest)).is_ok());
    assert_refused(fill(largest + 1), TokenError::TooLarge);
}
