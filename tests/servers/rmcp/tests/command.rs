//! What whoever starts the server relies on: the line that it prints, whom it answers, how it ends.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// The server on a free port; it ends with the test, however that goes.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airlock-test-server"));
        let mut child = command.args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on http://").and_then(|line| line.strip_suffix("/mcp\n"));
        let address = address.unwrap_or_else(|| panic!("it says {line:?}")).to_owned();
        Self { child, output, address }
    }

    /// Opens a session with these headers, and returns the status.
    fn initialize(&self, host: &str, origin: Option<&str>) -> u16 {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
        let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let length = body.len();
        let mut connection = TcpStream::connect(&self.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            connection,
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\n{origin}Accept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut status = String::new();
        BufReader::new(connection).read_line(&mut status).unwrap();
        status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{status:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn names_of_this_machine_are_answered_on_any_port_and_others_are_not() {
    let server = Server::start();
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.address);
    for (host, origin, status) in [
        (server.address.as_str(), None, 200),
        ("127.0.0.1:9", None, 200),
        ("localhost:9", Some("http://localhost:9"), 200),
        ("[::1]:9", Some("http://[::1]:9"), 200),
        ("127.0.0.1", Some("http://127.0.0.1:9"), 200),
        ("mcp.example.com", None, 403),
        ("localhost.example.com:9", None, 403),
        ("127.0.0.1:9", Some("http://mcp.example.com"), 403),
        ("127.0.0.1:9", Some("null"), 403),
    ] {
        assert_eq!(server.initialize(host, origin), status, "host {host}, origin {origin:?}");
    }
}

#[test]
fn it_prints_one_line_and_ends_well_when_it_is_told_to() {
    let mut server = Server::start();
    let told = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(begin.elapsed() < PATIENCE, "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
    let mut rest = String::new();
    server.output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}
