//! A real identity provider, and a client of it whose cryptography is not ours.

use std::{net::SocketAddr, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::Call,
    process::Process,
    repository,
    suites::{free_port, node},
};

/// npm `oidc-provider` (`tests/issuers/provider.mjs`). Everybody who signs in is whom they say they are.
#[derive(Debug)]
pub struct Provider {
    /// `None` while it is down.
    process: Option<Process>,
    /// Where it listens, also after it was down.
    pub address: SocketAddr,
    resources: Vec<Resource>,
    state: TempDir,
}

/// Something that the provider issues tokens for.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The identifier that clients ask with, and `aud` of the tokens.
    pub identifier: String,
    /// Scopes that there are.
    pub scopes: Vec<String>,
    /// What its tokens are signed with: `ES256`, `RS256` or `Ed25519`.
    pub algorithm: &'static str,
    /// How long its tokens live.
    pub lifetime_seconds: u32,
    /// What its tokens look like: `rfc9068`, `entra` or `okta`.
    pub shape: &'static str,
}

impl Resource {
    /// Tokens as RFC 9068 has them, under ES256, for ten minutes.
    pub fn new(identifier: &str, scopes: &[&str]) -> Self {
        Self {
            identifier: identifier.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            algorithm: "ES256",
            lifetime_seconds: 600,
            shape: "rfc9068",
        }
    }

    fn json(&self) -> Value {
        json!({
            "resource": self.identifier, "scopes": self.scopes, "algorithm": self.algorithm,
            "lifetime": self.lifetime_seconds, "shape": self.shape,
        })
    }
}

impl Provider {
    /// Starts a provider for these resources, with new keys.
    pub async fn start(resources: &[Resource]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let state = TempDir::new().unwrap();
        let mut provider = Self { process: None, address, resources: resources.to_vec(), state };
        provider.start_again().await;
        provider
    }

    /// Its issuer identifier.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes it down at once. Who connects is refused.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Brings it back at the same address with the same keys and resources. It has forgotten who registered.
    pub async fn start_again(&mut self) {
        let process = Process::start(
            Command::new(node())
                .arg(repository().join("tests/issuers/provider.mjs"))
                .arg(self.address.port().to_string())
                .arg(self.state.path().join("keys.json"))
                .env("NODE_NO_WARNINGS", "1"),
        );
        process.line(|line| line.strip_prefix("listening on ").map(drop));
        self.process = Some(process);
        self.protect(&self.resources.clone()).await;
    }

    /// Adds resources, or changes those that it knows.
    pub async fn protect(&mut self, resources: &[Resource]) {
        self.resources.retain(|known| resources.iter().all(|new| new.identifier != known.identifier));
        self.resources.extend_from_slice(resources);
        let documents: Vec<Value> = resources.iter().map(Resource::json).collect();
        self.control("resources", &json!(documents)).await;
    }

    /// Signs with new keys from now on, and publishes them beside those before.
    pub async fn rotate(&self) {
        self.control("rotate", &json!({})).await;
    }

    /// Publishes no keys but the newest any more.
    pub async fn withdraw(&self) {
        self.control("withdraw", &json!({})).await;
    }

    /// Whether proofs at its token endpoint need a nonce.
    pub async fn require_nonces(&self, required: bool) {
        self.control("nonces", &json!({ "required": required })).await;
    }

    /// How often a path has been asked for since it was started.
    pub async fn requested(&self, path: &str) -> u64 {
        self.control("requests", &json!({})).await[path].as_u64().unwrap_or_default()
    }

    async fn control(&self, name: &str, body: &Value) -> Value {
        let answer = Call::post(body.to_string()).path(&format!("/test/{name}")).send(self.address).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.json()
    }
}

/// A client (`tests/issuers/client.mjs`) that gets tokens and makes proofs with npm `dpop`.
#[derive(Debug)]
pub struct Client {
    _process: Process,
    address: SocketAddr,
}

/// What a client has been given.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The access token.
    pub token: String,
    /// `Bearer` or `DPoP`.
    pub kind: String,
    /// The name of the key that it is bound to, of the client that asked.
    key: Option<String>,
    /// The requests that it took: method, path and status.
    pub steps: Vec<String>,
}

impl Client {
    /// Starts a client of a provider.
    pub fn start(provider: &Provider) -> Self {
        let process = Process::start(
            Command::new(node())
                .arg(repository().join("tests/issuers/client.mjs"))
                .arg(provider.issuer())
                .env("NODE_NO_WARNINGS", "1"),
        );
        let address = process.line(|line| line.strip_prefix("listening on http://")?.parse().ok());
        Self { _process: process, address }
    }

    /// A token for the client `agent` itself, bound to a new key of the `proof` algorithm if there is one.
    pub async fn credentials(&self, resource: &str, scope: &str, proof: Option<&str>) -> Grant {
        let wanted = json!({ "resource": resource, "scope": scope, "dpop": proof });
        self.grant("credentials", &wanted).await
    }

    /// Registers, and gets a token for a user who signs in on another device.
    pub async fn device(&self, resource: &str, scope: &str, login: &str, proof: Option<&str>) -> Grant {
        let wanted = json!({ "resource": resource, "scope": scope, "login": login, "dpop": proof });
        self.grant("device", &wanted).await
    }

    /// Registers, and gets a token for a user who signs in and is redirected.
    pub async fn code(&self, resource: &str, scope: &str, login: &str, proof: Option<&str>) -> Grant {
        let wanted = json!({ "resource": resource, "scope": scope, "login": login, "dpop": proof });
        self.grant("code", &wanted).await
    }

    /// A proof for a request to `url` with the token of a grant. Its key is the one that the token is bound to, or a
    /// new one.
    pub async fn proof(&self, grant: &Grant, method: &str, url: &str, nonce: Option<&str>) -> String {
        let wanted =
            json!({ "key": grant.key, "method": method, "url": url, "nonce": nonce, "token": grant.token });
        self.ask("proof", &wanted).await["proof"].as_str().unwrap().to_owned()
    }

    async fn grant(&self, flow: &str, wanted: &Value) -> Grant {
        let answer = self.ask(flow, wanted).await;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        Grant {
            token: text("access_token").unwrap(),
            kind: text("token_type").unwrap(),
            key: text("key"),
            steps: serde_json::from_value(answer["steps"].clone()).unwrap(),
        }
    }

    async fn ask(&self, what: &str, wanted: &Value) -> Value {
        let answer = Call::post(wanted.to_string()).path(&format!("/{what}")).send(self.address).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        answer.json()
    }
}

impl Grant {
    /// With another token in its place, under the same key.
    #[must_use]
    pub fn but(&self, token: String) -> Self {
        Self { token, ..self.clone() }
    }

    /// A call with this token and, if it is bound, with a proof.
    pub fn on(&self, call: Call, proof: Option<&str>) -> Call {
        let call = call.header("authorization", format!("{} {}", self.kind, self.token).as_bytes());
        match proof {
            Some(proof) => call.header("dpop", proof.as_bytes()),
            None => call,
        }
    }
}
