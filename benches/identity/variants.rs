//! What is compared: who guards the server, and with what calls.

use serde_json::{Value, json};

use crate::{
    envoy::shipped,
    keys::{Key, now, token_hash, unique},
};

/// The server as clients know it; requests really go to 127.0.0.1.
const RESOURCE: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://idp.example.com";
const RS256: &str = "jwt_authn RS256";
const ES256: &str = "jwt_authn ES256";
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

/// Everything that is compared. The first is what all others are compared with.
pub(crate) fn variants() -> Vec<Variant> {
    // Tokens that are not remembered differ, as those of many callers do.
    const CALLERS: usize = 64;
    let (rs256, es256, eddsa) = (Key::rs256(), Key::es256(), Key::eddsa());
    let remembering = json!({});
    let forgetful = json!({ "cache": { "entries": 0 } });
    let in_wasm = json!({ "native_signatures": false });
    let forgetful_in_wasm = json!({ "native_signatures": false, "cache": { "entries": 0 } });
    let beside_rs256 = |most| Some((RS256, most));
    let beside_es256 = |most| Some((ES256, most));
    let bearer = |name, filter, issuer, tokens, beside| Variant {
        name,
        filter,
        calls: Calls::bearer(issuer, tokens),
        count: 1000,
        beside,
    };
    let dpop = |name, more, proof_key, beside| Variant {
        name,
        filter: ours(&rs256, more),
        calls: Calls::dpop(&rs256, proof_key),
        count: 1000,
        beside,
    };
    let mut variants = vec![
        bearer("no filter", None, &rs256, 1, None),
        bearer(RS256, native(&rs256, 0), &rs256, CALLERS, None),
        bearer(ES256, native(&es256, 0), &es256, CALLERS, None),
        bearer("jwt_authn RS256, cached", native(&rs256, 100), &rs256, 1, None),
        bearer("jwt_authn ES256, cached", native(&es256, 100), &es256, 1, None),
        bearer("bearer RS256, cached", ours(&rs256, &remembering), &rs256, 1, beside_rs256(Some(1.0))),
        bearer("bearer ES256, cached", ours(&es256, &remembering), &es256, 1, beside_es256(Some(1.0))),
        bearer("bearer RS256", ours(&rs256, &forgetful), &rs256, CALLERS, beside_rs256(None)),
        bearer("bearer ES256", ours(&es256, &forgetful), &es256, CALLERS, beside_es256(None)),
        bearer("bearer EdDSA", ours(&eddsa, &forgetful), &eddsa, CALLERS, beside_es256(None)),
        dpop("DPoP ES256", &remembering, Key::es256(), beside_rs256(Some(2.5))),
        dpop("DPoP EdDSA", &remembering, Key::eddsa(), beside_rs256(Some(2.5))),
        bearer(
            "bearer RS256, in wasm",
            ours(&rs256, &forgetful_in_wasm),
            &rs256,
            CALLERS,
            beside_rs256(None),
        ),
        bearer(
            "bearer ES256, in wasm",
            ours(&es256, &forgetful_in_wasm),
            &es256,
            CALLERS,
            beside_es256(None),
        ),
        dpop("DPoP ES256, in wasm", &in_wasm, Key::es256(), beside_rs256(None)),
    ];
    for variant in &mut variants {
        if variant.name.ends_with("in wasm") {
            variant.count = 200;
        }
        // A VM of its own, so that none finds what another has cached.
        if let Some(vm) = variant.filter.as_mut().and_then(|filter| filter.pointer_mut("/config/vm_config")) {
            vm["vm_id"] = json!(variant.name);
        }
    }
    variants
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

/// The filter as it is shipped, with a configuration to which `more` is added.
fn ours(issuer: &Key, more: &Value) -> Option<Value> {
    let mut configuration = json!({
        "resources": [{ "resource": RESOURCE, "hosts": ["localhost"] }],
        "issuers": [{
            "issuer": ISSUER, "audiences": [RESOURCE], "algorithms": [issuer.algorithm()],
            "jwks": issuer.key_set(),
        }],
    });
    configuration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut filter = shipped("filters/token-validator.yaml")["resources"][0]["typed_config"].take();
    filter["config"]["configuration"]["value"] = configuration;
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
