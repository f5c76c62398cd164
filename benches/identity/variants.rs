//! What is compared: who guards the server, and with what calls.

use serde_json::{Value, json};

use crate::{
    envoy::shipped,
    keys::{Key, now, token_hash, unique},
};

/// The server as clients know it; requests really go to 127.0.0.1.
const RESOURCE: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://idp.example.com";
const BODY: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}"#;

/// One listener, and what is sent to it.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// The HTTP filter; none for the Envoy that everything is compared with.
    pub(crate) filter: Option<Value>,
    pub(crate) calls: Calls,
    /// Requests in one round.
    pub(crate) count: usize,
    /// The native filter that it stands beside, and how many times as much CPU a whole request may take.
    pub(crate) beside: Option<(&'static str, Option<f64>)>,
}

/// Calls of one caller.
pub(crate) struct Calls {
    tokens: Vec<String>,
    proof_key: Option<Key>,
}

impl Calls {
    /// Calls with access tokens of this issuer, one after the other; two calls have the same token if there are fewer
    /// tokens than calls.
    fn bearer(issuer: &Key, tokens: usize) -> Self {
        let tokens = (0..tokens).map(|_| issuer.token(&claims())).collect();
        Self { tokens, proof_key: None }
    }

    #[expect(dead_code, reason = "proofs are measured once the filter reads them")]
    /// Calls with one access token, bound to a key, and a proof of its own for each call.
    fn dpop(issuer: &Key, proof_key: Key) -> Self {
        let mut claims = claims();
        claims["cnf"] = json!({ "jkt": proof_key.thumbprint() });
        Self { tokens: vec![issuer.token(&claims)], proof_key: Some(proof_key) }
    }

    /// The requests of `count` calls: as many as there are tokens where calls may be repeated.
    pub(crate) fn requests(&self, count: usize) -> Vec<Vec<u8>> {
        match &self.proof_key {
            None => self.tokens.iter().map(|token| request(Some(token), None)).collect(),
            Some(key) => (0..count).map(|_| self.proven(key)).collect(),
        }
    }

    /// Calls that are to be refused, each with what is wrong with it.
    pub(crate) fn wrong(&self) -> Vec<(&'static str, Vec<u8>)> {
        let token = &self.tokens[0];
        let mut wrong = vec![("no token", request(None, None))];
        match &self.proof_key {
            None => wrong.push(("forged", request(Some(&forged(token)), None))),
            Some(key) => {
                let proof = proof(key, token);
                wrong.push(("a forged proof", request(Some(token), Some(&forged(&proof)))));
                let forged = forged(token);
                wrong.push(("forged", request(Some(&forged), Some(&self::proof(key, &forged)))));
                wrong.push(("no proof", request(Some(token), None)));
            }
        }
        wrong
    }

    /// A call that is to be refused when it comes a second time.
    pub(crate) fn once(&self) -> Option<Vec<u8>> {
        self.proof_key.as_ref().map(|key| self.proven(key))
    }

    fn proven(&self, key: &Key) -> Vec<u8> {
        let token = &self.tokens[0];
        request(Some(token), Some(&proof(key, token)))
    }
}

/// Everything that is compared. Each comes after what it is compared with.
pub(crate) fn variants() -> Vec<Variant> {
    // Tokens of an issuer that signs without a cache differ, as those of many callers do.
    const CALLERS: usize = 64;
    let (rs256, es256, eddsa) = (Key::rs256(), Key::es256(), Key::eddsa());
    let plain = |name, filter, issuer, tokens, beside| Variant {
        name,
        filter,
        calls: Calls::bearer(issuer, tokens),
        count: 2000,
        beside,
    };
    let slow = |variant: Variant| Variant { count: 300, ..variant };
    vec![
        plain("no filter", None, &rs256, 1, None),
        plain("jwt_authn RS256", native(&rs256, 0), &rs256, CALLERS, None),
        plain("jwt_authn RS256, cached", native(&rs256, 100), &rs256, 1, None),
        plain("jwt_authn ES256", native(&es256, 0), &es256, CALLERS, None),
        plain("jwt_authn ES256, cached", native(&es256, 100), &es256, 1, None),
        slow(plain(
            "RS256",
            ours("rs256", &rs256, json!({})),
            &rs256,
            CALLERS,
            Some(("jwt_authn RS256", None)),
        )),
        slow(plain(
            "ES256",
            ours("es256", &es256, json!({})),
            &es256,
            CALLERS,
            Some(("jwt_authn ES256", None)),
        )),
        slow(plain(
            "EdDSA",
            ours("eddsa", &eddsa, json!({})),
            &eddsa,
            CALLERS,
            Some(("jwt_authn ES256", None)),
        )),
    ]
}

/// Envoy's own filter, with a cache of that many tokens.
fn native(issuer: &Key, cached: u32) -> Option<Value> {
    let mut provider = json!({
        "issuer": ISSUER, "audiences": [RESOURCE],
        "local_jwks": { "inline_string": issuer.key_set().to_string() },
    });
    if cached > 0 {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": cached });
    }
    Some(json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": { "issuer": provider },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "issuer" } }],
    }))
}

/// The filter as it is shipped, in a VM of that name, with a configuration to which `more` is added.
fn ours(vm: &str, issuer: &Key, more: Value) -> Option<Value> {
    let mut configuration = json!({
        "issuers": [{
            "issuer": ISSUER, "audiences": [RESOURCE], "algorithms": [issuer.algorithm()],
            "jwks": issuer.key_set(),
        }],
    });
    configuration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut filter = shipped("filters/token-validator.yaml")["resources"][0]["typed_config"].take();
    let config = &mut filter["config"];
    config["vm_config"]["vm_id"] = json!(vm);
    config["configuration"]["value"] = configuration;
    Some(filter)
}

fn claims() -> Value {
    let now = now();
    json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "alice@example.com", "client_id": "bench",
        "scope": "mcp:read mcp:write", "iat": now, "exp": now + 3600, "jti": unique(),
    })
}

fn proof(key: &Key, token: &str) -> String {
    let ath = token_hash(token);
    key.proof(&json!({ "jti": unique(), "htm": "POST", "htu": RESOURCE, "iat": now(), "ath": ath }))
}

/// The same with another character in the middle of its signature.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (first, second) = signature.split_at(signature.len() / 2);
    let other = if second.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{first}{other}{}", &second[1..])
}

fn request(token: Option<&str>, proof: Option<&str>) -> Vec<u8> {
    let scheme = if proof.is_some() { "DPoP" } else { "Bearer" };
    let authorization = token.map(|token| format!("authorization: {scheme} {token}\r\n")).unwrap_or_default();
    let proof = proof.map(|proof| format!("dpop: {proof}\r\n")).unwrap_or_default();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\n{authorization}{proof}\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2025-06-18\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}
