//! A server that notes everything that reaches it, so that tests can say what did not.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request that reached the server.
#[derive(Clone, Debug)]
pub struct Received {
    /// HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// The server. It answers every JSON-RPC request; the tool that is called says how.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    received: Arc<Mutex<Vec<Received>>>,
}

impl Upstream {
    /// Starts the server on a free port.
    pub async fn start() -> (Self, SocketAddr) {
        let upstream = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (upstream, address)
    }

    /// Everything that has reached the server.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Every call of a tool that has reached the server, by its name.
    pub fn called(&self) -> Vec<String> {
        let name = |received: &Received| {
            let message: Value = serde_json::from_slice(&received.body).ok()?;
            Some(message["params"]["name"].as_str()?.to_owned())
        };
        self.received().iter().filter_map(name).collect()
    }
}

async fn answer(
    State(upstream): State<Upstream>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    upstream.received.lock().unwrap().push(Received { method, uri, headers, body: body.clone() });
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let result = |text: &str| json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [{ "type": "text", "text": text }] } });
    match message["params"]["name"].as_str() {
        Some("stream") => stream(message["id"].clone()),
        Some("compressed") => {
            ([("content-type", "application/json"), ("content-encoding", "gzip")], "\u{1f}").into_response()
        }
        Some("large") => axum::Json(result(&"x".repeat(9 << 19))).into_response(),
        Some("page") => (axum::http::StatusCode::BAD_GATEWAY, "ask admin@example.com").into_response(),
        _ => axum::Json(result("write to jane.roe@example.com, card 4111 1111 1111 1111")).into_response(),
    }
}

/// Three events, each some time after the one before, cut at awkward places, then the result.
fn stream(id: Value) -> Response {
    const EVENT: [&str; 4] = [
        "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"data\":\"from jane.ro",
        "e@exam",
        "ple.com\"}}\r\n",
        "\r\n",
    ];
    let last = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } });
    let pieces = EVENT.into_iter().cycle().take(3 * EVENT.len()).map(str::to_owned);
    let pieces = pieces.chain([format!("data: {last}\n\n")]).enumerate();
    let body = stream::unfold(pieces, |mut pieces| async move {
        let (index, piece) = pieces.next()?;
        let pause = if index > 0 && index % EVENT.len() == 0 { 300 } else { 5 };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        Some((Ok::<_, Infallible>(piece), pieces))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response()
}
