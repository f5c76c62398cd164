use airlock_mcp::Class;
use airlock_policy::{Call, Effect, Mode, Operation, Target};

use crate::support::{Person, decide, decide_at, policy, verdict};

const EVERYTHING: &str = r#"
version: 1
servers:
  - name: everything
    tools:
      - {name: echo, operation: read}
      - {name: get-env, operation: read}
      - {name: pay, operation: financial}
      - {name: wipe, operation: destructive}
rules:
  - {name: readers, effect: allow, operations: [read], scopes: [mcp:read]}
  - {name: writers, effect: allow, operations: [write], scopes: [mcp:read, mcp:write]}
  - {name: no-environment, effect: deny, tools: [get-env], reason: "the environment holds secrets"}
  - {name: wipers, effect: allow, tools: ["wipe*"], subjects: [root@example.com], groups: [admins, owners]}
  - {name: pay-by-app, effect: allow, tools: [pay], clients: [till]}
  - {name: resources, effect: allow, methods: [resources/read, tasks/get], scopes: [mcp:read]}
"#;

/// Decides each case and compares reason and rule.
fn check(yaml: &str, cases: &[(&str, &str, &str)]) {
    let policy = policy(yaml);
    for (person, words, expected) in cases {
        let decision = decide(&policy, person, words);
        assert_eq!(verdict(&decision), *expected, "{person} calls {words}");
        let is_allowed = decision.effect == Effect::Allow;
        assert_eq!(is_allowed, expected.starts_with("policy_allowed"), "{person} calls {words}");
    }
}

/// A policy with one server and these rules.
fn with_rules(rules: &str) -> String {
    format!("version: 1\nservers: [{{name: everything}}]\nrules: [{rules}]")
}

#[test]
fn rules_select_by_tool_class_and_caller() {
    check(
        EVERYTHING,
        &[
            ("mcp:read", "echo", "policy_allowed readers"),
            ("mcp:read mcp:write", "unlisted", "policy_allowed writers"),
            ("mcp:read mcp:write", "pay", "policy_default"),
            ("client=till", "pay", "policy_allowed pay-by-app"),
            ("client=other", "pay", "policy_default"),
            ("sub=root@example.com group=owners", "wipe", "policy_allowed wipers"),
            ("sub=root@example.com group=owners", "wipe-all", "policy_allowed wipers"),
            ("sub=root@example.com", "wipe", "policy_default"),
            ("group=owners", "wipe", "policy_default"),
            ("sub=Root@example.com group=owners", "wipe", "policy_default"),
            ("mcp:read", "method resources/read", "policy_allowed resources"),
            ("mcp:read", "method prompts/get", "policy_default"),
        ],
    );
}

#[test]
fn a_matching_deny_beats_every_allow_and_says_why() {
    let policy = policy(EVERYTHING);
    let decision = decide(&policy, "mcp:read", "get-env");
    assert_eq!(verdict(&decision), "policy_denied no-environment");
    assert_eq!(decision.message.as_deref(), Some("the environment holds secrets"));
    assert_eq!((decision.server.as_deref(), decision.operation), (Some("everything"), Operation::Read));
    assert_eq!(decide(&policy, "", "get-env").reason.code(), "policy_denied");
}

#[test]
fn a_deny_rule_is_only_for_those_it_names() {
    let rules = "{name: all, effect: allow, tools: ['*']},
        {name: not-mallory, effect: deny, tools: ['*'], subjects: [mallory]}";
    check(
        &with_rules(rules),
        &[
            ("sub=mallory", "echo", "policy_denied not-mallory"),
            ("sub=alice", "echo", "policy_allowed all"),
            ("", "echo", "policy_allowed all"),
        ],
    );
}

#[test]
fn missing_scopes_are_named_when_nothing_else_is_missing() {
    let policy = policy(EVERYTHING);
    let needed = |person, words| decide(&policy, person, words).scopes;
    check(
        EVERYTHING,
        &[
            ("", "echo", "policy_scope readers"),
            ("mcp:read", "other", "policy_scope writers"),
            ("", "method resources/read", "policy_scope resources"),
            ("", "method initialize", "policy_scope readers"),
            ("", "wipe", "policy_default"),
        ],
    );
    assert_eq!(needed("", "echo"), ["mcp:read"]);
    assert_eq!(needed("mcp:read", "other"), ["mcp:read", "mcp:write"]);
    assert!(needed("mcp:read", "echo").is_empty() && needed("", "wipe").is_empty());
}

#[test]
fn of_several_ways_to_more_scopes_the_cheapest_is_named() {
    let rules = "{name: a, effect: allow, tools: [t], scopes: [one, two, three]},
        {name: b, effect: allow, tools: [t], scopes: [four, five]},
        {name: c, effect: allow, tools: [t], scopes: [six], subjects: [alice]}";
    let policy = policy(&with_rules(rules));
    let needed = |person| decide(&policy, person, "t").scopes.join(" ");
    assert_eq!(needed(""), "five four");
    assert_eq!(needed("one two"), "one three two");
    assert_eq!(needed("sub=alice"), "six");
}

#[test]
fn tools_and_operations_of_one_rule_must_both_match() {
    let yaml = "
version: 1
servers: [{name: s, tools: [{name: get-a, operation: read}]}]
rules: [{name: r, effect: allow, tools: ['get-*'], operations: [read]}]";
    check(
        yaml,
        &[("", "get-a", "policy_allowed r"), ("", "get-b", "policy_default"), ("", "a", "policy_default")],
    );
}

#[test]
fn a_session_is_open_to_whom_any_rule_could_allow_something() {
    let rules = "{name: alice, effect: allow, tools: [echo], subjects: [alice]}";
    let mut cases = Vec::new();
    let session = [
        "method initialize",
        "method ping",
        "method notifications/initialized",
        "method tools/list",
        "method resources/templates/list",
        "method server/discover",
        "GET",
        "DELETE",
        "answer",
    ];
    for words in session {
        cases.push(("sub=alice", words, "policy_allowed alice"));
        cases.push(("sub=bob", words, "policy_default"));
    }
    for words in
        ["method resources/read", "method subscriptions/listen", "method tasks/cancel", "method new/thing"]
    {
        cases.push(("sub=alice", words, "policy_default"));
    }
    check(&with_rules(rules), &cases);
}

#[test]
fn a_session_is_closed_by_a_deny_rule_with_methods_only() {
    let rules = |deny| {
        with_rules(&format!(
            "{{name: all, effect: allow, tools: ['*']}}, {{name: closed, effect: deny, {deny}}}"
        ))
    };
    check(
        &rules("tools: ['*']"),
        &[
            ("", "echo", "policy_denied closed"),
            ("", "method initialize", "policy_allowed all"),
            ("", "GET", "policy_allowed all"),
        ],
    );
    check(
        &rules("methods: [prompts/list]"),
        &[
            ("", "method prompts/list", "policy_denied closed"),
            ("", "method tools/list", "policy_allowed all"),
        ],
    );
    check(
        &rules("methods: ['prompts/*']"),
        &[("", "method prompts/list", "policy_denied closed"), ("", "GET", "policy_allowed all")],
    );
    check(
        &rules("methods: ['*']"),
        &[
            ("", "method initialize", "policy_denied closed"),
            ("", "GET", "policy_denied closed"),
            ("", "DELETE", "policy_denied closed"),
            ("", "answer", "policy_denied closed"),
            ("", "echo", "policy_allowed all"),
        ],
    );
}

#[test]
fn a_session_on_one_server_needs_a_rule_for_that_server() {
    let yaml = "
version: 1
servers: [{name: a, path: /a}, {name: b, path: /b}]
rules: [{name: r, effect: allow, servers: [a], tools: [t]}]";
    let policy = policy(yaml);
    for (path, expected) in [("/a", "policy_allowed r"), ("/b", "policy_default")] {
        for words in ["method initialize", "t"] {
            assert_eq!(verdict(&decide_at(&policy, "h", path, "", words)), expected, "{path} {words}");
        }
    }
}

#[test]
fn an_unknown_method_is_allowed_only_by_its_full_name() {
    let rules = "{name: any, effect: allow, methods: ['*']}, {name: full, effect: allow, methods: [x/named]},
        {name: closed, effect: deny, methods: ['x/secret*']}";
    check(
        &with_rules(rules),
        &[
            ("", "method x/named", "policy_allowed full"),
            ("", "method x/other", "policy_default"),
            ("", "method x/secret-1", "policy_denied closed"),
            ("", "method resources/read", "policy_allowed any"),
            ("", "method subscriptions/listen", "policy_allowed any"),
        ],
    );
}

#[test]
fn methods_never_select_a_tool_and_tools_never_a_method() {
    check(
        &with_rules("{name: m, effect: allow, methods: ['*', 'tools/*']}"),
        &[("", "echo", "policy_default"), ("", "method tools/list", "policy_allowed m")],
    );
    check(
        &with_rules("{name: t, effect: allow, tools: ['*']}"),
        &[("", "resources/read", "policy_allowed t"), ("", "method resources/read", "policy_default")],
    );
}

#[test]
fn names_that_only_look_alike_match_nothing() {
    let rules = "{name: all, effect: allow, tools: ['*'], methods: ['*']}";
    let long = "a".repeat(257);
    let names =
        ["\u{435}cho", "echo\u{0}", "echo\n", "\u{ff45}cho", "echo\u{200b}", "ech\u{6f}\u{301}", "", &long];
    let policy = policy(&with_rules(rules));
    for name in names {
        assert_eq!(verdict(&decide(&policy, "", name)), "policy_default", "{name:?}");
        let caller = Person::default();
        let target = Target::Message { method: name, class: Class::Session, tool: None };
        let call = Call { host: "h", path: "/mcp", caller: caller.caller(), target };
        assert_eq!(verdict(&policy.decide(&call)), "policy_default", "{name:?}");
    }
    check(
        &with_rules("{name: r, effect: allow, tools: [echo]}"),
        &[("", "Echo", "policy_default"), ("", "echo ", "policy_default")],
    );
}

#[test]
fn a_tool_call_without_a_name_is_denied() {
    let policy = policy(&with_rules("{name: all, effect: allow, tools: ['*'], methods: ['*']}"));
    assert_eq!(verdict(&decide(&policy, "", "method tools/call")), "policy_default");
}

#[test]
fn servers_are_found_by_path_and_host() {
    let yaml = "
version: 1
servers:
  - {name: any, path: /mcp}
  - {name: host, path: /mcp, host: A.example.com}
  - {name: port, path: /mcp, host: 'a.example.com:8443'}
  - {name: lone, path: /lone, host: b.example.com}
rules: []";
    let policy = policy(yaml);
    let cases = [
        ("a.example.com", "/mcp", Some("host")),
        ("A.EXAMPLE.COM.", "/mcp", Some("host")),
        ("a.example.com:80", "/mcp", Some("host")),
        ("a.example.com:8443", "/mcp", Some("port")),
        ("c.example.com", "/mcp", Some("any")),
        ("", "/mcp", Some("any")),
        ("a.example.com", "/mcp?x=1", Some("host")),
        ("b.example.com:1", "/lone", Some("lone")),
        ("a.example.com", "/lone", None),
        ("x.b.example.com", "/lone", None),
        ("user@b.example.com", "/lone", None),
        ("a.example.com", "/mcp/", None),
        ("a.example.com", "/MCP", None),
        ("a.example.com", "/%6dcp", None),
        ("a.example.com", "/x/../mcp", None),
        ("a.example.com", "", None),
    ];
    for (host, path, expected) in cases {
        let decision = decide_at(&policy, host, path, "", "echo");
        assert_eq!(decision.server.as_deref(), expected, "{host} {path}");
        let code = if expected.is_some() { "policy_default" } else { "unknown_server" };
        assert_eq!(verdict(&decision), code, "{host} {path}");
    }
}

#[test]
fn the_operation_is_reported_whatever_the_verdict() {
    let policy = policy(EVERYTHING);
    let cases = [
        ("echo", Operation::Read),
        ("unlisted", Operation::Write),
        ("pay", Operation::Financial),
        ("wipe", Operation::Destructive),
        ("method ping", Operation::Session),
        ("method tools/list", Operation::List),
        ("method resources/read", Operation::Read),
        ("method subscriptions/listen", Operation::Stream),
        ("method x/y", Operation::Unknown),
        ("GET", Operation::Stream),
        ("DELETE", Operation::Session),
        ("answer", Operation::Session),
    ];
    for (words, expected) in cases {
        assert_eq!(decide(&policy, "", words).operation, expected, "{words}");
    }
}

#[test]
fn observing_changes_the_mode_and_no_verdict() {
    let observing = policy(&EVERYTHING.replacen("servers:", "mode: observe\nservers:", 1));
    let enforcing = policy(EVERYTHING);
    assert_eq!((enforcing.mode(), observing.mode()), (Mode::Enforce, Mode::Observe));
    for words in ["echo", "get-env", "wipe", "method initialize"] {
        assert_eq!(decide(&observing, "mcp:read", words), decide(&enforcing, "mcp:read", words));
    }
    assert_ne!(observing.digest(), enforcing.digest());
}

#[test]
fn a_policy_without_rules_denies_everything() {
    let policy = policy(&with_rules(""));
    for words in ["echo", "method initialize", "GET", "DELETE", "answer"] {
        assert_eq!(verdict(&decide(&policy, "sub=alice mcp:read", words)), "policy_default");
    }
}
