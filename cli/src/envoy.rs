use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::failure::{Exit, Failure};

/// How long Envoy may take to start: compiling the module takes most of it.
const START: Duration = Duration::from_secs(60);

/// How long Envoy may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(5);

/// An Envoy that this program has started.
#[derive(Debug)]
pub struct Envoy {
    process: Child,
    admin: SocketAddr,
    log: PathBuf,
}

/// What a program needs that is not part of it.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The Envoy binary.
    pub envoy: PathBuf,
    /// The wasm module.
    pub module: PathBuf,
}

impl Needs {
    /// Finds Envoy and the module.
    ///
    /// # Errors
    /// A [`Failure`] that says what is missing and how to name it.
    pub fn find(envoy: Option<&Path>, module: Option<&Path>) -> Result<Self, Failure> {
        let beside = |name: &str| {
            let program = std::env::current_exe().and_then(|path| path.canonicalize()).ok()?;
            program.parent().map(|directory| directory.join(name)).filter(|path| path.is_file())
        };
        let on_path = |name: &str| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
        };
        let missing = |what: &str, remedy: &str| {
            Failure::new(Exit::Unavailable, format!("{what} was not found")).remedy(remedy)
        };
        let envoy = match envoy {
            Some(path) => path.is_file().then(|| path.to_owned()),
            None => beside("envoy").or_else(|| on_path("envoy")),
        };
        let module = match module {
            Some(path) => path.is_file().then(|| path.to_owned()),
            None => beside("airlock.wasm"),
        };
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        Ok(Self {
            envoy: absolute(envoy.ok_or_else(|| {
                missing("Envoy", "install it, name it with `--envoy FILE`, or run `scripts/setup`")
            })?),
            module: absolute(module.ok_or_else(|| {
                missing("the module `airlock.wasm`", "name it with `--module FILE`, or run `scripts/build`")
            })?),
        })
    }
}

impl Envoy {
    /// Starts Envoy with `bootstrap` in `directory` and waits until it serves.
    ///
    /// # Errors
    /// A [`Failure`] with the end of Envoy's log.
    pub async fn start(
        envoy: &Path,
        bootstrap: &Path,
        directory: &Path,
        concurrency: u16,
    ) -> Result<Self, Failure> {
        let admin_file = directory.join("admin-address");
        let log = directory.join("envoy.log");
        let _ = std::fs::remove_file(&admin_file);
        let output = std::fs::File::create(&log).map_err(|error| Failure::file("write", &log, &error))?;
        let process = Command::new(envoy)
            .arg("-c")
            .arg(bootstrap)
            .args([
                "--concurrency",
                &concurrency.to_string(),
                "--use-dynamic-base-id",
                "--log-level",
                "warning",
            ])
            .args(["--component-log-level", "wasm:info", "--drain-time-s", "1"])
            .arg("--admin-address-path")
            .arg(&admin_file)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            // Of its own group: Ctrl-C reaches this program alone, which drains Envoy before it stops it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Failure::new(Exit::Unavailable, format!("cannot start `{}`: {error}", envoy.display()))
            })?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut started = Self { process, admin: unknown, log };
        started.wait_until_ready(&admin_file).await?;
        Ok(started)
    }

    async fn wait_until_ready(&mut self, admin_file: &Path) -> Result<(), Failure> {
        let deadline = Instant::now() + START;
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(self.failed(&format!("Envoy ended with {status} while it started")));
            }
            if let Some(admin) =
                std::fs::read_to_string(admin_file).ok().and_then(|text| text.trim().parse().ok())
            {
                self.admin = admin;
                if self.get("/ready").await.is_some_and(|body| body.starts_with("LIVE")) {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                return Err(self.failed("Envoy did not start in time"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The address where Envoy's first listener really listens.
    ///
    /// # Errors
    /// A [`Failure`] if Envoy has no listener.
    pub async fn listener(&self) -> Result<SocketAddr, Failure> {
        let listeners = self.get("/listeners?format=json").await.unwrap_or_default();
        let listeners: Value = serde_json::from_str(&listeners).unwrap_or_default();
        let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let host = address["address"].as_str().unwrap_or_default();
        let port = address["port_value"].as_u64().and_then(|port| u16::try_from(port).ok());
        match (host.parse(), port) {
            (Ok(host), Some(port)) => Ok(SocketAddr::new(host, port)),
            _ => Err(self.failed("Envoy has no listener")),
        }
    }

    /// One of Envoy's counters or gauges.
    pub async fn stat(&self, name: &str) -> Option<u64> {
        let body = self.get(&format!("/stats?filter=^{}$", name.replace('.', "\\."))).await?;
        body.trim().rsplit(' ').next()?.parse().ok()
    }

    /// Waits until Envoy ends by itself.
    pub async fn ended(&mut self) -> Failure {
        let status = self.process.wait().await;
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        self.failed(&format!("Envoy ended with {status}"))
    }

    /// Stops listening, gives what is queued in the filters the time to be delivered, and ends the process.
    pub async fn stop(mut self, queued: Duration) {
        self.post("/drain_listeners").await;
        sleep(queued).await;
        self.post("/quitquitquit").await;
        if tokio::time::timeout(STOP, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }

    fn failed(&self, message: &str) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n");
        Failure::new(Exit::Failed, format!("{message}\n{end}"))
            .remedy(format!("see `{}`", self.log.display()))
    }

    async fn get(&self, path: &str) -> Option<String> {
        self.ask(path, false).await
    }

    async fn post(&self, path: &str) {
        let _ = self.ask(path, true).await;
    }

    async fn ask(&self, path: &str, post: bool) -> Option<String> {
        let url = format!("http://{}{path}", self.admin);
        let request = move || {
            let agent: ureq::Agent =
                ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
            let response = if post { agent.post(&url).send_empty() } else { agent.get(&url).call() };
            response.ok()?.body_mut().read_to_string().ok()
        };
        tokio::task::spawn_blocking(request).await.ok().flatten()
    }
}
