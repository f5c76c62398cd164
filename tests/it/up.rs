//! `airlock up`: one command guards a server.

use std::{net::SocketAddr, process::Command};

use airlock_tests::{built, client::Call, eventually, process::Process, receipts, upstream::Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Guard {
    process: Process,
    address: SocketAddr,
    state: TempDir,
}

fn up(upstream: SocketAddr, arguments: &[&str]) -> Guard {
    let state = TempDir::new().unwrap();
    let process = Process::start(
        Command::new(built("airlock"))
            .args(["up", "--format", "json", "--listen", "127.0.0.1:0", "--concurrency", "1"])
            .args(["--upstream", &format!("http://{upstream}/mcp"), "--state"])
            .arg(state.path())
            .args(arguments),
    );
    let address = process.line(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let url = line["listening"]["url"].as_str()?;
        url.strip_prefix("http://")?.strip_suffix("/mcp")?.parse().ok()
    });
    Guard { process, address, state }
}

fn development_token(guard: &Guard, scope: &str) -> String {
    let output = Command::new(built("airlock"))
        .args(["dev", "token", "--scope", scope, "--state"])
        .arg(guard.state.path())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Ids of the processes that `parent` has started.
fn children(parent: u32) -> Vec<u32> {
    let listed =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    listed.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

fn children_of_all_threads(parent: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let file = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children")).ok();
    let listed: String = threads.filter_map(Result::ok).filter_map(file).collect();
    listed.split_whitespace().map(|id| id.parse().unwrap()).chain(children(parent)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_guards_a_server_and_leaves_nothing_behind() {
    let (upstream, address) = Upstream::start().await;
    let directory = TempDir::new().unwrap();
    let policy = directory.path().join("policy.yaml");
    let document = |tool: &str| {
        format!(
            "version: 1\nservers: [{{ name: test, path: /mcp }}]\n\
             rules: [{{ name: one, effect: allow, tools: [{tool}], scopes: [\"mcp:read\"] }}]\n"
        )
    };
    std::fs::write(&policy, document("echo")).unwrap();
    let mut guard = up(address, &["--policy", policy.to_str().unwrap()]);
    let token = development_token(&guard, "mcp:read");
    let call = |tool: &str| Call::tool(tool, &json!({})).token(&token).send(guard.address);

    assert!(call("echo").await.json()["result"].is_object());
    assert_eq!(call("save").await.reason(), "policy_default");
    let shown = guard.process.line(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["call"]["decision"]["effect"] == "deny").then_some(line)
    });
    assert_eq!(shown["call"]["what"]["name"], "save");

    std::fs::write(&policy, document("save")).unwrap();
    eventually("the changed policy", || async {
        call("save").await.json()["result"].is_object().then_some(())
    })
    .await;
    let calls = upstream.called().len();
    // A last call whose receipt is still in the filter when Ctrl-C comes.
    assert!(call("save").await.json()["result"].is_object());

    let started = children_of_all_threads(guard.process.id());
    assert!(!started.is_empty(), "Envoy runs");
    assert_eq!(guard.process.interrupt(), Some(0));
    for id in started {
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "process {id} is left behind");
    }
    let recorded = receipts::records(guard.state.path());
    let allowed =
        recorded.iter().filter(|record| record.outcome.status == Some(200) && record.what.name.is_some());
    assert!(allowed.count() > calls, "the last call has its receipt too");
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_denies_nothing_and_says_what_would_have_happened() {
    let (upstream, address) = Upstream::start().await;
    let guard = up(address, &["--observe"]);
    let message = "mail bob@example.com";
    let answer = Call::tool("save", &json!({ "message": message }))
        .header("authorization", b"Basic of-another-kind")
        .send(guard.address)
        .await;
    assert_eq!(
        answer.json()["result"]["content"][0]["text"],
        "write to jane.roe@example.com, card 4111 1111 1111 1111"
    );
    let received = upstream.received();
    assert_eq!(received[0].headers["authorization"], "Basic of-another-kind");
    assert!(String::from_utf8_lossy(&received[0].body).contains(message));

    let answer = Call::post(r#"{"jsonrpc":"2.0","id":1,"id":2}"#).send(guard.address).await;
    assert_eq!((answer.status, answer.reason().as_str()), (400, "json_duplicate_key"));
    assert_eq!(upstream.received().len(), 1);

    let record = eventually("the observed call", || async {
        receipts::records(guard.state.path()).into_iter().find(|record| record.what.name.is_some())
    })
    .await;
    let reasons: Vec<&str> =
        record.decision.would_deny.iter().map(|verdict| verdict.reason.as_str()).collect();
    assert_eq!(reasons, ["token_scheme", "policy_default"]);
    assert_eq!(record.decision.effect, airlock_receipt::Effect::Allow);
    assert_eq!(record.findings.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_tools_can_be_listed_and_not_called() {
    let (_upstream, address) = Upstream::start().await;
    let guard = up(address, &[]);
    let token = development_token(&guard, "");
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(Call::post(list).token(&token).send(guard.address).await.status, 200);
    let answer = Call::tool("echo", &json!({})).token(&token).send(guard.address).await;
    assert_eq!(answer.reason(), "policy_default");
}
