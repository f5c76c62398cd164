//! `airlock up` where it cannot do its work. What it does where it can is tested with a real Envoy, in `tests/`.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    command::{Place, executable},
    golden,
};

const POLICY: &str = "version: 1\nservers: [{ name: files, path: /mcp }]\nrules: []\n";

/// A place with an Envoy that only says that it was started, and a module.
fn ready() -> Place {
    let place = Place::new();
    executable(&place.path("envoy"), "echo $$ > started; exec sleep 60");
    place.write("airlock.wasm", "");
    place.write("policy.yaml", POLICY);
    place
}

const UP: [&str; 9] =
    ["up", "--state", "s", "--listen", "127.0.0.1:0", "--envoy", "./envoy", "--module", "airlock.wasm"];

/// The arguments of a gateway that would start, with some of them replaced or added.
fn up<'a>(changes: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let mut arguments = UP.to_vec();
    arguments.extend(["--upstream", "http://127.0.0.1:9/mcp"]);
    for (name, value) in changes {
        match arguments.iter().position(|argument| argument == name) {
            Some(index) => arguments[index + 1] = value,
            None => arguments.extend([name, value]),
        }
    }
    arguments
}

#[test]
fn a_gateway_that_cannot_work_is_refused_before_anything_starts() {
    let place = ready();
    place.write("wrong.yaml", POLICY.replace("rules: []", "rules: [{ name: r, effect: alow, tools: [a] }]"));
    place.write("identity.yaml", "issuers: []\n");
    place.write("redaction.yaml", "response: { detect: [phone] }\n");
    let mut shown = String::new();
    for (change, exit) in [
        (("--upstream", "127.0.0.1:3001"), 2),
        (("--upstream", "http://127.0.0.1:99999/mcp"), 2),
        (("--upstream", "http://zoe:secret@127.0.0.1/mcp"), 2),
        (("--policy", "absent.yaml"), 64),
        (("--policy", "wrong.yaml"), 64),
        (("--identity", "identity.yaml"), 64),
        (("--redaction", "redaction.yaml"), 64),
        (("--envoy", "./absent"), 69),
        (("--module", "./absent"), 69),
        (("--state", "policy.yaml"), 69),
    ] {
        let (transcript, _) = place.both(&up(&[change]));
        assert!(transcript.ends_with(&format!("exit {exit}\n\n")), "{transcript}");
        shown += &transcript;
    }
    assert!(!place.path("started").exists(), "Envoy was not started");
    let keys = place.names("s");
    assert!(keys.iter().all(|name| name.ends_with(".key")), "no run and no signer: {keys:?}");
    golden::compare("cli/tests/golden/up.txt", &shown);
}

#[test]
fn without_being_told_where_envoy_and_the_module_are_up_says_how_to_tell() {
    let place = Place::new();
    let (shown, _) = place.both(&["up", "--upstream", "http://127.0.0.1:9/mcp", "--state", "s"]);
    assert!(shown.contains("`--envoy FILE`") && shown.ends_with("exit 69\n\n"), "{shown}");
}

#[test]
fn the_end_of_envoys_log_is_shown_when_it_fails() {
    let place = ready();
    executable(&place.path("envoy"), "echo the port is taken >&2; exit 3");
    let ended = place.run(&up(&[]));
    assert_eq!(ended.exit, 70);
    assert!(
        ended.errors.contains("exit status: 3") && ended.errors.contains("the port is taken"),
        "{}",
        ended.errors
    );
    assert!(ended.errors.contains("/envoy.log`"), "{}", ended.errors);
}

#[test]
fn what_is_interrupted_while_it_starts_leaves_no_process_and_no_secret() {
    for signal in ["INT", "TERM", "HUP"] {
        let place = ready();
        let mut gateway =
            place.command(&up(&[])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let run = format!("s/run-{}", gateway.id());
        let started = eventually(|| {
            let id = fs::read_to_string(place.path(&format!("{run}/started"))).ok()?;
            id.trim().parse::<u32>().ok()
        });
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", gateway.id())]).status();
        assert!(sent.unwrap().success());
        assert_eq!(gateway.wait().unwrap().code(), Some(0), "{signal}");
        eventually(|| is_over(started).then_some(()));
        assert!(!place.path(&run).exists(), "the files of the run hold a token");
    }
}

/// Whether a process is gone; one that nobody has collected is.
fn is_over(id: u32) -> bool {
    match fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')),
        Err(_) => true,
    }
}

fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time");
        thread::sleep(Duration::from_millis(10));
    }
}
