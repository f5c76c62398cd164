//! The official conformance suite comes to the same result through the gateway as straight at the server, check by
//! check.

use airlock_tests::{
    gateway::Shape,
    suites::{Server, Suite, gateway, was_guarded},
};

/// The `baseline` is how many checks pass and how many fail straight.
async fn nothing_differs_through_the_gateway(server: Server, suite: Suite, baseline: (usize, usize)) {
    let straight = {
        let (_process, address) = server.start();
        suite.run(&format!("http://{address}/mcp")).await
    };
    assert_eq!((straight.count("SUCCESS"), straight.count("FAILURE")), baseline);
    let mut differences = String::new();
    for shape in [Shape::Whole, Shape::Chain] {
        let (_process, address) = server.start();
        let gateway = gateway(shape, address).await;
        let through = suite.run(&gateway.url()).await;
        was_guarded(&gateway).await;
        for difference in straight.differences(&through) {
            differences += &format!("{shape:?}: {difference}\n");
        }
    }
    assert!(differences.is_empty(), "straight / through the gateway:\n{differences}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stable_suite_sees_no_difference_to_the_python_server() {
    nothing_differs_through_the_gateway(Server::Python, Suite::Stable2025, (44, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_suite_sees_no_difference_to_the_python_server_for_2025_11_25() {
    nothing_differs_through_the_gateway(Server::Python, Suite::Next2025, (84, 0)).await;
}

/// What fails is the extension for tasks, which the server does not have and nobody scores.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_suite_sees_no_difference_to_the_python_server_for_2026_07_28() {
    nothing_differs_through_the_gateway(Server::Python, Suite::Next2026, (169, 25)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stable_suite_sees_no_difference_to_the_rust_server() {
    nothing_differs_through_the_gateway(Server::Rmcp, Suite::Stable2025, (47, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_suite_sees_no_difference_to_the_rust_server_for_2025_11_25() {
    nothing_differs_through_the_gateway(Server::Rmcp, Suite::Next2025, (84, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_suite_sees_no_difference_to_the_rust_server_for_2026_07_28() {
    nothing_differs_through_the_gateway(Server::Rmcp, Suite::Next2026, (197, 0)).await;
}
