use airlock_mcp::Class;
use airlock_policy::{
    Call, Capabilities, Capability, ClientCapability, Document, Effect, MethodClass, Operation, Policy, Rule,
    Server, ServerCapability, Target, Tool, ToolOperation,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::support::{Person, target};

const TARGETS: &[&str] = &[
    "echo",
    "get-env",
    "get-sum",
    "pay",
    "\u{435}cho",
    "",
    "method initialize",
    "method tools/list",
    "method resources/read",
    "method x/unknown",
    "method tools/call",
    "method tasks/cancel",
    "method subscriptions/listen",
    "method elicitation/create",
    "server asks elicitation/create",
    "server asks sampling/createMessage",
    "server asks tools/list",
    "server asks x/unknown",
    "server asks ping",
    "server asks \u{435}licitation/create",
    "GET",
    "DELETE",
    "answer",
];
const PATTERNS: &[&str] = &["echo", "get-env", "pay", "get-*", "*", "*e*", "x"];
const METHODS: &[&str] = &[
    "*",
    "resources/*",
    "resources/read",
    "tools/list",
    "initialize",
    "x/*",
    "x/unknown",
    "elicitation/create",
    "*/create*",
];
const CLASSES: &[ToolOperation] =
    &[ToolOperation::Read, ToolOperation::Write, ToolOperation::Financial, ToolOperation::Destructive];

const METHOD_CLASSES: &[MethodClass] = &[
    MethodClass::ReadMeta,
    MethodClass::ReadData,
    MethodClass::Write,
    MethodClass::Stream,
    MethodClass::ServerPull,
];

/// A list that is absent, or some of these.
fn some_of(from: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<String>>> {
    option::weighted(0.4, subsequence(from, 1..=from.len().min(3)).prop_map(|names| owned(&names)))
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn rule() -> impl Strategy<Value = Rule> {
    let method_classes = option::weighted(0.3, subsequence(METHOD_CLASSES, 1..=2));
    let selects = (
        some_of(PATTERNS),
        option::weighted(0.4, subsequence(CLASSES, 1..=2)),
        some_of(METHODS),
        method_classes,
    );
    let people = (
        some_of(&["one", "two", "three"]),
        some_of(&["alice", "bob"]),
        some_of(&["app"]),
        some_of(&["dev", "ops"]),
    );
    let effect = prop_oneof![3 => Just(Effect::Allow), 1 => Just(Effect::Deny)];
    (effect, some_of(&["a", "b"]), selects, people).prop_map(|(effect, servers, selects, people)| {
        let (mut tools, operations, methods, method_classes) = selects;
        if tools.is_none() && operations.is_none() && methods.is_none() && method_classes.is_none() {
            tools = Some(owned(&["echo"]));
        }
        let (scopes, subjects, clients, groups) = people;
        let name = String::new();
        Rule {
            name,
            effect,
            servers,
            tools,
            operations,
            methods,
            method_classes,
            scopes,
            subjects,
            clients,
            groups,
            reason: None,
        }
    })
}

/// Rules with names whose order is unlike that of the document.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    vec(rule(), 0..10).prop_map(|mut rules| {
        for (position, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("r{}", position * 7 % 10);
        }
        rules
    })
}

fn document(rules: Vec<Rule>) -> Document {
    let tool = |name: &str, operation| Tool { name: name.to_owned(), operation };
    let tools = vec![
        tool("echo", ToolOperation::Read),
        tool("get-env", ToolOperation::Read),
        tool("pay", ToolOperation::Financial),
    ];
    let server = |name: &str, tools, capabilities| Server {
        name: name.to_owned(),
        path: format!("/{name}"),
        host: None,
        tools,
        capabilities,
    };
    let narrow = Capabilities {
        client: Some(vec![Capability::Defined(ClientCapability::Elicitation)]),
        server: Some(vec![
            Capability::Defined(ServerCapability::Tools),
            Capability::Extension("io.modelcontextprotocol/tasks".to_owned()),
        ]),
    };
    let servers = vec![server("a", Some(tools), None), server("b", None, Some(narrow))];
    Document { version: 1, mode: Default::default(), servers, rules }
}

fn compile(document: &Document) -> Policy {
    Policy::from_value(serde_json::to_value(document).unwrap()).unwrap()
}

fn person() -> impl Strategy<Value = Person> {
    let scopes = subsequence(vec!["one", "two", "three"], 0..=3);
    let groups = subsequence(vec!["dev", "ops", "other"], 0..=3);
    let subject = option::of(select(vec!["alice", "bob", "eve"]));
    (subject, option::of(Just("app")), scopes, groups).prop_map(|(subject, client, scopes, groups)| Person {
        subject: subject.map(str::to_owned),
        client: client.map(str::to_owned),
        scopes: owned(&scopes),
        groups: owned(&groups),
    })
}

/// Which server, who, what.
fn question() -> impl Strategy<Value = (&'static str, Person, &'static str)> {
    (select(vec!["/a", "/b", "/c"]), person(), select(TARGETS))
}

/// The semantics of the reference documentation, sentence by sentence, with no index and no care for speed.
mod naive {
    use super::*;

    /// Reason code and the scopes to ask for.
    pub(super) fn decide(
        document: &Document,
        path: &str,
        person: &Person,
        target: &Target<'_>,
    ) -> (String, Vec<String>) {
        let Some(server) = document.servers.iter().find(|server| server.path == path) else {
            return ("unknown_server".to_owned(), Vec::new());
        };
        if server.capabilities.is_some() && is_closed(target) {
            return ("policy_capability".to_owned(), Vec::new());
        }
        let here = |rule: &&Rule| rule.servers.as_ref().is_none_or(|names| names.contains(&server.name));
        let rules: Vec<_> = document.rules.iter().filter(here).filter(|rule| is_for(rule, person)).collect();
        let missing =
            |rule: &Rule| rule.scopes.iter().flatten().filter(|scope| !person.scopes.contains(scope)).count();
        let denies = |rule: &&&Rule| {
            rule.effect == Effect::Deny && selects(rule, server, target) && missing(rule) == 0
        };
        let allows = |rule: &&&Rule| {
            rule.effect == Effect::Allow
                && (selects(rule, server, target) || is_session(target))
                && !matches!(target, Target::Message { class: Class::ServerPull, .. })
        };
        if rules.iter().any(|rule| denies(&rule)) {
            return ("policy_denied".to_owned(), Vec::new());
        }
        if rules.iter().filter(allows).any(|rule| missing(rule) == 0) {
            return ("policy_allowed".to_owned(), Vec::new());
        }
        let needed = |rule: &&Rule| {
            let mut scopes: Vec<_> = rule.scopes.clone().unwrap_or_default();
            scopes.sort();
            (missing(rule), scopes.len(), scopes)
        };
        match rules.iter().filter(allows).map(needed).min() {
            Some((_, _, scopes)) => ("policy_scope".to_owned(), scopes),
            None => ("policy_default".to_owned(), Vec::new()),
        }
    }

    fn is_for(rule: &Rule, person: &Person) -> bool {
        let one = |list: &Option<Vec<String>>, name: &Option<String>| {
            list.as_ref().is_none_or(|list| name.as_ref().is_some_and(|name| list.contains(name)))
        };
        let in_group =
            rule.groups.as_ref().is_none_or(|list| person.groups.iter().any(|group| list.contains(group)));
        one(&rule.subjects, &person.subject) && one(&rule.clients, &person.client) && in_group
    }

    fn is_session(target: &Target<'_>) -> bool {
        match target {
            Target::Message { method, class, .. } => {
                *method != "tools/call" && matches!(class, Class::Session | Class::ReadMeta)
            }
            Target::ServerRequest { method } => *method == "ping",
            Target::Answer | Target::Stream | Target::EndSession => true,
        }
    }

    fn selects(rule: &Rule, server: &Server, target: &Target<'_>) -> bool {
        match target {
            Target::Message { method: "tools/call", tool, .. } => {
                let name = tool.unwrap_or_default();
                let listed = server.tools.iter().flatten().find(|tool| tool.name == name);
                let class = listed.map_or(ToolOperation::Write, |tool| tool.operation);
                let has_tool =
                    rule.tools.as_ref().is_none_or(|list| list.iter().any(|pattern| glob(pattern, name)));
                let has_class = rule.operations.as_ref().is_none_or(|list| list.contains(&class));
                !name.is_empty()
                    && name.is_ascii()
                    && (rule.tools.is_some() || rule.operations.is_some())
                    && has_tool
                    && has_class
            }
            Target::Message { method, class, .. } => selects_method(rule, method, *class),
            Target::ServerRequest { method } => {
                let class = match *method {
                    "ping" => Class::Session,
                    "elicitation/create" | "sampling/createMessage" | "roots/list" => Class::ServerPull,
                    _ => Class::Unknown,
                };
                selects_method(rule, method, class)
            }
            Target::Stream => selects_method(rule, "", Class::Stream),
            Target::Answer | Target::EndSession => selects_method(rule, "", Class::Session),
        }
    }

    fn selects_method(rule: &Rule, method: &str, class: Class) -> bool {
        let by_name = match &rule.methods {
            None => rule.method_classes.is_some(),
            Some(names) if class == Class::Unknown && rule.effect == Effect::Allow => {
                names.iter().any(|name| name == method)
            }
            Some(names) => names.iter().any(|pattern| glob(pattern, method)),
        };
        let of_class = |one: &MethodClass| match one {
            MethodClass::ReadMeta => class == Class::ReadMeta,
            MethodClass::ReadData => class == Class::ReadData,
            MethodClass::Write => class == Class::Write,
            MethodClass::Stream => class == Class::Stream,
            MethodClass::ServerPull => class == Class::ServerPull,
        };
        method.is_ascii()
            && by_name
            && rule.method_classes.as_ref().is_none_or(|list| list.iter().any(of_class))
    }

    /// What the narrow server closes: all but `elicitation` of the client, `tools` and the extension for tasks.
    fn is_closed(target: &Target<'_>) -> bool {
        match target {
            Target::Message { method, .. } => ["prompts/", "resources/", "completion/", "logging/"]
                .iter()
                .any(|head| method.starts_with(head)),
            Target::ServerRequest { method } => {
                ["roots/", "sampling/", "tasks/"].iter().any(|head| method.starts_with(head))
            }
            Target::Answer | Target::Stream | Target::EndSession => false,
        }
    }

    fn glob(pattern: &str, name: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == name,
            Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
                (0..=rest.len()).any(|n| rest.get(n..).is_some_and(|rest| glob(tail, rest)))
            }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_compiled_form_decides_as_the_semantics_say(rules in rules(), questions in vec(question(), 8)) {
        let document = document(rules);
        let policy = compile(&document);
        for (path, person, words) in questions {
            let call = Call { host: "h", path, caller: person.caller(), target: target(words) };
            let decision = policy.decide(&call);
            let found = (decision.reason.code().to_owned(), decision.scopes);
            prop_assert_eq!(found, naive::decide(&document, path, &person, &call.target), "{} {:?} {}", path, person, words);
        }
    }

    #[test]
    fn one_more_deny_rule_never_allows_more(rules in rules(), extra in rule(), questions in vec(question(), 8)) {
        let before = compile(&document(rules.clone()));
        let extra = Rule { name: "extra".to_owned(), effect: Effect::Deny, ..extra };
        let after = compile(&document(rules.into_iter().chain([extra]).collect()));
        for (path, person, words) in questions {
            let call = Call { host: "h", path, caller: person.caller(), target: target(words) };
            let was_denied = before.decide(&call).effect == Effect::Deny;
            prop_assert!(!was_denied || after.decide(&call).effect == Effect::Deny, "{} {:?} {}", path, person, words);
        }
    }

    #[test]
    fn the_order_of_rules_never_matters(
        (rules, shuffled) in rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        questions in vec(question(), 8),
    ) {
        let (first, second) = (compile(&document(rules)), compile(&document(shuffled)));
        for (path, person, words) in questions {
            let call = Call { host: "h", path, caller: person.caller(), target: target(words) };
            prop_assert_eq!(first.decide(&call), second.decide(&call));
        }
    }

    #[test]
    fn what_is_allowed_names_a_rule_and_what_is_unnamed_is_denied(rules in rules(), (path, person, words) in question()) {
        let call = Call { host: "h", path, caller: person.caller(), target: target(words) };
        let decision = compile(&document(rules)).decide(&call);
        prop_assert!(decision.rule.is_some() || decision.effect == Effect::Deny);
        prop_assert_eq!(decision.reason.code() == "policy_scope", !decision.scopes.is_empty());
        let is_unknown = ["method x/unknown", "server asks x/unknown", "server asks tools/list"].contains(&words)
            || words.contains('\u{435}');
        prop_assert!(decision.operation != Operation::Unknown || is_unknown);
    }

    #[test]
    fn a_document_survives_being_written_and_read(rules in rules()) {
        let document = document(rules);
        let policy = compile(&document);
        prop_assert_eq!(policy.document(), &document);
        let json = serde_json::to_vec_pretty(&document).unwrap();
        let read = Policy::from_json(&json).unwrap();
        prop_assert_eq!(policy.digest(), read.digest());
    }

    #[test]
    fn no_input_breaks_the_reader(bytes in vec(any::<u8>(), 0..200)) {
        // Only that it answers: what is accepted is covered by the tables.
        let _ = Policy::from_json(&bytes);
    }
}
