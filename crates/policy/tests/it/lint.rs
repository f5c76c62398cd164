use airlock_policy::lint;

use crate::support::policy;

#[test]
fn what_is_hardly_meant_is_pointed_out() {
    let servers = "[{name: s, tools: [{name: echo, operation: read}]}]";
    let cases = [
        ("{name: r, effect: allow, tools: [echo], scopes: [a]}", ""),
        ("{name: r, effect: allow, tools: ['e*'], operations: [read, write], subjects: [alice]}", ""),
        ("{name: r, effect: allow, tools: [ecko], scopes: [a]}", "rules[0].tools[0] no server"),
        ("{name: r, effect: allow, tools: ['x*'], scopes: [a]}", "rules[0].tools[0] no server"),
        (
            "{name: r, effect: allow, operations: [financial], scopes: [a]}",
            "rules[0].operations[0] no server",
        ),
        ("{name: r, effect: allow, tools: ['*']}", "rules[0] allows every tool to every caller"),
        ("{name: r, effect: allow, tools: [echo]}", "rules[0] applies to every caller"),
        ("{name: r, effect: allow, tools: [echo], scopes: [a], reason: x}", "rules[0].reason is never shown"),
        (
            "{name: r, effect: allow, tools: [echo], scopes: [a]}, {name: d, effect: deny, tools: ['**']}",
            "rules[0] has no effect",
        ),
        (
            "{name: r, effect: allow, tools: [echo], methods: [prompts/get], scopes: [a]}, {name: d, effect: deny, tools: ['*']}",
            "",
        ),
        (
            "{name: r, effect: allow, tools: [echo], scopes: [a]}, {name: d, effect: deny, tools: ['*'], groups: [x]}",
            "",
        ),
        (
            "{name: r, effect: allow, tools: [echo], scopes: [a]}, {name: d, effect: deny, tools: [echo], scopes: [b]}",
            "rules[1].scopes denies only while",
        ),
        (
            "{name: r, effect: allow, methods: [roots/list], method_classes: [stream], scopes: [a]}",
            "rules[0].methods[0] is in no class",
        ),
        (
            "{name: r, effect: allow, methods: ['resources/*', prompts/get], method_classes: [read-data], scopes: [a]}",
            "",
        ),
        (
            "{name: r, effect: allow, method_classes: [stream], scopes: [a]}, {name: d, effect: deny, methods: ['*']}",
            "rules[0] has no effect",
        ),
        (
            "{name: r, effect: allow, methods: [prompts/get], scopes: [a]}, {name: d, effect: deny, methods: ['*'], method_classes: [write]}",
            "",
        ),
        ("{name: d, effect: deny, tools: [echo]}", "servers[0] no rule allows anything"),
    ];
    for (rules, expected) in cases {
        let found = lint(&policy(&format!("{{version: 1, servers: {servers}, rules: [{rules}]}}")));
        let lines: Vec<_> =
            found.iter().map(|warning| format!("{} {}", warning.path, warning.message)).collect();
        match expected {
            "" => assert!(lines.is_empty(), "{rules}: {lines:?}"),
            _ => assert!(lines.len() == 1 && lines[0].starts_with(expected), "{rules}: {lines:?}"),
        }
    }
}

#[test]
fn servers_that_cannot_be_used_or_take_too_much_are_pointed_out() {
    let yaml = "
version: 1
servers: [{name: a, path: /x}, {name: b, path: /x, host: b.example.com}, {name: c, path: /y}]
rules: [{name: r, effect: allow, servers: [a, b], tools: [t], scopes: [s]}]";
    let found: Vec<_> = lint(&policy(yaml)).into_iter().map(|warning| warning.path).collect();
    assert_eq!(found, ["servers[0]", "servers[2]"]);
}

#[test]
fn what_capabilities_close_for_every_server_of_a_rule_is_pointed_out() {
    let rules = "{name: r, effect: allow, servers: [a], tools: [t], scopes: [s]},
        {name: m, effect: allow, methods: [prompts/get, elicitation/create, roots/list], scopes: [s]},
        {name: d, effect: deny, servers: [a], methods: [prompts/get]}";
    let lines = |servers: &str| -> Vec<String> {
        let found = lint(&policy(&format!("{{version: 1, servers: [{servers}], rules: [{rules}]}}")));
        found.into_iter().map(|warning| format!("{} {}", warning.path, warning.message)).collect()
    };
    let closed = "{name: a, capabilities: {client: [roots], server: []}}";
    let found = lines(closed);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("rules[0] allows tools, and `capabilities` close them"), "{found:?}");
    assert!(found[1].starts_with("rules[1].methods[0] is closed by `capabilities`"), "{found:?}");
    assert!(found[2].starts_with("rules[1].methods[1] is closed by `capabilities`"), "{found:?}");
    let open = lines(&format!("{closed}, {{name: b, path: /b}}"));
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(
        lines("{name: a, capabilities: {client: [elicitation, roots], server: [prompts, tools]}}").is_empty()
    );
}
