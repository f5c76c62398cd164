//! The stories of the Python SDK, servers with clients that check what they see, pass through the gateway.

use std::net::SocketAddr;

use airlock_tests::{
    gateway::Shape,
    repository,
    suites::{finish, free_port, gateway, python, sdk_examples, was_guarded},
};
use serde_json::Value;
use tokio::process::Command;

/// All stories that can be told over HTTP on any port. `serve_one` speaks stdio only; `bearer_auth`, `oauth`,
/// `oauth_client_credentials` and `identity_assertion` write their own port into what they say of themselves.
const STORIES: [&str; 28] = [
    "apps",
    "custom_methods",
    "dual_era",
    "error_handling",
    "extensions",
    "json_response",
    "legacy_elicitation",
    "legacy_routing",
    "lifespan",
    "middleware",
    "mrtr",
    "pagination",
    "parallel_calls",
    "prompts",
    "reconnect",
    "refund_desk",
    "resources",
    "roots",
    "sampling",
    "schema_validators",
    "sse_polling",
    "standalone_get",
    "starlette_mount",
    "stateless_legacy",
    "stickynotes",
    "streaming",
    "subscriptions",
    "tools",
];

/// Of these stories, so many are told in both eras of the protocol.
const IN_BOTH_ERAS: usize = 14;

async fn stories_pass(port: u16, gateway: Option<SocketAddr>) {
    let mut command = Command::new(python());
    command.arg(repository().join("tests/suites/python/stories.py"));
    command.arg("--examples").arg(sdk_examples()).args(["--port", &port.to_string()]);
    command.args(gateway.iter().flat_map(|address| ["--gateway".to_owned(), format!("http://{address}")]));
    let output = finish(command.args(STORIES)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let failed: Vec<&Value> = told.iter().filter(|story| story["code"] != 0).collect();
    let shown = failed.iter().map(|story| {
        let [name, era, said] = ["story", "era", "output"].map(|member| story[member].as_str().unwrap());
        format!("{name} ({era}) ended with {}:\n{said}\n", story["code"])
    });
    assert!(failed.is_empty(), "{}", shown.collect::<String>());
    assert_eq!(told.len(), STORIES.len() + IN_BOTH_ERAS);
}

async fn stories_pass_through(shape: Shape) {
    let port = free_port();
    let gateway = gateway(shape, SocketAddr::from(([127, 0, 0, 1], port))).await;
    stories_pass(port, Some(gateway.address)).await;
    was_guarded(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_pass_straight() {
    stories_pass(free_port(), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_pass_through_the_whole_chain() {
    stories_pass_through(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_pass_through_a_chain_of_filters() {
    stories_pass_through(Shape::Chain).await;
}
