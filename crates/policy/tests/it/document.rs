use airlock_policy::{Mode, Policy, ToolOperation, limits};
use serde_json::{Value, json};

use crate::support::{policy, value};

const SMALL: &str =
    "{version: 1, servers: [{name: s, tools: [{name: t}]}], rules: [{name: r, effect: allow, tools: [t]}]}";

/// The small policy with one place changed.
fn changed(pointer: &str, to: Value) -> Value {
    let mut document = value(SMALL);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.insert(key.to_owned(), to)),
        Value::Array(entries) => entries[key.parse::<usize>().unwrap()] = to,
        _ => panic!("{pointer} leads nowhere"),
    }
    document
}

#[test]
fn defaults_are_the_strict_ones() {
    let policy = policy(SMALL);
    let server = &policy.document().servers[0];
    assert_eq!((policy.mode(), server.path.as_str(), server.host.as_deref()), (Mode::Enforce, "/mcp", None));
    assert_eq!(server.tools.as_ref().unwrap()[0].operation, ToolOperation::Write);
}

#[test]
fn mistakes_are_refused_with_their_path() {
    let many = |count: usize| Value::from((0..count).map(|n| format!("n{n}")).collect::<Vec<_>>());
    let cases = [
        ("/version", json!(2), "version", "version 2 is not supported"),
        ("/version", json!(1.5), "version", "version 1.5"),
        ("/version", json!("1"), "version", "invalid type"),
        ("/mode", json!("dry"), "mode", "unknown variant `dry`"),
        ("/mode", Value::Null, "mode", ""),
        ("/extra", json!(1), "extra", "unknown field `extra`"),
        ("/servers/0/url", json!("x"), "servers[0].url", "unknown field `url`"),
        ("/servers/0/tools/0/class", json!("read"), "servers[0].tools[0].class", "unknown field"),
        ("/rules/0/tool", json!([]), "rules[0].tool", "unknown field `tool`"),
        ("/rules/0/effect", json!("permit"), "rules[0].effect", "unknown variant `permit`"),
        ("/rules/0/operations", json!(["list"]), "rules[0].operations[0]", "unknown variant `list`"),
        ("/rules/0/subjects", Value::Null, "rules[0].subjects", "null"),
        ("/rules/0/subjects", json!([]), "rules[0].subjects", "the list is empty"),
        ("/rules/0/tools", json!([]), "rules[0].tools", "the list is empty"),
        ("/rules/0/subjects", json!([true]), "rules[0].subjects[0]", "bare y, n, yes, no, on and off"),
        ("/rules/0/subjects", json!([7]), "rules[0].subjects[0]", "expected a string"),
        ("/rules/0/subjects", json!([""]), "rules[0].subjects[0]", "would never match"),
        ("/rules/0/scopes", json!(["a b"]), "rules[0].scopes[0]", "one scope per entry"),
        ("/rules/0/scopes", json!(["a\""]), "rules[0].scopes[0]", "a scope is"),
        ("/rules/0/tools", json!(["t", "\u{435}cho"]), "rules[0].tools[1]", "would never match"),
        ("/rules/0/methods", json!(["tools/call"]), "rules[0].methods[0]", "selected by `tools`"),
        ("/rules/0/servers", json!(["s", "z"]), "rules[0].servers[1]", "there is no server `z`"),
        ("/rules/0/reason", json!("two\nlines"), "rules[0].reason", "one line"),
        ("/rules/0/reason", json!("x".repeat(257)), "rules[0].reason", "256"),
        ("/rules/0/name", json!("Upper"), "rules[0].name", "is not a name"),
        ("/servers/0/name", json!("-a"), "servers[0].name", "is not a name"),
        ("/servers/0/name", json!("a".repeat(65)), "servers[0].name", "is not a name"),
        ("/servers/0/path", json!("mcp"), "servers[0].path", "starts with `/`"),
        ("/servers/0/path", json!("/mcp?x"), "servers[0].path", "without query"),
        ("/servers/0/path", json!("/a/../mcp"), "servers[0].path", "never match"),
        ("/servers/0/path", json!("//mcp"), "servers[0].path", "never match"),
        ("/servers/0/host", json!("*.example.com"), "servers[0].host", "is not a host"),
        ("/servers/0/host", json!("a:x"), "servers[0].host", "is not a host"),
        ("/servers/0/tools/0/name", json!("get-*"), "servers[0].tools[0].name", "exact name"),
        ("/servers/0/tools", json!([{"name": "t"}, {"name": "t"}]), "servers[0].tools[1].name", "is taken"),
        ("/servers/0/tools", json!([]), "servers[0].tools", "the list is empty"),
        ("/rules/0/method_classes", json!([]), "rules[0].method_classes", "the list is empty"),
        (
            "/rules/0/method_classes",
            json!(["session"]),
            "rules[0].method_classes[0]",
            "unknown variant `session`",
        ),
        ("/servers/0/capabilities", Value::Null, "servers[0].capabilities", "null"),
        ("/servers/0/capabilities", json!({}), "servers[0].capabilities", "narrows nothing"),
        ("/servers/0/capabilities", json!([["roots"]]), "servers[0].capabilities", "a list stands"),
        ("/servers/0/capabilities", json!({"client": null}), "servers[0].capabilities.client", "null"),
        (
            "/servers/0/capabilities",
            json!({"user": []}),
            "servers[0].capabilities.user",
            "unknown field `user`",
        ),
        (
            "/servers/0/capabilities",
            json!({"client": ["smapling"]}),
            "servers[0].capabilities.client[0]",
            "unknown variant `smapling`",
        ),
        (
            "/servers/0/capabilities",
            json!({"client": ["tools"]}),
            "servers[0].capabilities.client[0]",
            "unknown variant `tools`",
        ),
        (
            "/servers/0/capabilities",
            json!({"server": ["tools", "roots"]}),
            "servers[0].capabilities.server[1]",
            "unknown variant `roots`",
        ),
        (
            "/servers/0/capabilities",
            json!({"server": ["example.com/*"]}),
            "servers[0].capabilities.server[0]",
            "an extension is named by its id",
        ),
        (
            "/servers/0/capabilities",
            json!({"server": [{"tools": null}]}),
            "servers[0].capabilities.server[0]",
            "expected a string",
        ),
        ("/servers", json!([{"name": "s"}, {"name": "s", "path": "/b"}]), "servers[1].name", "is taken"),
        ("/servers", json!([{"name": "s"}, {"name": "z"}]), "servers[1]", "same path and host"),
        ("/rules/0/tools", many(257), "rules[0].tools", "limit of 256"),
        ("/rules/0/scopes", many(33), "rules[0].scopes", "limit of 32"),
    ];
    for (pointer, to, path, message) in cases {
        let error = Policy::from_value(changed(pointer, to.clone())).unwrap_err();
        assert_eq!(error.path, path, "{pointer} = {to}: {error}");
        assert!(error.message.contains(message), "{pointer} = {to}: {error}");
    }
}

#[test]
fn hosts_that_differ_in_case_or_final_dot_are_the_same() {
    let servers = json!([{"name": "s", "host": "a.example.com"}, {"name": "z", "host": "A.example.com."}]);
    assert_eq!(Policy::from_value(changed("/servers", servers)).unwrap_err().path, "servers[1]");
}

#[test]
fn missing_fields_are_refused_where_they_are_missing() {
    for field in ["version", "servers", "rules"] {
        let mut document = value(SMALL);
        document.as_object_mut().unwrap().remove(field);
        let error = Policy::from_value(document).unwrap_err();
        assert_eq!(error.to_string(), format!("missing field `{field}`"));
    }
    let nothing =
        Policy::from_value(changed("/rules/0", json!({"name": "r", "effect": "deny"}))).unwrap_err();
    assert_eq!(nothing.path, "rules[0]");
    assert!(nothing.message.contains("selects nothing"));
    let twice = changed(
        "/rules",
        json!([{"name": "r", "effect": "deny", "tools": ["a"]}, {"name": "r", "effect": "allow", "tools": ["b"]}]),
    );
    assert_eq!(Policy::from_value(twice).unwrap_err().path, "rules[1].name");
}

#[test]
fn malformed_json_and_double_keys_are_refused() {
    let cases = [
        ("", "EOF"),
        ("[", "EOF"),
        (r#"[1,"enforce",[],[]]"#, "a list stands"),
        (r#"{"version":1,"servers":[["s"]],"rules":[]}"#, "servers[0]: a list stands"),
        (
            r#"{"version":1,"servers":[["s","/mcp","h",[{"name":"t"}]]],"rules":[]}"#,
            "servers[0]: a list stands",
        ),
        (
            r#"{"version":1,"servers":[{"name":"s","tools":[["t","read"]]}],"rules":[]}"#,
            "servers[0].tools[0]: a list stands",
        ),
        ("null", "expected a policy document"),
        (r#"{"version":1,"servers":[],"rules":[]} x"#, "trailing"),
        (r#"{"version":1,"version":1,"servers":[],"rules":[]}"#, "duplicate field `version`"),
        (
            r#"{"version":1,"servers":[],"rules":[{"name":"r","effect":"deny","effect":"allow"}]}"#,
            "duplicate field `effect`",
        ),
        ("{\"version\":1,\"servers\":[],\"rules\":[],\"\u{1}\":1}", "control character"),
    ];
    for (json, message) in cases {
        let error = Policy::from_json(json.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(message), "{json}: {error}");
    }
    assert!(Policy::from_json(b"\xff").is_err());
    assert!(Policy::from_json("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn errors_are_short_and_one_line() {
    let error = Policy::from_value(changed(&format!("/{}\n", "x".repeat(5000)), json!(1))).unwrap_err();
    assert!(error.message.chars().count() <= 512 && error.path.chars().count() <= 512);
    assert!(!error.message.contains('\n'));
}

#[test]
fn a_document_above_the_limits_is_refused() {
    let reason = "x".repeat(200);
    let rule =
        |n: usize| json!({"name": format!("r{n}"), "effect": "deny", "tools": ["t"], "reason": reason});
    let large: Vec<_> = (0..5_000).map(rule).collect();
    let error = Policy::from_value(changed("/rules", Value::from(large))).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the document is larger than the limit of {} bytes", limits::DOCUMENT_BYTES)
    );
    let spaces = vec![b' '; limits::INPUT_BYTES + 1];
    assert!(Policy::from_json(&spaces).unwrap_err().message.contains("limit"));

    let rule = |n: usize| json!({"name": format!("r{n}"), "effect": "deny", "tools": ["t"]});
    let rules = |count| Value::from((0..count).map(rule).collect::<Vec<_>>());
    assert!(Policy::from_value(changed("/rules", rules(limits::RULES))).is_ok());
    let error = Policy::from_value(changed("/rules", rules(limits::RULES + 1))).unwrap_err();
    assert_eq!((error.path.as_str(), error.message.contains("10000")), ("rules", true));
}

#[test]
fn a_product_of_servers_and_names_that_is_too_large_is_refused() {
    let server = |n: usize| json!({"name": format!("s{n}"), "path": format!("/{n}")});
    let names: Vec<_> = (0..256).map(|n| format!("s{n}")).collect();
    let tools: Vec<_> = (0..256).map(|n| format!("t{n}")).collect();
    let rule =
        |n: usize| json!({"name": format!("r{n}"), "effect": "deny", "servers": names, "tools": tools});
    let mut document = changed("/servers", (0..256).map(server).collect());
    document["rules"] = (0..3).map(rule).collect();
    assert!(Policy::from_value(document.clone()).is_ok());
    document["rules"] = (0..4).map(rule).collect();
    assert_eq!(Policy::from_value(document).unwrap_err().path, "rules");
}

#[test]
fn the_digest_is_that_of_the_canonical_document_as_given() {
    let canonical = r#"{"rules":[{"effect":"allow","name":"r","tools":["t"]}],"servers":[{"name":"s","tools":[{"name":"t"}]}],"version":1}"#;
    // sha256sum of the line above, without its end.
    let expected = "sha256:42829c2729299b75580377205abfae91673d33efb7bced53b41cc18b8150246b";
    let spaced = canonical.replace(':', " :\n ").replace("\"t\"", "\"\\u0074\"");
    let doubles = canonical.replace("\"version\":1", "\"version\":1.0");
    for json in [canonical, &spaced, &doubles] {
        assert_eq!(Policy::from_json(json.as_bytes()).unwrap().digest(), expected, "{json}");
    }
    assert_eq!(policy(SMALL).digest(), expected);
    let with_default = changed("/mode", json!("enforce"));
    assert_ne!(Policy::from_value(with_default).unwrap().digest(), expected);
}
