//! One Envoy with a listener for each variant, all in front of one server.
//!
//! Only one listener is used at a time, so that the CPU time of the process belongs to it; every filter of ours has a
//! VM of its own, so that none finds what another has cached.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long Envoy may take to start: compiling the module takes most of it.
const START: Duration = Duration::from_secs(90);

/// The proxy that is measured. It ends with this value, and with this process.
pub(crate) struct Envoy {
    process: Child,
    /// Where each variant listens, by its name.
    pub(crate) listeners: BTreeMap<String, SocketAddr>,
    directory: TempDir,
}

impl Envoy {
    /// Starts Envoy with a listener for each of these HTTP filters.
    pub(crate) fn start(upstream: SocketAddr, filters: &[(&str, Option<Value>)]) -> Self {
        let directory = TempDir::new().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("bootstrap.json"), bootstrap(upstream, filters).to_string()).unwrap();
        // What setpriv(1) asks for holds for the program that it becomes: Envoy ends when this process does, whatever
        // ends it.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM"])
            .arg(repository().join("dist/envoy"))
            .args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"])
            .arg("--admin-address-path")
            .arg(file("admin"))
            .arg("-c")
            .arg(file("bootstrap.json"))
            .current_dir(repository())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(file("log")).unwrap())
            .spawn()
            .expect("setpriv and dist/envoy: run scripts/build");
        let mut envoy = Self { process, listeners: BTreeMap::new(), directory };
        envoy.wait_until_ready();
        envoy
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START;
        while self.ask("/ready").is_none_or(|answer| !answer.starts_with("LIVE")) {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "Envoy does not start:\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
        let listeners: Value = serde_json::from_str(&self.ask("/listeners?format=json").unwrap()).unwrap();
        for listener in listeners["listener_statuses"].as_array().unwrap() {
            let name = listener["name"].as_str().unwrap().to_owned();
            let port = listener["local_address"]["socket_address"]["port_value"].as_u64().unwrap();
            self.listeners.insert(name, SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())));
        }
    }

    fn ask(&self, path: &str) -> Option<String> {
        let admin = fs::read_to_string(self.directory.path().join("admin")).ok()?;
        ureq::get(format!("http://{}{path}", admin.trim())).call().ok()?.body_mut().read_to_string().ok()
    }

    /// What Envoy and the filters have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// CPU time of all threads so far: the first field of each one's schedstat (proc(5)).
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let nanoseconds = |thread: fs::DirEntry| -> u64 {
            let statistics = fs::read_to_string(thread.path().join("schedstat")).unwrap();
            statistics.split(' ').next().unwrap().parse().unwrap()
        };
        Duration::from_nanos(threads.map(|thread| nanoseconds(thread.unwrap())).sum())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The root of this repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A configuration of `envoy/`.
pub(crate) fn shipped(file: &str) -> Value {
    let text = fs::read_to_string(repository().join("envoy").join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn bootstrap(upstream: SocketAddr, filters: &[(&str, Option<Value>)]) -> Value {
    let mut document = shipped("alone/token-validator.yaml");
    document["admin"]["address"]["socket_address"]["port_value"] = json!(0);
    let endpoint = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
    document.pointer_mut(endpoint).unwrap()["socket_address"]["port_value"] = json!(upstream.port());
    let template = document["static_resources"]["listeners"][0].take();
    let listeners = filters.iter().map(|(name, filter)| {
        let mut listener = template.clone();
        listener["name"] = json!(name);
        listener["address"]["socket_address"]["port_value"] = json!(0);
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        let placed = manager["http_filters"].as_array_mut().unwrap();
        placed.drain(..placed.len() - 1);
        if let Some(filter) = filter {
            placed.insert(0, json!({ "name": "guard", "typed_config": filter }));
        }
        listener
    });
    document["static_resources"]["listeners"] = listeners.collect();
    document
}
