//! What a server may ask of a client, classes of methods, and what neither side is told of.

use std::{fs, path::Path};

use airlock_mcp::Class;
use airlock_policy::{Operation, Side};

use crate::support::{decide, decide_at, policy, verdict};

/// A policy with one server and these rules.
fn with_rules(rules: &str) -> String {
    format!("version: 1\nservers: [{{name: everything}}]\nrules: [{rules}]")
}

fn check(yaml: &str, cases: &[(&str, &str, &str)]) {
    let policy = policy(yaml);
    for (person, words, expected) in cases {
        assert_eq!(verdict(&decide(&policy, person, words)), *expected, "{person}: {words}");
    }
}

#[test]
fn a_server_asks_nothing_of_a_caller_whom_no_rule_lets_it_ask() {
    let rules = "{name: tools, effect: allow, tools: ['*']},
        {name: ask-alice, effect: allow, methods: [elicitation/create], subjects: [alice]},
        {name: model, effect: allow, methods: ['sampling/*'], scopes: [model]}";
    check(
        &with_rules(rules),
        &[
            ("sub=alice", "server asks elicitation/create", "policy_allowed ask-alice"),
            ("sub=bob", "server asks elicitation/create", "policy_default"),
            ("", "server asks sampling/createMessage", "policy_scope model"),
            ("model", "server asks sampling/createMessage", "policy_allowed model"),
            ("sub=alice model", "server asks roots/list", "policy_default"),
            ("", "server asks ping", "policy_allowed tools"),
        ],
    );
}

#[test]
fn a_deny_rule_closes_what_a_server_asks() {
    let rules = "{name: all, effect: allow, methods: ['*']},
        {name: no-questions, effect: deny, methods: ['elicitation/*'], groups: [guests], reason: guests are not asked}";
    let policy = policy(&with_rules(rules));
    let decision = decide(&policy, "group=guests", "server asks elicitation/create");
    assert_eq!(verdict(&decision), "policy_denied no-questions");
    assert_eq!(decision.message.as_deref(), Some("guests are not asked"));
    assert_eq!(verdict(&decide(&policy, "", "server asks elicitation/create")), "policy_allowed all");
}

#[test]
fn what_only_clients_send_is_unknown_when_a_server_sends_it() {
    let rules = "{name: any, effect: allow, methods: ['*'], method_classes: [read-meta, read-data, write, stream, server-pull]},
        {name: star, effect: allow, methods: ['*']}, {name: tools, effect: allow, tools: ['*']},
        {name: full, effect: allow, methods: [tasks/get, x/y]}";
    check(
        &with_rules(rules),
        &[
            ("", "server asks tools/list", "policy_default"),
            ("", "server asks tools/call", "policy_default"),
            ("", "server asks initialize", "policy_default"),
            ("", "server asks notifications/initialized", "policy_default"),
            ("", "server asks x/z", "policy_default"),
            ("", "server asks x/y", "policy_allowed full"),
            ("", "server asks tasks/get", "policy_allowed full"),
            ("", "server asks elicitation/create", "policy_allowed any"),
        ],
    );
}

#[test]
fn no_rule_lets_a_client_send_what_is_a_servers_to_ask() {
    let rules = "{name: full, effect: allow, methods: [elicitation/create], scopes: [s]},
        {name: star, effect: allow, methods: ['*']}, {name: pull, effect: allow, method_classes: [server-pull]},
        {name: closed, effect: deny, methods: ['sampling/*']}";
    check(
        &with_rules(rules),
        &[
            ("s", "method elicitation/create", "policy_default"),
            ("", "method elicitation/create", "policy_default"),
            ("", "method roots/list", "policy_default"),
            ("", "method sampling/createMessage", "policy_denied closed"),
            ("", "server asks roots/list", "policy_allowed pull"),
        ],
    );
}

#[test]
fn classes_select_methods_and_never_a_tool() {
    let one = |class: &str| {
        with_rules(&format!("{{name: r, effect: allow, method_classes: [{class}], scopes: [s]}}"))
    };
    let methods = [
        ("read-data", "method resources/read"),
        ("write", "method tasks/cancel"),
        ("stream", "method subscriptions/listen"),
        ("server-pull", "server asks elicitation/create"),
    ];
    for class in ["read-meta", "read-data", "write", "stream", "server-pull"] {
        for (of, words) in methods {
            let expected = if of == class { "policy_allowed r" } else { "policy_default" };
            assert_eq!(verdict(&decide(&policy(&one(class)), "s", words)), expected, "{class}: {words}");
        }
        for words in ["echo", "method x/unknown", "method tools/call"] {
            assert_eq!(
                verdict(&decide(&policy(&one(class)), "s", words)),
                "policy_default",
                "{class}: {words}"
            );
        }
        // As after every allow rule.
        assert_eq!(verdict(&decide(&policy(&one(class)), "s", "method initialize")), "policy_allowed r");
    }
}

#[test]
fn methods_and_classes_of_one_rule_must_both_match() {
    let rules = "{name: r, effect: allow, methods: ['resources/*', tasks/cancel], method_classes: [read-data, stream]}";
    check(
        &with_rules(rules),
        &[
            ("", "method resources/read", "policy_allowed r"),
            ("", "method tasks/cancel", "policy_default"),
            ("", "method prompts/get", "policy_default"),
        ],
    );
}

#[test]
fn a_deny_rule_closes_a_class_with_the_stream_of_a_get() {
    let closed = |class: &str| {
        with_rules(&format!(
            "{{name: all, effect: allow, tools: ['*'], methods: ['*']}}, {{name: closed, effect: deny, method_classes: [{class}]}}"
        ))
    };
    check(
        &closed("stream"),
        &[
            ("", "GET", "policy_denied closed"),
            ("", "method subscriptions/listen", "policy_denied closed"),
            ("", "DELETE", "policy_allowed all"),
            ("", "answer", "policy_allowed all"),
            ("", "method initialize", "policy_allowed all"),
        ],
    );
    check(
        &closed("read-meta, write"),
        &[
            ("", "method tools/list", "policy_denied closed"),
            ("", "method tasks/cancel", "policy_denied closed"),
            ("", "method initialize", "policy_allowed all"),
            ("", "echo", "policy_allowed all"),
            ("", "GET", "policy_allowed all"),
        ],
    );
}

const NARROW: &str = "
version: 1
servers:
  - name: narrow
    path: /mcp
    capabilities: {client: [elicitation], server: [tools, io.modelcontextprotocol/tasks]}
  - {name: none, path: /none, capabilities: {client: [], server: []}}
  - {name: half, path: /half, capabilities: {server: [extensions]}}
  - {name: old, path: /old, capabilities: {server: [tasks, resources, completions, logging, prompts]}}
rules: [{name: all, effect: allow, tools: ['*'], methods: ['*']}, {name: no-roots, effect: deny, methods: [roots/list]}]";

#[test]
fn what_belongs_to_a_capability_that_does_not_pass_is_denied_before_any_rule() {
    let policy = policy(NARROW);
    let closed = "policy_capability";
    let open = "policy_allowed all";
    let cases = [
        ("echo", open, closed, closed, closed),
        ("method tools/list", open, closed, closed, closed),
        ("method prompts/get", closed, closed, closed, open),
        ("method resources/templates/list", closed, closed, closed, open),
        ("method completion/complete", closed, closed, closed, open),
        ("method logging/setLevel", closed, closed, closed, open),
        ("method tasks/cancel", open, closed, open, open),
        ("method skills/list", closed, closed, open, closed),
        ("method initialize", open, open, open, open),
        ("method server/discover", open, open, open, open),
        ("method subscriptions/listen", open, open, open, open),
        ("GET", open, open, open, open),
        ("answer", open, open, open, open),
        ("server asks elicitation/create", open, closed, open, open),
        ("server asks sampling/createMessage", closed, closed, open, open),
        ("server asks roots/list", closed, closed, "policy_denied no-roots", "policy_denied no-roots"),
        ("server asks tasks/get", closed, closed, "policy_default", "policy_default"),
        ("server asks ping", open, open, open, open),
    ];
    for (words, narrow, none, half, old) in cases {
        for (path, expected) in [("/mcp", narrow), ("/none", none), ("/half", half), ("/old", old)] {
            let decision = decide_at(&policy, "h", path, "", words);
            let found = verdict(&decision);
            assert_eq!(found, expected, "{words} at {path}");
            assert_eq!(
                decision.rule.is_none(),
                found == closed || found == "policy_default",
                "{words} at {path}"
            );
        }
    }
}

#[test]
fn members_of_what_is_declared_pass_by_name_and_extensions_by_id() {
    let policy = policy(NARROW);
    let at = |path: &str| policy.capabilities("h", path).unwrap();
    let passes = |path: &str, side, within, name: &str| at(path).pass(side, within, name);
    for (path, side, within, name, expected) in [
        ("/mcp", Side::Client, None, "elicitation", true),
        ("/mcp", Side::Client, None, "Elicitation", false),
        ("/mcp", Side::Client, None, "sampling", false),
        ("/mcp", Side::Client, None, "of-its-own", false),
        ("/mcp", Side::Server, None, "tools", true),
        ("/mcp", Side::Server, None, "extensions", false),
        ("/mcp", Side::Server, Some("extensions"), "io.modelcontextprotocol/tasks", true),
        ("/mcp", Side::Server, Some("extensions"), "io.modelcontextprotocol/ui", false),
        ("/mcp", Side::Server, Some("experimental"), "io.modelcontextprotocol/tasks", false),
        ("/half", Side::Server, None, "extensions", true),
        ("/half", Side::Server, Some("extensions"), "io.modelcontextprotocol/ui", true),
        ("/half", Side::Client, None, "of-its-own", true),
        ("/none", Side::Client, None, "experimental", false),
    ] {
        assert_eq!(passes(path, side, within, name), expected, "{path} {side:?} {within:?} {name}");
    }
    assert!(
        at("/mcp").pass_part(Side::Server, "extensions") && !at("/mcp").pass_part(Side::Client, "extensions")
    );
    assert!(!at("/mcp").pass_part(Side::Server, "tools"));
    assert!(at("/half").passes_all(Side::Client) && !at("/half").passes_all(Side::Server));
    assert!(policy.capabilities("h", "/elsewhere").is_none());
}

#[test]
fn what_a_server_asks_has_an_operation_of_its_own() {
    let policy = policy(&with_rules(""));
    for (words, expected) in [
        ("server asks elicitation/create", Operation::ServerPull),
        ("server asks ping", Operation::Session),
        ("server asks tools/list", Operation::Unknown),
        ("method sampling/createMessage", Operation::ServerPull),
    ] {
        let operation = decide(&policy, "", words).operation;
        assert_eq!(operation, expected, "{words}");
        assert_eq!(serde_json::to_value(operation).unwrap(), operation.name());
    }
}

#[test]
fn the_page_about_policy_lists_the_methods_of_each_class() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/policy.md");
    let page = fs::read_to_string(page).unwrap();
    let classes = [
        ("read-meta", Class::ReadMeta),
        ("read-data", Class::ReadData),
        ("write", Class::Write),
        ("stream", Class::Stream),
        ("server-pull", Class::ServerPull),
    ];
    for (name, class) in classes {
        let start = format!("| `{name}` | `");
        let row = page.lines().find(|line| line.starts_with(&start)).unwrap();
        let methods: Vec<_> = row.split('`').filter(|word| word.contains('/')).collect();
        assert!(methods.len() >= 2, "{row}");
        for method in methods {
            assert_eq!(Class::of(method), class, "{method}");
        }
    }
}
