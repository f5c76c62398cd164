//! A raw HTTP client: sends what no SDK would.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    client::conn,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::rustls::ClientConfig;

use crate::tls;

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Version of HTTP that a request is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1 with a chunked body, or with a length if there is one piece.
    One,
    /// HTTP/2 with prior knowledge.
    Two,
}

/// A request that is being put together.
#[derive(Clone, Debug)]
pub struct Call {
    http: Http,
    tls: Option<Arc<ClientConfig>>,
    method: &'static str,
    path: String,
    headers: HeaderMap,
    pieces: Vec<Bytes>,
    trailers: Option<HeaderMap>,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Call {
    /// A POST of `body` to `/mcp` as an MCP client sends it.
    pub fn post(body: impl Into<Bytes>) -> Self {
        let call = Self {
            http: Http::One,
            tls: None,
            method: "POST",
            path: "/mcp".to_owned(),
            headers: HeaderMap::new(),
            pieces: vec![body.into()],
            trailers: None,
        };
        call.header("content-type", b"application/json")
            .header("accept", b"application/json, text/event-stream")
    }

    /// A call of a tool, with JSON-RPC id 1.
    pub fn tool(name: &str, arguments: &Value) -> Self {
        Self::post(tool_call(name, arguments))
    }

    /// Without a body, with another method.
    #[must_use]
    pub fn method(self, method: &'static str) -> Self {
        Self { method, pieces: Vec::new(), ..self }
    }

    /// Over that version of HTTP.
    #[must_use]
    pub fn over(self, http: Http) -> Self {
        Self { http, ..self }
    }

    /// Over TLS, as a client of an [`Authority`](crate::tls::Authority) does.
    #[must_use]
    pub fn tls(self, client: &Arc<ClientConfig>) -> Self {
        Self { tls: Some(client.clone()), ..self }
    }

    /// To that path.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// With an access token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}").as_bytes())
    }

    /// With one more header line; the value may be any bytes that HTTP allows.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        self
    }

    /// With one value for a header instead of those it has.
    #[must_use]
    pub fn instead(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        self
    }

    /// With the body in pieces of `size` bytes.
    #[must_use]
    pub fn cut(mut self, size: usize) -> Self {
        let whole = self.pieces.concat();
        self.pieces = whole.chunks(size).map(Bytes::copy_from_slice).collect();
        self
    }

    /// With a trailer after the body.
    #[must_use]
    pub fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        let trailers = self.trailers.get_or_insert_default();
        trailers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Sends it on a connection of its own and waits for the whole answer.
    pub async fn send(self, to: SocketAddr) -> Answer {
        let response = self.open(to).await;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = timeout(PATIENCE, response.into_body().collect()).await.expect("an end of the answer");
        Answer { status, headers, body: body.expect("a whole answer").to_bytes() }
    }

    /// Sends it and waits for the answer's headers.
    pub async fn open(self, to: SocketAddr) -> Response<Incoming> {
        match self.tls.clone() {
            Some(client) => self.open_on(tls::connect(to, client).await, to).await,
            None => self.open_on(TcpStream::connect(to).await.unwrap(), to).await,
        }
    }

    async fn open_on<C>(self, connection: C, to: SocketAddr) -> Response<Incoming>
    where
        C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let http = self.http;
        let request = self.request(to);
        let io = TokioIo::new(connection);
        let response = match http {
            Http::One => {
                let (mut sender, connection) = conn::http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                timeout(PATIENCE, sender.send_request(request)).await
            }
            Http::Two => {
                let (mut sender, connection) =
                    conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                timeout(PATIENCE, sender.send_request(request)).await
            }
        };
        response.expect("an answer in time").expect("an answer")
    }

    fn request(self, to: SocketAddr) -> Request<UnsyncBoxBody<Bytes, Infallible>> {
        let uri = match self.http {
            Http::One => self.path.clone(),
            Http::Two if self.tls.is_some() => format!("https://{to}{}", self.path),
            Http::Two => format!("http://{to}{}", self.path),
        };
        let mut request = Request::builder().method(self.method).uri(uri);
        let headers = request.headers_mut().unwrap();
        headers.extend(self.headers);
        if self.http == Http::One {
            headers.insert("host", HeaderValue::from_str(&to.to_string()).unwrap());
            match self.pieces.as_slice() {
                [] => {}
                [whole] => {
                    headers.insert("content-length", HeaderValue::from(whole.len()));
                }
                _ => {}
            }
        }
        let frames = self.pieces.into_iter().map(Frame::data).chain(self.trailers.map(Frame::trailers));
        let frames: Vec<_> = frames.map(Ok::<_, Infallible>).collect();
        let body = if frames.is_empty() {
            http_body_util::Empty::new().boxed_unsync()
        } else {
            StreamBody::new(stream::iter(frames)).boxed_unsync()
        };
        request.body(body).unwrap()
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The stable reason code of a refusal.
    pub fn reason(&self) -> String {
        self.json()["error"]["data"]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// The body of a call of a tool, with JSON-RPC id 1.
pub fn tool_call(name: &str, arguments: &Value) -> String {
    let params = json!({ "name": name, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}
