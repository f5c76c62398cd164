//! An MCP server on the Rust SDK (`rmcp`), of every protocol version, with the tools, prompts and resources that the
//! official conformance suite (npm `@modelcontextprotocol/conformance`) asks a server for.
//!
//! It exists to be tested against, straight and through a gateway. It is reachable from this machine only.

mod changes;
mod contents;
mod notices;
mod prompts;
mod questions;
mod resources;
mod rounds;
mod server;
mod sessions;
mod tasks;
mod tools;

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use clap::Parser;
use rmcp::model::RequestStateCodec;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::server::{Shared, TestServer};
use crate::sessions::{RETRY, Resumptions, Sessions};

/// Names of this machine. Any port: whoever calls through a proxy names the proxy's.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// An MCP server to test against, on 127.0.0.1.
#[derive(Parser)]
struct Arguments {
    /// Port to listen on; 0 for any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await?;
    let router = Router::new().route_service("/mcp", service()?);

    let mut output = std::io::stdout();
    writeln!(output, "listening on http://{}/mcp", listener.local_addr()?)?;
    output.flush()?;

    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        _ = terminate.recv() => Ok(()),
    }
}

fn service() -> Result<StreamableHttpService<TestServer, Sessions>, Box<dyn std::error::Error>> {
    // A key that everyone knows: the states that it seals decide nothing that is worth forging.
    let states = RequestStateCodec::try_new(*b"a key for tests, known to everyone")?;
    let resumptions = Resumptions::default();
    let shared = Arc::new(Shared::new(states, resumptions.clone()));
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(HOSTS)
        .with_allowed_origins(ORIGINS)
        .with_sse_retry(Some(RETRY));
    Ok(StreamableHttpService::new(
        move || Ok(TestServer::new(Arc::clone(&shared))),
        Arc::new(Sessions::new(resumptions)),
        config,
    ))
}
