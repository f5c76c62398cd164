//! The authorization scenarios of the official conformance suite, in which a client signs in to a server that protects
//! itself, come to the same result with the gateway between the two. It has no part in the sign-in: challenges,
//! metadata and tokens that are not its own pass as they are while it observes who calls, and enforces everything else.

use airlock_tests::{
    gateway::{Gateway, Shape},
    suites::{Guest, configuration},
};
use serde_json::json;

/// What an official client without key-bound tokens goes through.
const SCENARIOS: [&str; 30] = [
    "2025-03-26-oauth-metadata-backcompat",
    "2025-03-26-oauth-endpoint-fallback",
    "metadata-default",
    "metadata-var1",
    "metadata-var2",
    "metadata-var3",
    "basic-cimd",
    "scope-from-www-authenticate",
    "scope-from-scopes-supported",
    "scope-omitted-when-undefined",
    "scope-step-up",
    "scope-retry-limit",
    "token-endpoint-auth-basic",
    "token-endpoint-auth-post",
    "token-endpoint-auth-none",
    "pre-registration",
    "resource-mismatch",
    "offline-access-scope",
    "offline-access-not-supported",
    "authorization-server-migration",
    "iss-supported",
    "iss-not-advertised",
    "iss-supported-missing",
    "iss-wrong-issuer",
    "iss-unexpected",
    "iss-normalized",
    "metadata-issuer-mismatch",
    "client-credentials-jwt",
    "client-credentials-basic",
    "enterprise-managed-authorization",
];

/// Those of tokens that are bound to a key.
const BOUND: [&str; 2] = ["dpop", "dpop-nonce"];

/// The tokens of the suite are no JWTs: the gateway cannot know whose they are.
async fn gateway(shape: Shape) -> Gateway {
    let identity = configuration().0["identity"].clone();
    let mut configuration =
        configuration().with("/identity", identity).with("/identity/mode", json!("observe"));
    for rule in configuration.0["policy"]["rules"].as_array_mut().unwrap() {
        rule.as_object_mut().unwrap().remove("scopes");
    }
    let hosts = json!({ "origins": ["http://localhost:*"], "hosts": ["localhost"] });
    Gateway::forwarding(shape, configuration.with("/mcp", hosts)).await
}

async fn nothing_differs_through_the_gateway(
    guest: Guest,
    scenarios: &[&str],
    shapes: &[Shape],
    passed: usize,
) {
    let straight = guest.sign_in(scenarios, None).await;
    assert_eq!((straight.count("SUCCESS"), straight.count("FAILURE")), (passed, 0));
    let mut differences = String::new();
    for shape in shapes {
        let gateway = gateway(*shape).await;
        let through = guest.sign_in(scenarios, Some(gateway.address)).await;
        for difference in straight.differences(&through) {
            differences += &format!("{shape:?}: {difference}\n");
        }
        assert!(differences.is_empty(), "straight / through the gateway:\n{differences}{}", gateway.log());
        gateway.signer.receipt("a call", |record| record.what.name.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_signs_in_as_it_does_without_a_gateway() {
    nothing_differs_through_the_gateway(Guest::Python, &SCENARIOS, &[Shape::Whole], 389).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_client_proves_its_key_as_it_does_without_a_gateway() {
    let shapes = [Shape::Whole, Shape::Chain];
    nothing_differs_through_the_gateway(Guest::TypeScriptBound, &BOUND, &shapes, 26).await;
}
