//! A gateway in front of a server, with the identity provider that knows the server as a resource.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    client::{Answer, Call},
    gateway::{Configuration, Gateway, Shape},
    provider::{Client, Grant, Provider, Resource},
    suites::free_port,
};

/// Scopes of the server, those of the default policy.
pub const SCOPES: [&str; 2] = ["mcp:read", "mcp:write"];

/// What clients know and what they talk to, before the gateway is there.
#[derive(Debug)]
pub struct Plan {
    /// The identity provider.
    pub provider: Provider,
    /// A client of it.
    pub client: Client,
    /// The URL of the server for clients: its resource identifier.
    pub resource: String,
    port: u16,
    /// With the resource in its section `identity`, and the provider as issuer whose keys are fetched.
    pub configuration: Configuration,
}

/// All of it at work.
#[derive(Debug)]
pub struct Site {
    /// The identity provider.
    pub provider: Provider,
    /// A client of it.
    pub client: Client,
    /// The URL of the server for clients.
    pub resource: String,
    /// The gateway.
    pub gateway: Gateway,
}

impl Plan {
    /// Starts a provider, and a client of it, for a gateway at a port that is free.
    pub async fn new() -> Self {
        let port = free_port();
        let resource = format!("http://127.0.0.1:{port}/mcp");
        let provider = Provider::start(&[Resource::new(&resource, &SCOPES)]).await;
        let client = Client::start(&provider);
        let identity = json!({
            "resources": [{ "resource": resource, "scopes_supported": ["mcp:read"] }],
            "issuers": [{ "issuer": provider.issuer(), "cluster": "provider" }],
        });
        let configuration = Configuration::default().with("/identity", identity);
        Self { provider, client, resource, port, configuration }
    }

    /// With something else at a JSON pointer of the configuration.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        self.configuration = self.configuration.with(pointer, value);
        self
    }

    /// With proofs that need a nonce of the gateway.
    #[must_use]
    pub fn asking_for_nonces(self) -> Self {
        self.with("/identity/dpop", json!({ "nonce": { "required": true } }))
    }

    /// Opens the gateway in front of `upstream`.
    pub async fn open(self, shape: Shape, upstream: SocketAddr) -> Site {
        let Self { provider, client, resource, port, configuration } = self;
        let gateway = Gateway::beside(provider.address, port, shape, upstream, configuration).await;
        Site { provider, client, resource, gateway }
    }
}

impl Site {
    /// A call of `echo` with a token of its own, and a proof if the token is bound to a key.
    pub async fn call(&self, grant: &Grant, proof: Option<&str>) -> Answer {
        grant.on(Call::tool("echo", &json!({})), proof).send(self.gateway.address).await
    }

    /// A proof for [`Self::call`].
    pub async fn proof(&self, grant: &Grant, nonce: Option<&str>) -> String {
        self.client.proof(grant, "POST", &self.resource, nonce).await
    }
}
