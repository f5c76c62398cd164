//! The MCP inspector sees the same server through the gateway as straight, in both eras of the protocol.

use airlock_tests::{
    gateway::{Gateway, Shape},
    suites::{Server, configuration, finish, node_package, token, was_guarded},
};
use serde_json::Value;
use tempfile::TempDir;

const CALLS: [&[&str]; 3] = [
    &["--method", "initialize"],
    &["--method", "tools/list"],
    &["--method", "tools/call", "--tool-name", "test_simple_text"],
];

/// What the inspector prints.
async fn inspect(url: &str, era: &str, call: &[&str], token: Option<&str>) -> Value {
    let home = TempDir::new().unwrap();
    let mut command = node_package("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    command.args(["--cli", url, "--transport", "http", "--protocol-era", era]).args(call);
    command.args(
        token.iter().flat_map(|token| ["--header".to_owned(), format!("Authorization: Bearer {token}")]),
    );
    let output = finish(command.env("HOME", home.path())).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{era} {call:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{era} {call:?}: no JSON, but {said}"))
}

async fn the_inspector_sees_no_difference(server: Server) {
    let (_process, address) = server.start();
    let gateway = Gateway::start(Shape::Whole, address, configuration()).await;
    for (era, version) in [("legacy", "2025-11-25"), ("modern", "2026-07-28"), ("auto", "2026-07-28")] {
        for call in CALLS {
            let straight = inspect(&format!("http://{address}/mcp"), era, call, None).await;
            let through = inspect(&gateway.url(), era, call, Some(&token())).await;
            assert_eq!(through, straight, "{era} {call:?}");
            match call[1] {
                "initialize" => assert_eq!(through["protocolVersion"], version, "{era}"),
                "tools/list" => assert!(through["tools"].as_array().unwrap().len() > 10, "{era}: {through}"),
                _ => assert!(through["content"][0]["text"].is_string(), "{era}: {through}"),
            }
        }
    }
    was_guarded(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_sees_no_difference_to_the_python_server() {
    the_inspector_sees_no_difference(Server::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_sees_no_difference_to_the_rust_server() {
    the_inspector_sees_no_difference(Server::Rmcp).await;
}
