//! Hostile tokens and proofs through a real Envoy, whose signatures are checked natively. The library's own tests have
//! more of each kind; here every kind comes by the way that an attacker has.

use std::time::{SystemTime, UNIX_EPOCH};

use airlock_jose::issue::{SigningKey, access_token_hash};
use airlock_tests::{
    client::Call,
    gateway::{Configuration, Gateway, Shape},
    tokens::{AUDIENCE, ISSUER, Issuer, foreign, issuer_of},
    upstream::Upstream,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn encoded(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The key of [`Issuer`].
fn key() -> SigningKey {
    SigningKey::from_seed([7; 32]).unwrap()
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": key().key_id(), "typ": "at+jwt" })
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "mallory@example.com", "client_id": "c", "scope": "mcp:read",
        "iat": now(), "exp": now() + 600, "jti": "1",
    })
}

fn but(mut document: Value, name: &str, value: Value) -> Value {
    document[name] = value;
    document
}

fn without(mut document: Value, name: &str) -> Value {
    document.as_object_mut().unwrap().remove(name);
    document
}

/// A token with these, signed by the issuer.
fn signed(header: &Value, claims: &Value) -> String {
    key().sign_anything(&header.to_string(), claims.to_string().as_bytes())
}

/// Tokens whose header is wrong.
fn headers() -> Vec<(&'static str, String, &'static str)> {
    let with = |name: &str, value: Value| signed(&but(header(), name, value), &claims());
    let jwk = key().public_jwk();
    let unsigned = |algorithm: &str| {
        let header = but(header(), "alg", json!(algorithm)).to_string();
        format!("{}.{}.", encoded(header), encoded(claims().to_string()))
    };
    let raw = |header: &str| key().sign_anything(header, claims().to_string().as_bytes());
    let kid = key().key_id().to_owned();
    vec![
        ("alg none", unsigned("none"), "token_algorithm"),
        ("alg NONE", unsigned("NONE"), "token_algorithm"),
        ("alg nOnE, signed", with("alg", json!("nOnE")), "token_algorithm"),
        ("HS256, the public key as its secret", with("alg", json!("HS256")), "token_algorithm"),
        ("another algorithm than the key's", with("alg", json!("ES256")), "token_algorithm"),
        ("no alg", signed(&without(header(), "alg"), &claims()), "token_algorithm"),
        ("unknown kid", with("kid", json!("other")), "token_key_unknown"),
        ("kid as a path", with("kid", json!("../../dev/null")), "token_key_unknown"),
        ("kid of 300 bytes", with("kid", json!("k".repeat(300))), "token_malformed"),
        ("kid with a line feed", with("kid", json!("a\nb")), "token_malformed"),
        ("kid as a number", with("kid", json!(7)), "token_malformed"),
        ("jku", with("jku", json!("https://evil.example.com/jwks")), "token_header"),
        ("jwk", with("jwk", jwk), "token_header"),
        ("x5u", with("x5u", json!("https://evil.example.com/x5u")), "token_header"),
        ("x5c", with("x5c", json!(["MIIB"])), "token_header"),
        ("zip", with("zip", json!("DEF")), "token_header"),
        ("crit unknown", with("crit", json!(["exp"])), "token_critical_header"),
        ("crit empty", with("crit", json!([])), "token_critical_header"),
        ("crit as a string", with("crit", json!("exp")), "token_critical_header"),
        ("b64 false", with("b64", json!(false)), "token_critical_header"),
        ("a proof", with("typ", json!("dpop+jwt")), "token_type"),
        ("a logout token", with("typ", json!("logout+jwt")), "token_type"),
        ("an ID token", with("typ", json!("JWT")), "token_type"),
        ("no typ", signed(&without(header(), "typ"), &claims()), "token_type"),
        (
            "alg twice",
            raw(&format!(r#"{{"alg":"none","alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#)),
            "token_malformed",
        ),
        (
            "alg twice, escaped",
            raw(&format!(r#"{{"\u0061lg":"none","alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#)),
            "token_malformed",
        ),
        ("a header over 8 KiB", with("x", json!("x".repeat(9_000))), "token_too_large"),
        (
            "a deep header",
            raw(&format!(r#"{{"alg":"EdDSA","typ":"at+jwt","x":{}{}}}"#, "[".repeat(40), "]".repeat(40))),
            "token_malformed",
        ),
        ("a header that is a list", raw("[]"), "token_malformed"),
    ]
}

/// Tokens whose claims are wrong.
fn payloads() -> Vec<(&'static str, String, &'static str)> {
    let with = |name: &str, value: Value| signed(&header(), &but(claims(), name, value));
    let raw = |payload: &[u8]| key().sign_anything(&header().to_string(), payload);
    vec![
        ("exp absent", signed(&header(), &without(claims(), "exp")), "token_claims"),
        ("exp negative", with("exp", json!(-1)), "token_claims"),
        ("exp with a fraction", with("exp", json!(9_999_999_999.5)), "token_claims"),
        ("exp beyond all years", with("exp", json!(1e300)), "token_claims"),
        ("exp as a string", with("exp", json!("9999999999")), "token_claims"),
        ("expired", with("exp", json!(now() - 60)), "token_expired"),
        ("not yet valid", with("nbf", json!(now() + 600)), "token_not_yet_valid"),
        ("issued ahead", with("iat", json!(now() + 600)), "token_not_yet_valid"),
        ("another audience", with("aud", json!("https://other.example.com")), "token_audience"),
        ("a longer audience", with("aud", json!(format!("{AUDIENCE}/x"))), "token_audience"),
        ("a shorter audience", with("aud", json!("https://mcp.example.com")), "token_audience"),
        ("an audience with a slash", with("aud", json!(format!("{AUDIENCE}/"))), "token_audience"),
        ("an audience in capitals", with("aud", json!(AUDIENCE.to_uppercase())), "token_audience"),
        (
            "other audiences",
            with("aud", json!(["https://a.example.com", "https://b.example.com"])),
            "token_audience",
        ),
        ("no audience", signed(&header(), &without(claims(), "aud")), "token_claims"),
        ("another issuer", with("iss", json!("https://evil.example.com")), "token_issuer"),
        ("an issuer with a slash", with("iss", json!(format!("{ISSUER}/"))), "token_issuer"),
        ("no issuer", signed(&header(), &without(claims(), "iss")), "token_issuer"),
        ("no subject", signed(&header(), &without(claims(), "sub")), "token_claims"),
        ("a subject with a line feed", with("sub", json!("alice\nadmin")), "token_claims"),
        ("the events of a logout", with("events", json!({})), "token_type"),
        ("the hash of an ID token", with("at_hash", json!("x")), "token_type"),
        ("groups elsewhere", with("_claim_names", json!({ "groups": "src1" })), "token_claims"),
        ("bound to what nobody can show", with("cnf", json!({ "kid": "x" })), "token_bound"),
        ("bound to a key", with("cnf", json!({ "jkt": key().key_id() })), "proof_missing"),
        ("bound to a certificate", with("cnf", json!({ "x5t#S256": encoded([0; 32]) })), "token_certificate"),
        (
            "sub twice",
            raw(format!(r#"{{"sub":"alice",{}"#, &claims().to_string().get(1..).unwrap()).as_bytes()),
            "token_malformed",
        ),
        ("claims that are no UTF-8", raw(b"{\"iss\":\"\xff\"}"), "token_malformed"),
        ("claims that are a list", raw(b"[]"), "token_malformed"),
        ("a token over 16 KiB", with("x", json!("x".repeat(16_000))), "token_too_large"),
    ]
}

/// Texts that only look like a token.
fn forms() -> Vec<(&'static str, String, &'static str)> {
    let good = signed(&header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [head, payload, signature] = parts.as_slice() else { panic!("three parts") };
    let serialised = json!({ "protected": head, "payload": payload, "signature": signature }).to_string();
    // Ed25519 with S + L, the other name of the same number (RFC 8032 section 5.1.7 refuses it).
    let mut malleable = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10_u8,
    ];
    let mut carry = 0;
    for (byte, more) in malleable.iter_mut().skip(32).zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    vec![
        ("two parts", format!("{head}.{payload}"), "token_malformed"),
        ("four parts", format!("{good}.{signature}"), "token_malformed"),
        (
            "five parts, as if encrypted",
            format!("{head}.{payload}.{signature}.{head}.{payload}"),
            "token_malformed",
        ),
        ("padding", format!("{good}=="), "token_malformed"),
        ("a space within", format!("{head}. {payload}.{signature}"), "token_malformed"),
        (
            "the alphabet of base64",
            format!("{head}.{payload}.{}", signature.replace(['-', '_'], "+")) + "/",
            "token_malformed",
        ),
        ("as JSON", serialised, "token_malformed"),
        ("no signature", format!("{head}.{payload}."), "token_signature"),
        ("half a signature", format!("{head}.{payload}.{}", encoded([1; 32])), "token_signature"),
        ("a signature of zeros", format!("{head}.{payload}.{}", encoded([0; 64])), "token_signature"),
        (
            "a signature in another form",
            format!("{head}.{payload}.{}", encoded(malleable)),
            "token_signature",
        ),
        ("opaque", "0123456789abcdef".to_owned(), "token_malformed"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hostile_token_gets_through() {
    let (upstream, address) = Upstream::start().await;
    let gateway = Gateway::start(Shape::Whole, address, Configuration::default()).await;
    for (name, token, reason) in [headers(), payloads(), forms()].concat() {
        let answer = Call::tool("echo", &json!({})).token(&token).send(gateway.address).await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, reason), "{name}: {}", answer.text());
    }
    assert!(upstream.received().is_empty());
    let good = signed(&header(), &claims());
    assert_eq!(Call::tool("echo", &json!({})).token(&good).send(gateway.address).await.status, 200);
}

/// What Envoy's own cryptography is asked, and what it must not be asked.
#[tokio::test(flavor = "multi_thread")]
async fn no_signature_of_another_form_is_taken_by_the_proxy() {
    let made = ["ES256", "RS256"].map(|algorithm| (algorithm, foreign(algorithm)));
    let issuer = |(algorithm, (jwk, _)): &(&str, (Value, String))| {
        json!({
            "issuer": issuer_of(algorithm), "audiences": [AUDIENCE], "algorithms": [algorithm],
            "jwks": { "keys": [jwk] },
        })
    };
    let issuers: Vec<Value> = made.iter().map(issuer).collect();
    let (upstream, address) = Upstream::start().await;
    let configuration = Configuration::default().with("/identity/issuers", json!(issuers));
    let gateway = Gateway::start(Shape::Whole, address, configuration).await;
    for (algorithm, (_, token)) in &made {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let (r, s) = signature.split_at(signature.len() / 2);
        let (zeros, ones) = (vec![0; r.len()], vec![0xff; r.len()]);
        let der = [&[0x30, 0x44, 0x02, 0x20][..], r, &[0x02, 0x20], s].concat();
        for (name, forged) in [
            ("zeros", [&zeros[..], &zeros].concat()),
            ("r zero", [&zeros[..], s].concat()),
            ("s zero", [r, &zeros[..]].concat()),
            ("r and s too large", [&ones[..], &ones].concat()),
            ("swapped", [s, r].concat()),
            ("DER", der),
            ("a byte too long", [&signature[..], &[0]].concat()),
            ("a leading zero", [&[0], &signature[..]].concat()),
            ("a byte too short", signature.split_last().unwrap().1.to_vec()),
            ("nothing", Vec::new()),
        ] {
            let token = format!("{signed}.{}", encoded(forged));
            let answer = Call::tool("echo", &json!({})).token(&token).send(gateway.address).await;
            assert_eq!(
                (answer.status, answer.reason().as_str()),
                (401, "token_signature"),
                "{algorithm}: {name}"
            );
        }
    }
    assert!(upstream.received().is_empty());
    for (algorithm, (_, token)) in &made {
        let answer = Call::tool("echo", &json!({})).token(token).send(gateway.address).await;
        assert_eq!(answer.status, 200, "{algorithm}");
    }
}

/// Proofs that prove nothing, for a token that is good.
fn proofs(client: &SigningKey, token: &str) -> Vec<(&'static str, String, &'static str)> {
    let jwk = without(without(without(client.public_jwk(), "kid"), "alg"), "use");
    let header = json!({ "alg": "EdDSA", "typ": "dpop+jwt", "jwk": jwk });
    let claims = json!({
        "jti": "1", "htm": "POST", "htu": AUDIENCE, "iat": now(), "ath": access_token_hash(token),
    });
    let made = |header: &Value, claims: &Value| {
        client.sign_anything(&header.to_string(), claims.to_string().as_bytes())
    };
    let head = |name: &str, value: Value| made(&but(header.clone(), name, value), &claims);
    let says = |name: &str, value: Value| made(&header, &but(claims.clone(), name, value));
    let lacks = |name: &str| made(&header, &without(claims.clone(), name));
    let private = but(jwk.clone(), "d", json!(encoded([8; 32])));
    let off_curve = json!({ "kty": "EC", "crv": "P-256", "x": encoded([1; 32]), "y": encoded([1; 32]) });
    let weak = json!({ "kty": "RSA", "n": encoded([0xff; 128]), "e": "AQAB" });
    let identity = json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded([&[1_u8][..], &[0; 31]].concat()) });
    let other = SigningKey::from_seed([9; 32]).unwrap();
    let rfc = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    vec![
        ("that of RFC 9449, figure 13", rfc.to_owned(), "proof_method"),
        ("no key", made(&without(header.clone(), "jwk"), &claims), "proof_key"),
        ("a private key", head("jwk", private), "proof_key"),
        ("alg none", head("alg", json!("none")), "proof_algorithm"),
        ("alg HS256", head("alg", json!("HS256")), "proof_algorithm"),
        ("another algorithm than the key's", head("alg", json!("ES256")), "proof_algorithm"),
        ("a symmetric key", head("jwk", json!({ "kty": "oct" })), "proof_key"),
        (
            "a point that is not on its curve",
            but_algorithm(client, &header, &claims, "ES256", off_curve),
            "proof_binding",
        ),
        ("a short RSA key", but_algorithm(client, &header, &claims, "RS256", weak), "proof_binding"),
        ("a key of small order", head("jwk", identity), "proof_binding"),
        ("an access token's typ", head("typ", json!("at+jwt")), "proof_type"),
        ("JWT as its typ", head("typ", json!("JWT")), "proof_type"),
        ("crit", head("crit", json!(["exp"])), "proof_header"),
        ("jku", head("jku", json!("https://evil.example.com")), "proof_header"),
        ("jti absent", lacks("jti"), "proof_claims"),
        ("jti empty", says("jti", json!("")), "proof_claims"),
        ("jti of 10,000 bytes", says("jti", json!("x".repeat(5_000))), "proof_claims"),
        ("htm absent", lacks("htm"), "proof_claims"),
        ("htm of another method", says("htm", json!("GET")), "proof_method"),
        ("htm in small letters", says("htm", json!("post")), "proof_method"),
        ("htu absent", lacks("htu"), "proof_claims"),
        ("htu of another host", says("htu", json!("https://mcp.example.net/mcp")), "proof_uri"),
        ("htu that begins alike", says("htu", json!(format!("{AUDIENCE}.evil.example.com"))), "proof_uri"),
        (
            "htu with a user",
            says("htu", json!("https://mcp.example.com@evil.example.com/mcp")),
            "proof_claims",
        ),
        ("htu of what is behind", says("htu", json!("http://127.0.0.1/mcp")), "proof_uri"),
        ("iat absent", lacks("iat"), "proof_claims"),
        ("iat too long ago", says("iat", json!(now() - 400)), "proof_stale"),
        ("iat ahead", says("iat", json!(now() + 400)), "proof_not_yet_valid"),
        ("iat as a string", says("iat", json!(now().to_string())), "proof_claims"),
        ("exp passed", says("exp", json!(now() - 1)), "proof_stale"),
        ("ath absent", lacks("ath"), "proof_claims"),
        ("ath of another token", says("ath", json!(access_token_hash("x"))), "proof_token"),
        ("another key", other.sign_proof(&claims), "proof_binding"),
        (
            "another key's signature",
            {
                let (mine, theirs) = (made(&header, &claims), other.sign_proof(&claims));
                format!("{}.{}", mine.rsplit_once('.').unwrap().0, theirs.rsplit_once('.').unwrap().1)
            },
            "proof_signature",
        ),
        ("over 8 KiB", says("x", json!("x".repeat(9_000))), "proof_too_large"),
        ("two in a line", format!("{0},{0}", made(&header, &claims)), "proof_malformed"),
        ("opaque", "abc".to_owned(), "proof_malformed"),
    ]
}

fn but_algorithm(client: &SigningKey, header: &Value, claims: &Value, algorithm: &str, jwk: Value) -> String {
    let header = but(but(header.clone(), "alg", json!(algorithm)), "jwk", jwk);
    client.sign_anything(&header.to_string(), claims.to_string().as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hostile_proof_gets_through() {
    let (upstream, address) = Upstream::start().await;
    let mut configuration = Configuration::default();
    configuration.0["identity"]["resources"] = json!([{ "resource": AUDIENCE, "hosts": ["127.0.0.1"] }]);
    let gateway = Gateway::start(Shape::Whole, address, configuration).await;
    let client = SigningKey::from_seed([8; 32]).unwrap();
    let token = Issuer::default().bound("alice@example.com", "mcp:read", client.key_id());
    let call = |proof: &str| {
        Call::tool("echo", &json!({}))
            .header("authorization", format!("DPoP {token}").as_bytes())
            .header("dpop", proof.as_bytes())
    };
    for (name, proof, reason) in proofs(&client, &token) {
        let answer = call(&proof).send(gateway.address).await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, reason), "{name}: {}", answer.text());
    }
    assert!(upstream.received().is_empty());
    let good = json!({
        "jti": "1", "htm": "POST", "htu": AUDIENCE, "iat": now(), "ath": access_token_hash(&token),
    });
    assert_eq!(
        call(&client.sign_proof(&good)).send(gateway.address).await.status,
        200,
        "no refused proof was spent"
    );
}
