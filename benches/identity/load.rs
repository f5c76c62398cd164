//! Both ends of the proxy: a client that keeps a few connections busy, and a server that costs next to nothing.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Requests that are under way at the same time, each on a connection of its own. Enough that the proxy always has one
/// to work on, as a gateway under load does.
const CONNECTIONS: usize = 8;

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}"#;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// Connections that stay open.
pub(crate) struct Client {
    connections: Vec<Connection>,
}

impl Client {
    pub(crate) fn connect(to: SocketAddr) -> Self {
        Self { connections: (0..CONNECTIONS).map(|_| Connection::open(to)).collect() }
    }

    /// Sends `count` requests, from the first of `requests` again when they are used up, and waits for all answers.
    ///
    /// # Panics
    /// If one of them is not answered with 200.
    pub(crate) fn send(&mut self, requests: &[Vec<u8>], count: usize) {
        for index in 0..count + CONNECTIONS {
            let connection = &mut self.connections[index % CONNECTIONS];
            if index >= CONNECTIONS {
                let answer = connection.read();
                assert_eq!(answer.status, 200, "an answer that should not be: {}", answer.text);
            }
            if index < count {
                connection.write(&requests[index % requests.len()]);
            }
        }
    }
}

/// Sends one request on a connection of its own.
pub(crate) fn ask(to: SocketAddr, request: &[u8]) -> Answer {
    let mut connection = Connection::open(to);
    connection.write(request);
    connection.read()
}

/// Starts the server, which answers as long as this process lives.
pub(crate) fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                let mut connection = Connection { stream, read: Vec::new() };
                while connection.message().is_some() {
                    connection.write(answer.as_bytes());
                }
            });
        }
    });
    address
}

/// A connection of HTTP/1.1 whose messages say how long they are.
struct Connection {
    stream: TcpStream,
    /// What was read and belongs to no message yet.
    read: Vec<u8>,
}

impl Connection {
    fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, read: Vec::new() }
    }

    fn write(&mut self, message: &[u8]) {
        self.stream.write_all(message).expect("somebody who reads");
    }

    fn read(&mut self) -> Answer {
        let message = self.message().expect("an answer");
        let text = String::from_utf8_lossy(&message).into_owned();
        let status = text.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, text }
    }

    /// The next message, head and body; none when the connection has ended.
    fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = message_length(&self.read)
                && self.read.len() >= length
            {
                let rest = self.read.split_off(length);
                return Some(std::mem::replace(&mut self.read, rest));
            }
            let mut piece = [0; 4096];
            let length = self.stream.read(&mut piece).ok().filter(|length| *length > 0)?;
            self.read.extend_from_slice(&piece[..length]);
        }
    }
}

/// The length of the first message, once its head is whole.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    Some(head + text.split("\r\n").find_map(field).unwrap_or(0))
}
