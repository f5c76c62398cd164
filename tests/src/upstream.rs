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
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    serve::ListenerExt,
};
use futures_util::stream;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{
        Mutex as AsyncMutex,
        mpsc::{Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel},
    },
    time::timeout,
};

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
    /// Trailers after the body.
    pub trailers: HeaderMap,
}

/// The server. It answers every JSON-RPC request; the tool that is called says how. A call of `stream` with the
/// argument `live`, and a GET with the query `live`, opens an event stream that the test writes: [`Upstream::live`].
#[derive(Clone, Debug)]
pub struct Upstream {
    received: Arc<Mutex<Vec<Received>>>,
    opened: UnboundedSender<Live>,
    live: Arc<AsyncMutex<UnboundedReceiver<Live>>>,
}

/// An event stream that is open and that the test writes. It ends when this is dropped.
#[derive(Debug)]
pub struct Live {
    pieces: Sender<Bytes>,
}

impl Live {
    /// Writes a piece as one chunk.
    pub async fn write(&self, piece: impl Into<Bytes>) {
        self.pieces.send(piece.into()).await.expect("somebody who reads");
    }

    /// Waits until the one who reads has gone.
    pub async fn gone(&self) {
        timeout(Duration::from_secs(10), self.pieces.closed()).await.expect("the end of the stream is seen");
    }
}

impl Default for Upstream {
    fn default() -> Self {
        let (opened, live) = unbounded_channel();
        Self { received: Arc::default(), opened, live: Arc::new(AsyncMutex::new(live)) }
    }
}

impl Upstream {
    /// An event stream that the test writes.
    fn open(&self) -> Response {
        let (pieces, read) = channel(1);
        let _ = self.opened.send(Live { pieces });
        let body = stream::unfold(read, |mut read| async move {
            let piece = read.recv().await?;
            Some((Ok::<_, Infallible>(piece), read))
        });
        ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response()
    }

    /// Starts the server on a free port, for HTTP/1 and HTTP/2.
    pub async fn start() -> (Self, SocketAddr) {
        let upstream = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // What is written leaves at once, not when the piece before it has been acknowledged.
        let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
        let app = Router::new().fallback(answer).with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (upstream, address)
    }

    /// Everything that has reached the server.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The event stream that was opened next.
    pub async fn live(&self) -> Live {
        let opened = timeout(Duration::from_secs(10), async { self.live.lock().await.recv().await });
        opened.await.expect("a stream is opened").unwrap()
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

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST.into_response() };
    let trailers = body.trailers().cloned().unwrap_or_default();
    let (body, method) = (body.to_bytes(), head.method);
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let live = method == Method::GET && head.uri.query() == Some("live");
    let received = Received { method, uri: head.uri, headers: head.headers, body, trailers };
    upstream.received.lock().unwrap().push(received);
    if live || message["params"]["arguments"]["live"] == true {
        return upstream.open();
    }
    if let Some(batch) = message.as_array() {
        let results: Vec<Value> = batch
            .iter()
            .filter(|message| message["id"] != Value::Null)
            .map(|message| json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [{ "type": "text", "text": "from jane.roe@example.com" }] } }))
            .collect();
        return axum::Json(results).into_response();
    }
    if message["method"] != Value::Null && message["id"] == Value::Null {
        return StatusCode::ACCEPTED.into_response();
    }
    let result = |text: &str| json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [{ "type": "text", "text": text }] } });
    match message["params"]["name"].as_str() {
        Some("stream") => stream(message["id"].clone()),
        Some("compressed") => {
            ([("content-type", "application/json"), ("content-encoding", "gzip")], "\u{1f}").into_response()
        }
        Some("large") => axum::Json(result(&"x".repeat(9 << 19))).into_response(),
        _ if message["method"] == "initialize" => (
            [("mcp-session-id", "0123456789abcdef")],
            axum::Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": {
                "protocolVersion": message["params"]["protocolVersion"], "capabilities": {},
                "serverInfo": { "name": "test", "version": "1" },
            }})),
        )
            .into_response(),
        Some("page") => (StatusCode::BAD_GATEWAY, "ask admin@example.com").into_response(),
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
