//! Requests as bytes: over HTTP/1 exactly what is asked for, over HTTP/2 whatever frames can carry.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Request,
    body::Frame,
    client::conn::http2,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf},
    time::{sleep, timeout},
};

use crate::client::{Answer, Http};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two pieces, so that the proxy reads each by itself: nothing tells a client when it has.
const BETWEEN_PIECES: Duration = Duration::from_micros(700);

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Version of HTTP.
    pub http: Http,
    /// Method.
    pub method: String,
    /// What stands in the request line, or in `:path`.
    pub path: String,
    /// `host`, or `:authority`.
    pub host: String,
    /// All other headers, in order; `content-length` and `transfer-encoding` are added.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, frame by frame or chunk by chunk.
    pub pieces: Vec<Bytes>,
    /// Trailers after the body.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Wire {
    /// Sends it on a connection of its own. There may be no answer but the connection's end.
    pub async fn send(self, to: SocketAddr) -> Option<Answer> {
        match self.http {
            Http::One => send_bytes(self.written(), to).await,
            Http::Two => timeout(PATIENCE, self.send_frames(to)).await.expect("an answer in time"),
        }
    }

    /// The writes that make it up over HTTP/1.
    fn written(self) -> Vec<Bytes> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.host).into_bytes();
        for (name, value) in &self.headers {
            write_field(&mut head, name, value);
        }
        let whole = self.trailers.is_empty() && self.pieces.len() <= 1;
        match self.pieces.first() {
            Some(body) if whole => {
                write_field(&mut head, "content-length", body.len().to_string().as_bytes())
            }
            None if whole => {}
            _ => write_field(&mut head, "transfer-encoding", b"chunked"),
        }
        head.extend_from_slice(b"\r\n");
        if whole {
            head.extend(self.pieces.concat());
            return vec![head.into()];
        }
        let chunk =
            |piece: Bytes| [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat().into();
        let mut end = b"0\r\n".to_vec();
        for (name, value) in &self.trailers {
            write_field(&mut end, name, value);
        }
        end.extend_from_slice(b"\r\n");
        let chunks = self.pieces.into_iter().map(chunk);
        [Bytes::from(head)].into_iter().chain(chunks).chain([end.into()]).collect()
    }

    async fn send_frames(self, to: SocketAddr) -> Option<Answer> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(format!("http://{}{}", self.host, self.path))
            .body(())
            .unwrap();
        *request.headers_mut() = header_map(&self.headers);
        let trailers = (!self.trailers.is_empty()).then(|| header_map(&self.trailers));
        let frames = self.pieces.into_iter().map(Frame::data).chain(trailers.map(Frame::trailers));
        let frames: Vec<_> = frames.map(Ok::<_, Infallible>).collect();
        let body = if frames.is_empty() {
            http_body_util::Empty::new().boxed_unsync()
        } else {
            StreamBody::new(stream::iter(frames)).boxed_unsync()
        };
        let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request.map(|()| body)).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// Writes bytes on an HTTP/1 connection of their own, one piece after the other, and reads the first answer.
pub async fn send_bytes(pieces: Vec<Bytes>, to: SocketAddr) -> Option<Answer> {
    let connection = TcpStream::connect(to).await.unwrap();
    connection.set_nodelay(true).unwrap();
    let (read, mut write) = connection.into_split();
    // The answer to a large request may come, and the connection end, before all of it is written.
    let writing = tokio::spawn(async move {
        let last = pieces.len().saturating_sub(1);
        for (index, piece) in pieces.into_iter().enumerate() {
            if write.write_all(&piece).await.is_err() {
                break;
            }
            if index != last {
                sleep(BETWEEN_PIECES).await;
            }
        }
        write
    });
    let answer =
        timeout(PATIENCE, Reader { read, buffer: Vec::new() }.answer()).await.expect("an answer in time");
    writing.abort();
    answer
}

/// Reads one answer of HTTP/1.
struct Reader {
    read: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Reader {
    async fn answer(mut self) -> Option<Answer> {
        loop {
            let head = self.until(b"\r\n\r\n").await?;
            let head = String::from_utf8(head).expect("an answer's head is text");
            let mut lines = head.trim_end().split("\r\n");
            let status: u16 = lines.next()?.split(' ').nth(1)?.parse().unwrap();
            if status < 200 {
                continue;
            }
            let mut headers = HeaderMap::new();
            for (name, value) in lines.map(|line| line.split_once(':').unwrap()) {
                headers.append(name.parse::<HeaderName>().unwrap(), value.trim().parse().unwrap());
            }
            let body = self.body(&headers).await?.into();
            return Some(Answer { status, headers, body });
        }
    }

    async fn body(&mut self, headers: &HeaderMap) -> Option<Vec<u8>> {
        if let Some(length) = headers.get("content-length") {
            return self.exactly(length.to_str().unwrap().parse().unwrap()).await;
        }
        if headers.get("transfer-encoding").is_none() {
            while self.more().await.is_some() {}
            return Some(std::mem::take(&mut self.buffer));
        }
        let mut body = Vec::new();
        loop {
            let length = String::from_utf8(self.until(b"\r\n").await?).unwrap();
            let length = usize::from_str_radix(length.trim(), 16).unwrap();
            body.extend(self.exactly(length).await?);
            self.until(b"\r\n").await?;
            if length == 0 {
                return Some(body);
            }
        }
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return self.exactly(at + end.len()).await;
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Some(self.buffer.drain(..length).collect())
    }

    async fn more(&mut self) -> Option<()> {
        let read = self.read.read_buf(&mut self.buffer).await.ok()?;
        (read > 0).then_some(())
    }
}

fn write_field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
}

fn header_map(fields: &[(String, Vec<u8>)]) -> HeaderMap {
    let field = |(name, value): &(String, Vec<u8>)| {
        let value = HeaderValue::from_bytes(value).expect("a value that HTTP/2 can carry");
        (name.to_ascii_lowercase().parse::<HeaderName>().expect("a name that HTTP/2 can carry"), value)
    };
    let mut map = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        map.append(name, value);
    }
    map
}
