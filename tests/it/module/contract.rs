//! What the module needs of a proxy, what it offers, and which configurations it accepts.

use super::{CHAIN, configuration, gateway::Gateway, host, proxy::OFFERED, shipped, whole};

/// Envoy compiles every byte before it starts; 1.2 MB took 3 s there.
const BUDGET_BYTES: usize = 2 << 20;

#[test]
fn the_module_is_one_that_envoy_loads() {
    let exports: Vec<&str> = host::module().exports().map(|export| export.name()).collect();
    for needed in [
        "memory",
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_memory_allocate",
        "proxy_on_context_create",
        "proxy_on_vm_start",
        "proxy_on_configure",
        "proxy_on_tick",
        "proxy_on_http_call_response",
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_response_trailers",
        "proxy_on_log",
        "proxy_on_done",
        "proxy_on_delete",
    ] {
        assert!(exports.contains(&needed), "`{needed}` is not among {exports:?}");
    }
    for import in host::module().imports() {
        let import = (import.module(), import.name());
        assert!(OFFERED.contains(&import), "{import:?} is not among what a proxy has to offer");
    }
    let size = host::bytes().len();
    assert!(size <= BUDGET_BYTES, "{size} bytes are more than {BUDGET_BYTES}");
}

#[test]
fn every_shipped_configuration_is_accepted() {
    let mut gateway = Gateway::together(&[]);
    for root in CHAIN.into_iter().chain(["airlock"]) {
        let (_, accepted) = gateway.configure(0, root, shipped(root).to_string().as_bytes());
        assert!(accepted, "{root}: {:?}", gateway.proxy.borrow().log);
    }
}

#[test]
fn receipts_are_delivered_by_the_clock() {
    let mut gateway = Gateway::together(&whole());
    assert_eq!(gateway.proxy.borrow().tick, Some(2), "stages have their upkeep soon");
    gateway.tick(2);
    assert_eq!(gateway.proxy.borrow().tick, Some(100));
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_its_place() {
    let mut gateway = Gateway::together(&[]);
    let without = |pointer: &str, member: &str| {
        let mut configuration = configuration("airlock");
        configuration.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member);
        configuration.to_string().into_bytes()
    };
    let with = |pointer: &str, value: serde_json::Value| {
        let mut configuration = configuration("airlock");
        *configuration.pointer_mut(pointer).unwrap() = value;
        configuration.to_string().into_bytes()
    };
    for (root, configuration, said) in [
        ("no-such-root", b"{}".to_vec(), "unknown root id `no-such-root`"),
        ("\u{fffd}\u{0}", Vec::new(), "unknown root id"),
        ("airlock", Vec::new(), "airlock: the section `receipts` is missing"),
        ("airlock", b"\xff\xfe".to_vec(), "airlock: the configuration is not JSON"),
        ("airlock", b"[1]".to_vec(), "airlock: the configuration must be an object"),
        ("airlock", [b'['; 100_000].to_vec(), "airlock: the configuration is not JSON"),
        ("airlock", without("", "policy"), "airlock: the section `policy` is missing"),
        (
            "airlock",
            without("/identity/issuers/0", "jwks"),
            "airlock: identity: issuers[0].jwks: the keys must be here",
        ),
        ("airlock", with("/receipts/digests/key", "short".into()), "receipts: digests.key: "),
        ("airlock", with("/policy/rules/0/effect", "perhaps".into()), "policy.rules[0].effect: "),
        ("airlock", with("/mcp/limits/depth", (-1).into()), "mcp.limits.depth: "),
        ("tool-policy", b"{\"version\":2}".to_vec(), "tool-policy: version: "),
        (
            "pii-redactor",
            b"{\"request\":{\"detect\":[\"shoe\"]}}".to_vec(),
            "pii-redactor: request.detect[0]: ",
        ),
        ("mcp-parser", b"{\"limitz\":{}}".to_vec(), "mcp-parser: limitz: "),
    ] {
        gateway.proxy.borrow_mut().log.clear();
        let (_, accepted) = gateway.configure(0, root, &configuration);
        assert!(!accepted, "{said}");
        let log = gateway.proxy.borrow().log.join("\n");
        assert!(log.starts_with("4 airlock: configuration refused: ") && log.contains(said), "{said}: {log}");
    }
}

#[test]
fn a_filter_without_a_configuration_lets_nothing_pass() {
    let mut gateway = Gateway::together(&[("airlock", configuration("airlock"))]);
    let (root, accepted) = gateway.configure(0, "airlock", b"{}");
    assert!(!accepted);
    gateway.use_root(0, root);
    let exchange = gateway.request(&super::call("echo"));
    assert_eq!(exchange.upstream, None);
    assert_eq!(exchange.client.unwrap().header(":status"), Some("500"));
}
