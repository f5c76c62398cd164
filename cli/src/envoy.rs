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

/// How long Envoy may take to notice and judge a new configuration of a filter.
const TAKE: Duration = Duration::from_secs(10);

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
        let found = |what: &str, named: Option<&Path>, otherwise: Option<PathBuf>, remedy: &str| {
            let missing = |what: String| Failure::new(Exit::Unavailable, what).remedy(remedy);
            let path = match named {
                Some(path) if path.is_file() => path.to_owned(),
                Some(path) => return Err(missing(format!("{what}: there is no file `{}`", path.display()))),
                None => otherwise.ok_or_else(|| missing(format!("{what} was not found")))?,
            };
            Ok(std::path::absolute(&path).unwrap_or(path))
        };
        Ok(Self {
            envoy: found(
                "Envoy",
                envoy,
                beside("envoy").or_else(|| on_path("envoy")),
                "install it, name it with `--envoy FILE`, or run `scripts/setup`",
            )?,
            module: found(
                "the module `airlock.wasm`",
                module,
                beside("airlock.wasm"),
                "name it with `--module FILE`, or run `scripts/build`",
            )?,
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
        let output = std::fs::File::create(&log).map_err(|error| Failure::own_file("write", &log, &error))?;
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
        let address = |value: &Value| {
            let host = value.get("address")?.as_str()?.parse().ok()?;
            let port = u16::try_from(value.get("port_value")?.as_u64()?).ok()?;
            Some(SocketAddr::new(host, port))
        };
        listeners
            .pointer("/listener_statuses/0/local_address/socket_address")
            .and_then(address)
            .ok_or_else(|| self.failed("Envoy has no listener"))
    }

    /// Waits until Envoy has taken `version` of the filter `name` that comes to it from a file.
    ///
    /// # Errors
    /// A [`Failure`] with the end of Envoy's log if Envoy or the filter has refused it: what was there stays.
    pub async fn has_taken(&self, name: &str, version: u64, refusals: &mut u64) -> Result<(), Failure> {
        let deadline = Instant::now() + TAKE;
        let stats = format!("extension_config_discovery.http_filter.{name}");
        let wanted = format!("{stats}.version_text: \"{version}\"");
        loop {
            let body = self.get(&format!("/stats?filter=^{}", stats.replace('.', "\\."))).await;
            let body = body.unwrap_or_default();
            if body.lines().any(|line| line == wanted) {
                return Ok(());
            }
            let refused: u64 = ["update_rejected", "update_failure", "config_fail"]
                .iter()
                .filter_map(|counter| {
                    let name = format!("{stats}.{counter}: ");
                    body.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok())
                })
                .sum();
            if std::mem::replace(refusals, refused.max(*refusals)) < refused {
                return Err(self.failed("Envoy has refused the filter's configuration"));
            }
            if Instant::now() > deadline {
                return Err(self.failed("Envoy has not taken the filter's configuration in time"));
            }
            sleep(Duration::from_millis(20)).await;
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
