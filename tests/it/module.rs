//! The compiled module in a proxy-wasm host of our own: what it needs and offers, what it does with whole exchanges,
//! and that nothing a client, a server or the proxy itself does ends its VM or lets a refused call through.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod contract;
mod exchanges;
mod faults;
mod gateway;
mod host;
mod hostile;
mod proxy;
mod receipts;

use std::path::PathBuf;

use airlock_jose::issue::SigningKey;
use serde_json::{Value, json};

use gateway::{Message, Sent};

/// The filters of a chain, outermost first.
const CHAIN: [&str; 6] =
    ["receipt-emitter", "token-validator", "mcp-parser", "tool-policy", "pii-redactor", "receipt-intent"];

/// A personal datum, which must not reach the other side.
const SECRET: &str = "ann.example@example.com";

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32]).unwrap()
}

/// The configuration of `envoy/filters/<root>.yaml`, as it is.
fn shipped(root: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../envoy/filters/{root}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap();
    let document: Value = serde_saphyr::from_str(&text).unwrap();
    let configuration = document.pointer("/resources/0/typed_config/config/configuration/value");
    configuration.unwrap_or_else(|| panic!("{} has a configuration", path.display())).clone()
}

/// The shipped configuration with keys of which the test has the other half, and a tool that writes.
fn configuration(root: &str) -> Value {
    let mut value = shipped(root);
    let (identity, policy) =
        if root == "airlock" { ("/identity/issuers/0", "/policy") } else { ("/issuers/0", "") };
    if let Some(issuer) = value.pointer_mut(identity) {
        issuer["algorithms"] = json!(["EdDSA"]);
        issuer["jwks"] = json!({"keys": [key().public_jwk()]});
    }
    if let Some(policy) = value.pointer_mut(policy).filter(|policy| policy.get("rules").is_some()) {
        let tools = policy.pointer_mut("/servers/0/tools").and_then(Value::as_array_mut).unwrap();
        tools.push(json!({"name": "save-note", "operation": "write"}));
        tools.push(json!({"name": "delete-all", "operation": "destructive"}));
        policy["rules"][0]["operations"] = json!(["read", "write"]);
    }
    value
}

/// The whole chain as one filter.
fn whole() -> Vec<(&'static str, Value)> {
    vec![("airlock", configuration("airlock"))]
}

/// The chain as six filters; each knows whether the others run in VMs of their own.
fn chain(separate_vms: bool) -> Vec<(&'static str, Value)> {
    let mut filters = CHAIN.map(|root| (root, configuration(root)));
    if separate_vms {
        for (_, configuration) in &mut filters {
            configuration["proxy"] = json!({"separate_vms": true});
        }
    }
    filters.to_vec()
}

fn token(expires_at: u64) -> String {
    key().sign(&json!({
        "iss": "https://idp.example.com", "aud": "https://mcp.example.com/mcp", "sub": "ann", "client_id": "agent",
        "scope": "mcp:read", "jti": "t-1", "exp": expires_at,
    }))
}

/// A call of `tool` by a caller whose token is good.
fn call(tool: &str) -> Message {
    let arguments = json!({"message": format!("write to {SECRET}")});
    let params = json!({"name": tool, "arguments": arguments});
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string();
    post(&body).with("authorization", &format!("Bearer {}", token(1_900_000_000)))
}

/// A call of `tool` that names nobody.
fn anonymous(tool: &str) -> Message {
    let mut message = call(tool);
    message.headers.retain(|(name, _)| name != b"authorization");
    message
}

fn post(body: &str) -> Message {
    let empty = Message { pieces: vec![body.as_bytes().to_vec()], ..Message::default() };
    empty
        .with(":method", "POST")
        .with(":path", "/mcp")
        .with(":authority", "gateway.example.com")
        .with("content-type", "application/json")
        .with("accept", "application/json, text/event-stream")
        .with("content-length", &body.len().to_string())
}

/// A server's answer that carries a personal datum.
fn answer() -> Message {
    let content = json!([{"type": "text", "text": format!("sent to {SECRET}")}]);
    let body = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": content}}).to_string();
    Message { pieces: vec![body.as_bytes().to_vec()], ..Message::default() }
        .with(":status", "200")
        .with("content-type", "application/json")
        .with("content-length", &body.len().to_string())
}

/// The same answer as an event stream.
fn stream() -> Message {
    let event = format!("event: message\ndata: {}\n\n", String::from_utf8(answer().pieces.concat()).unwrap());
    let pieces = event.repeat(2).as_bytes().chunks(40).map(<[u8]>::to_vec).collect();
    Message { pieces, ..Message::default() }.with(":status", "200").with("content-type", "text/event-stream")
}

/// A body that promises its length promises the right one.
fn assert_whole(sent: &Sent) {
    if let Some(length) = sent.header("content-length") {
        assert_eq!(length, sent.body.len().to_string());
    }
}

impl Message {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        self
    }

    fn trailing(mut self) -> Self {
        self.trailers = true;
        self
    }
}
