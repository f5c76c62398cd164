//! The official SDK clients.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{process::Process, repository};

/// A client that people use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// npm `@modelcontextprotocol/sdk`.
    TypeScriptOne,
    /// npm `@modelcontextprotocol/client`.
    TypeScriptTwo,
    /// PyPI `mcp`.
    Python,
    /// npm `@modelcontextprotocol/sdk` over the transport of 2024-11-05, HTTP with SSE.
    TypeScriptSse,
}

impl Sdk {
    /// All that speak Streamable HTTP.
    pub const ALL: [Self; 3] = [Self::TypeScriptOne, Self::TypeScriptTwo, Self::Python];

    /// Drives a session through `plan` and returns what came of each step.
    pub async fn session(self, url: &str, token: Option<&str>, plan: &Value) -> Value {
        let arguments: Vec<&str> = token.iter().flat_map(|token| ["--token", token]).collect();
        self.drive(url, &arguments, plan).await
    }

    /// Drives a session that starts with nothing but the URL: when the server asks for it, the client registers and
    /// `login` signs in. The outcome also has the requests that were made, and what kind of token came of them. With a
    /// `proof` algorithm, which [`Self::TypeScriptTwo`] alone can, the token is bound to a key.
    pub async fn sign_in(self, url: &str, login: &str, proof: Option<&str>, plan: &Value) -> Value {
        let arguments =
            [["--sign-in", login]].into_iter().chain(proof.map(|algorithm| ["--dpop", algorithm]));
        self.drive(url, &arguments.flatten().collect::<Vec<_>>(), plan).await
    }

    async fn drive(self, url: &str, arguments: &[&str], plan: &Value) -> Value {
        let clients = repository().join("tests/clients");
        let typescript = |sdk: &str| {
            let mut command = Command::new("node");
            command.arg(clients.join("typescript/session.mjs")).args(["--sdk", sdk]);
            command
        };
        let mut command = match self {
            Self::Python => {
                let mut command = Command::new(repository().join(".tools/python/bin/python"));
                command.arg(clients.join("python/session.py"));
                command
            }
            Self::TypeScriptOne => typescript("v1"),
            Self::TypeScriptTwo => typescript("v2"),
            Self::TypeScriptSse => typescript("sse"),
        };
        command.arg(url).args(arguments);
        let plan = plan.to_string();
        let output = tokio::task::spawn_blocking(move || {
            use std::io::Write;
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(plan.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{self:?} says {}", String::from_utf8_lossy(&output.stdout)))
    }
}

/// npm `@modelcontextprotocol/server-everything`, and its URL. Its environment holds invented personal data.
pub fn everything() -> (Process, String) {
    everything_over("streamableHttp")
}

/// The same over `streamableHttp` or `sse`, the transport of 2024-11-05.
pub fn everything_over(transport: &str) -> (Process, String) {
    let process = Process::start(
        Command::new("node")
            .arg(repository().join("tests/servers/everything.mjs"))
            .arg(transport)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PORT", "0")
            .env("CUSTOMER", "Jane Roe, jane.roe@example.com, 4111 1111 1111 1111")
            .stderr(Stdio::null()),
    );
    let url = process.line(|line| line.strip_prefix("listening on ").map(str::to_owned));
    (process, url)
}
