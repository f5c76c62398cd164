use std::fs;
use std::path::Path;

use airlock_policy::{Mode, Policy, lint};

use crate::support::{decide, policy, verdict};

fn example(name: &str) -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies").join(name);
    policy(&fs::read_to_string(path).unwrap())
}

#[test]
fn every_example_is_accepted_and_free_of_warnings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = entries.filter(|name| name.ends_with(".yaml")).collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        assert_eq!(lint(&example(&name)), [], "{name}");
    }
}

#[test]
fn the_examples_decide_as_their_comments_say() {
    let cases = [
        ("read-only.yaml", "mcp:read", "search", "policy_allowed read"),
        ("read-only.yaml", "mcp:read", "create-issue", "policy_default"),
        ("read-only.yaml", "", "search", "policy_scope read"),
        ("read-only.yaml", "mcp:read", "method resources/read", "policy_allowed read"),
        ("read-only.yaml", "mcp:read", "method prompts/get", "policy_allowed read"),
        ("read-only.yaml", "mcp:read", "method tasks/cancel", "policy_default"),
        ("read-only.yaml", "mcp:read", "server asks elicitation/create", "policy_capability"),
        ("everything-demo.yaml", "mcp:read", "echo", "policy_allowed read"),
        ("everything-demo.yaml", "mcp:read", "get-sum", "policy_allowed read"),
        ("everything-demo.yaml", "mcp:read", "method initialize", "policy_allowed read"),
        ("everything-demo.yaml", "mcp:read", "method resources/subscribe", "policy_allowed read"),
        ("everything-demo.yaml", "mcp:read", "server asks roots/list", "policy_allowed roots"),
        ("everything-demo.yaml", "mcp:read", "server asks elicitation/create", "policy_scope write"),
        ("everything-demo.yaml", "mcp:write", "server asks sampling/createMessage", "policy_allowed write"),
        ("everything-demo.yaml", "mcp:read", "toggle-simulated-logging", "policy_scope write"),
        ("everything-demo.yaml", "mcp:read mcp:write", "toggle-simulated-logging", "policy_allowed write"),
        (
            "everything-demo.yaml",
            "mcp:read mcp:write",
            "gzip-file-as-resource",
            "policy_denied no-outbound-fetch",
        ),
        ("observe.yaml", "sub=alice@example.com", "echo", "policy_scope read"),
        ("observe.yaml", "mcp:read", "echo", "policy_allowed read"),
    ];
    for (file, person, words, expected) in cases {
        assert_eq!(
            verdict(&decide(&example(file), person, words)),
            expected,
            "{file}: {person} calls {words}"
        );
    }
    assert_eq!(example("observe.yaml").mode(), Mode::Observe);
}
