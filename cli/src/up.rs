use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airlock_receipt::Record;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    arguments::{StateDirectory, Up},
    bootstrap::{Site, Upstream, bootstrap, filter},
    calls,
    configuration::Configuration,
    console::Console,
    envoy::{Envoy, Needs},
    failure::{Exit, Failure},
    interrupt::interrupted,
    providers, signer,
    state::State,
};

/// Pause between two looks at the policy file.
const WATCH: Duration = Duration::from_millis(200);

/// How long the filters get to deliver what is queued when the gateway stops: several of their clock's ticks.
const FLUSH: Duration = Duration::from_millis(500);

/// `airlock up`: guards a server until it is interrupted.
///
/// # Errors
/// A [`Failure`] that says what could not be read, found or started.
pub async fn up(arguments: &Up, console: Console) -> Result<Exit, Failure> {
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    let upstream = Upstream::parse(&arguments.upstream)?;
    let state = State::open(&arguments.state)?;
    let needs = Needs::find(arguments.envoy.as_deref(), arguments.module.as_deref())?;
    let token = random_token()?;
    let configuration = Configuration::new(arguments, &state, &upstream.path, &token)?;
    // Before anything is started: a policy with an error must not leave half a gateway behind.
    let checked = configuration.with_policy(arguments.policy.as_deref())?;
    let unguarded = !names_path(&checked, &upstream.path);

    let providers = providers::clusters(checked.get("identity").unwrap_or(&Value::Null))?;
    let run = Run::new(&state)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, format!("the signer cannot listen: {error}")))?;
    let signer_address = listener
        .local_addr()
        .map_err(|error| Failure::new(Exit::Unavailable, format!("the signer cannot listen: {error}")))?;
    let signer = signer::open(&state, Some(token))?;
    let mut records = signer.subscribe();
    let (stop_signer, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(airlock_signer::serve(listener, signer, async {
        let _ = stopped.await;
    }));

    let mut policy = PolicyFile::new(&run, &needs, &configuration, arguments.policy.as_deref())?;
    let site = Site {
        listen: arguments.listen,
        upstream: &upstream,
        signer: signer_address,
        filter_file: &run.filter.display().to_string(),
        providers: &providers,
    };
    write_json(&run.bootstrap, &bootstrap(&site)?)?;
    let starting = async {
        let envoy = Envoy::start(&needs.envoy, &run.bootstrap, &run.directory, arguments.concurrency).await?;
        policy.is_in_effect(&envoy).await?;
        let address = envoy.listener().await?;
        Ok((envoy, address))
    };
    let (mut envoy, address) = tokio::select! {
        () = &mut interrupted => {
            let _ = stop_signer.send(());
            let _ = serving.await;
            run.remove();
            return Ok(Exit::Success);
        }
        started = starting => started?,
    };
    welcome(arguments, console, &upstream, address, &state);
    if unguarded {
        let path = &upstream.path;
        let text =
            format!("warning    the policy names no server with the path `{path}`: every call is refused");
        console.print(&text, &json!({ "warning": { "reason": "unknown_server", "path": path } }));
    }

    let mut ticks = tokio::time::interval(WATCH);
    let outcome = loop {
        tokio::select! {
            () = &mut interrupted => break Ok(Exit::Success),
            failure = envoy.ended() => break Err(failure),
            Ok(record) = records.recv() => show(console, &record),
            _ = ticks.tick() => policy.refresh(&envoy, console).await,
        }
    };
    envoy.stop(FLUSH).await;
    while let Ok(record) = records.try_recv() {
        show(console, &record);
    }
    let _ = stop_signer.send(());
    let _ = serving.await;
    if outcome.is_ok() {
        run.remove();
    }
    outcome
}

fn show(console: Console, record: &Arc<Record>) {
    console.print(&calls::line(record), &json!({ "call": record.as_ref() }));
}

fn welcome(arguments: &Up, console: Console, upstream: &Upstream, address: SocketAddr, state: &State) {
    let url = format!("http://{address}{}", upstream.path);
    let mut lines = vec![
        format!("guarding   {}", arguments.upstream),
        format!("clients    {url}"),
        format!("receipts   {}", state.receipts().display()),
    ];
    if arguments.observe {
        lines.push("observing  nothing is denied but what is malformed; no token is needed".to_owned());
    } else if arguments.identity.is_none() {
        let directory = match &arguments.state {
            StateDirectory { directory: Some(directory) } => format!(" --state {}", directory.display()),
            StateDirectory { directory: None } => String::new(),
        };
        lines.push(format!("tokens     airlock dev token{directory} --scope SCOPE"));
    }
    match &arguments.policy {
        Some(file) => lines.push(format!("policy     {} (changes take effect at once)", file.display())),
        None if arguments.observe => {}
        None => lines
            .push("policy     none: tools can be listed and not called; give one with --policy".to_owned()),
    }
    let json = json!({
        "listening": {
            "url": url,
            "upstream": arguments.upstream,
            "observe": arguments.observe,
            "policy": arguments.policy.as_ref().map(|file| file.to_string_lossy()),
            "receipts": state.receipts().to_string_lossy(),
        }
    });
    console.print(&lines.join("\n"), &json);
}

/// Whether a policy names a server at `path`. If none does, it refuses everything, which is hardly meant.
fn names_path(configuration: &serde_json::Value, path: &str) -> bool {
    let servers = configuration.pointer("/policy/servers").and_then(serde_json::Value::as_array);
    let served = |server: &serde_json::Value| {
        server.get("path").and_then(serde_json::Value::as_str).unwrap_or("/mcp") == path
    };
    servers.into_iter().flatten().any(served)
}

/// The files of one run, in the state directory so that a person can look at them.
struct Run {
    directory: PathBuf,
    bootstrap: PathBuf,
    filter: PathBuf,
}

impl Run {
    fn new(state: &State) -> Result<Self, Failure> {
        let directory = state.path(&format!("run-{}", std::process::id()));
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        std::fs::create_dir_all(&directory)
            .map_err(|error| Failure::own_file("create", &directory, &error))?;
        Ok(Self { bootstrap: directory.join("envoy.json"), filter: directory.join("filter.json"), directory })
    }

    /// The filter's file holds the token of the signer that has just ended; Envoy's log may be of use and stays only
    /// if something failed.
    fn remove(self) {
        let _ = std::fs::remove_dir_all(self.directory);
    }
}

/// The policy as the gateway has it, kept in step with the file.
struct PolicyFile<'a> {
    filter: PathBuf,
    module: String,
    configuration: &'a Configuration,
    file: Option<&'a Path>,
    seen: Option<Vec<u8>>,
    version: u64,
    refusals: u64,
}

impl<'a> PolicyFile<'a> {
    fn new(
        run: &Run,
        needs: &Needs,
        configuration: &'a Configuration,
        file: Option<&'a Path>,
    ) -> Result<Self, Failure> {
        let mut policy = Self {
            filter: run.filter.clone(),
            module: needs.module.display().to_string(),
            configuration,
            file,
            seen: file.and_then(|file| std::fs::read(file).ok()),
            version: 0,
            refusals: 0,
        };
        policy.apply()?;
        Ok(policy)
    }

    /// Writes the filter's file beside the old one and renames it into place: Envoy sees the old or the new, whole.
    fn apply(&mut self) -> Result<(), Failure> {
        let document = self.configuration.with_policy(self.file)?;
        self.version += 1;
        let new = self.filter.with_extension("new");
        write_json(&new, &filter(&self.module, &document, self.version)?)?;
        std::fs::rename(&new, &self.filter).map_err(|error| Failure::own_file("write", &self.filter, &error))
    }

    /// Waits until Envoy works with what was written last. Another module than the one that this program was built
    /// with may refuse what this program accepts.
    async fn is_in_effect(&mut self, envoy: &Envoy) -> Result<(), Failure> {
        envoy.has_taken("airlock", self.version, &mut self.refusals).await
    }

    async fn refresh(&mut self, envoy: &Envoy, console: Console) {
        let Some(file) = self.file else { return };
        let now = std::fs::read(file).ok();
        if now == self.seen {
            return;
        }
        self.seen = now;
        let applied = match self.apply() {
            Ok(()) => self.is_in_effect(envoy).await,
            refused => refused,
        };
        match applied {
            Ok(()) => {
                let text = format!("policy     {} has changed and is in effect", file.display());
                let file = file.to_string_lossy();
                console.print(&text, &json!({ "policy": { "file": file, "version": self.version } }));
            }
            Err(failure) => {
                console.fail(&failure.remedy("the policy from before stays in effect until this is mended"));
            }
        }
    }
}

fn write_json(path: &Path, document: &serde_json::Value) -> Result<(), Failure> {
    use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt};
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(document.to_string().as_bytes()))
        .map_err(|error| Failure::own_file("write", path, &error))
}

fn random_token() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Unavailable, format!("no random bytes: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
