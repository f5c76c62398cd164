use std::rc::Rc;

use airlock_jose::issue::{SigningKey, access_token_hash};
use airlock_pipeline::{
    Caller, Exchange, Headers, Options, Reply, Stage,
    memory::{self, MemoryHost, Passed},
};
use serde_json::{Value, json};

use crate::{Memory, TokenValidator};

pub(super) const ISSUER: &str = "https://issuer.example.com";
pub(super) const RESOURCE: &str = "https://mcp.example.com/mcp";
pub(super) const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
pub(super) const NOW: u64 = 1_700_000_000;

/// The issuer's key.
pub(super) fn key() -> SigningKey {
    SigningKey::from_seed([7; 32]).unwrap()
}

/// A client's key.
pub(super) fn client_key() -> SigningKey {
    SigningKey::from_seed([8; 32]).unwrap()
}

pub(super) fn configuration() -> Value {
    json!({
        "resources": [{"resource": RESOURCE, "scopes_supported": ["mcp:read", "mcp:write"]}],
        "issuers": [{"issuer": ISSUER, "algorithms": ["EdDSA"], "jwks": {"keys": [key().public_jwk()]}}],
    })
}

/// The configuration with another value at a JSON pointer.
pub(super) fn with(pointer: &str, value: Value) -> Value {
    let mut configuration = configuration();
    set(&mut configuration, pointer, value);
    configuration
}

pub(super) fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[member] = value;
}

pub(super) fn stage(configuration: Value, memory: &Memory) -> Result<TokenValidator, String> {
    TokenValidator::new(serde_json::from_value(configuration).map_err(|error| error.to_string())?, memory)
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "agent", "exp": NOW + 60, "scope": "mcp:read",
        "jti": "token-1",
    })
}

pub(super) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// A token that is bound to the client's key.
pub(super) fn bound_token() -> String {
    key().sign(&claims_with("cnf", json!({"jkt": client_key().key_id()})))
}

/// The claims of a proof for a POST with this token.
pub(super) fn proof_claims(token: &str) -> Value {
    json!({"jti": "proof-1", "htm": "POST", "htu": RESOURCE, "iat": NOW, "ath": access_token_hash(token)})
}

/// A stage over one worker's memory, called request by request.
pub(super) struct Gateway {
    stages: Rc<[Box<dyn Stage>]>,
    pub(super) host: MemoryHost,
}

/// What became of a request.
pub(super) struct Outcome {
    pub(super) passed: Passed,
    pub(super) caller: Caller,
    pub(super) exchange: Exchange,
    /// Headers as the server gets them.
    pub(super) upstream: Option<Headers>,
}

impl Gateway {
    pub(super) fn new(configuration: Value) -> Self {
        Self::over(configuration, &Memory::default())
    }

    pub(super) fn over(configuration: Value, memory: &Memory) -> Self {
        let stage = stage(configuration, memory).unwrap();
        let host = MemoryHost { now: NOW * 1_000_000, ..MemoryHost::default() };
        Self { stages: Rc::new([Box::new(stage)]), host }
    }

    /// Another configuration, over the shared data that is there.
    pub(super) fn reconfigured(self, configuration: Value, memory: &Memory) -> Self {
        Self { host: self.host, ..Self::over(configuration, memory) }
    }

    /// Sends a POST of an MCP message with these header lines.
    pub(super) fn send(&mut self, lines: &[(&str, &str)]) -> Outcome {
        self.request(memory::post(), lines)
    }

    /// Sends a POST with this token and no proof.
    pub(super) fn bearer(&mut self, token: &str) -> Outcome {
        self.send(&[("authorization", &format!("Bearer {token}"))])
    }

    /// Sends a POST with this token and this proof.
    pub(super) fn dpop(&mut self, token: &str, proof: &str) -> Outcome {
        self.send(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
    }

    pub(super) fn request(&mut self, headers: Headers, lines: &[(&str, &str)]) -> Outcome {
        let own = headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec()));
        let more = lines.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        self.host.request_headers = Headers::new(own.chain(more).collect());
        (self.host.upstream, self.host.downstream) = Default::default();
        self.host.reply = None;
        let exchange = Rc::default();
        let mut chain =
            airlock_pipeline::Chain::new(Rc::clone(&self.stages), Rc::clone(&exchange), Options::default());
        let passed = self.host.request(&mut chain, &[b"{}"], false);
        if let Passed::On(_) = passed {
            self.host.response(&mut chain, Headers::from([(":status", "200")]), &[], false);
        }
        drop(chain);
        let exchange = Rc::try_unwrap(exchange).unwrap().into_inner();
        let upstream = self.host.upstream.headers.clone();
        Outcome { passed, caller: exchange.facts.caller.clone(), exchange, upstream }
    }
}

impl Outcome {
    #[track_caller]
    pub(super) fn admitted(&self) -> &airlock_jose::Claims {
        assert!(matches!(self.passed, Passed::On(_)), "{:?}", self.passed);
        self.caller.claims().unwrap()
    }

    #[track_caller]
    pub(super) fn reply(&self) -> &Reply {
        let Passed::Refused(reply) = &self.passed else { panic!("{:?}", self.passed) };
        reply
    }

    #[track_caller]
    pub(super) fn refused(&self) -> (u16, &'static str) {
        assert_eq!(self.upstream, None);
        (self.reply().status, self.reply().reason)
    }

    /// The challenges, line by line.
    #[track_caller]
    pub(super) fn challenges(&self) -> Vec<&str> {
        self.header_lines("www-authenticate")
    }

    #[track_caller]
    pub(super) fn header_lines(&self, wanted: &str) -> Vec<&str> {
        let lines = self.reply().headers.iter().filter(|(name, _)| *name == wanted);
        lines.map(|(_, value)| value.as_str()).collect()
    }
}
