use std::collections::{HashMap, HashSet};

use airlock_mcp::Class;

use crate::capability::Capabilities;
use crate::document::{Document, Effect, MethodClass, Rule, Server, Tool, ToolOperation};
use crate::pattern::Pattern;
use crate::policy::Policy;

/// Something in a policy that is allowed but hardly meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The place in the document, like `rules[2].tools[0]`.
    pub path: String,
    /// What is odd there, and what it leads to.
    pub message: String,
}

/// Looks for what a policy says but hardly means. In the order of the document, servers first.
pub fn lint(policy: &Policy) -> Vec<Warning> {
    let document = policy.document();
    let mut warnings = Vec::new();
    lint_servers(document, &mut warnings);
    let shadows = Shadows::new(document);
    let servers: HashMap<_, _> =
        document.servers.iter().map(|server| (server.name.as_str(), server)).collect();
    for (position, rule) in document.rules.iter().enumerate() {
        let path = format!("rules[{position}]");
        let servers: Vec<_> = match &rule.servers {
            None => document.servers.iter().collect(),
            Some(names) => names.iter().filter_map(|name| servers.get(name.as_str()).copied()).collect(),
        };
        lint_tools(&path, rule, &servers, &mut warnings);
        lint_methods(&path, rule, &servers, &mut warnings);
        match rule.effect {
            Effect::Allow => lint_allow(&path, rule, &servers, &shadows, &mut warnings),
            Effect::Deny => lint_deny(&path, rule, &mut warnings),
        }
    }
    warnings
}

fn lint_servers(document: &Document, warnings: &mut Vec<Warning>) {
    let allows = || document.rules.iter().filter(|rule| rule.effect == Effect::Allow);
    let all_are_named = allows().all(|rule| rule.servers.is_some());
    let named: HashSet<_> = allows().flat_map(|rule| rule.servers.iter().flatten()).collect();
    let mut hosts_at: HashMap<&str, usize> = HashMap::new();
    for server in document.servers.iter().filter(|server| server.host.is_some()) {
        *hosts_at.entry(&server.path).or_default() += 1;
    }
    for (position, server) in document.servers.iter().enumerate() {
        let path = format!("servers[{position}]");
        if all_are_named && !named.contains(&server.name) {
            warn(warnings, &path, "no rule allows anything on this server: every call to it is denied");
        }
        if server.host.is_none() && hosts_at.contains_key(server.path.as_str()) {
            warn(
                warnings,
                &path,
                "other servers share this path by host: every other host is taken for this server",
            );
        }
    }
}

fn lint_tools(path: &str, rule: &Rule, servers: &[&Server], warnings: &mut Vec<Warning>) {
    let Some(listed) = servers.iter().map(|server| server.tools.as_deref()).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let exact: HashSet<_> = listed.iter().copied().flatten().map(|tool| tool.name.as_str()).collect();
    for (entry, name) in rule.tools.iter().flatten().enumerate() {
        let is_listed = match Pattern::parse(name) {
            None => exact.contains(name.as_str()),
            Some(pattern) => pattern.is_any() || exact.iter().any(|name| pattern.matches(name)),
        };
        if !is_listed {
            let message = format!("no server of this rule lists a tool `{name}`");
            warn(warnings, &format!("{path}.tools[{entry}]"), &message);
        }
    }
    let has_class = |class: ToolOperation| {
        // A tool that is not listed is a write, so that a write can always be meant.
        class == ToolOperation::Write
            || listed.iter().copied().flatten().any(|tool: &Tool| tool.operation == class)
    };
    for (entry, class) in rule.operations.iter().flatten().enumerate() {
        if !has_class(*class) {
            warn(
                warnings,
                &format!("{path}.operations[{entry}]"),
                "no server of this rule lists a tool of this class",
            );
        }
    }
}

fn lint_methods(path: &str, rule: &Rule, servers: &[&Server], warnings: &mut Vec<Warning>) {
    let classes = rule.method_classes.as_deref();
    for (entry, name) in rule.methods.iter().flatten().enumerate() {
        let path = format!("{path}.methods[{entry}]");
        let is_pattern = Pattern::parse(name).is_some();
        let has_class =
            |classes: &[MethodClass]| classes.iter().any(|one| Class::from(*one) == Class::of(name));
        if !is_pattern && classes.is_some_and(|classes| !has_class(classes)) {
            warn(warnings, &path, "is in no class of `method_classes`, and must match both");
        } else if rule.effect == Effect::Allow && is_closed(servers, |open| open.admit(name)) {
            warn(warnings, &path, "is closed by `capabilities` on every server of this rule");
        }
    }
}

/// Whether no server lets pass what belongs to a capability.
fn is_closed(servers: &[&Server], admits: impl Fn(&Capabilities) -> bool) -> bool {
    !servers.is_empty()
        && servers.iter().all(|server| server.capabilities.as_ref().is_some_and(|open| !admits(open)))
}

fn lint_allow(
    path: &str,
    rule: &Rule,
    servers: &[&Server],
    shadows: &Shadows<'_>,
    warnings: &mut Vec<Warning>,
) {
    let is_open = !has_principals(rule) && rule.scopes.is_none();
    if is_open && covers_all_tools(rule) {
        warn(warnings, path, "allows every tool to every caller, also without a token");
    } else if is_open {
        warn(
            warnings,
            path,
            "applies to every caller, also without a token: name scopes, subjects, clients or groups",
        );
    }
    if shadows.hide(rule, servers) {
        warn(warnings, path, "has no effect: rules that apply to everybody deny all that it selects");
    }
    let selects_tools = rule.tools.is_some() || rule.operations.is_some();
    if selects_tools && is_closed(servers, |open| open.admit("tools/call")) {
        warn(warnings, path, "allows tools, and `capabilities` close them on every server of this rule");
    }
    if rule.reason.is_some() {
        warn(warnings, &format!("{path}.reason"), "is never shown: only deny rules give their reason");
    }
}

fn lint_deny(path: &str, rule: &Rule, warnings: &mut Vec<Warning>) {
    if rule.scopes.is_some() {
        let message =
            "denies only while the token has these scopes: a caller avoids it with a token that has fewer";
        warn(warnings, &format!("{path}.scopes"), message);
    }
}

/// The servers on which rules for everybody deny every tool, or every other method.
struct Shadows<'a> {
    tools: Option<HashSet<&'a str>>,
    methods: Option<HashSet<&'a str>>,
}

impl<'a> Shadows<'a> {
    fn new(document: &'a Document) -> Self {
        let is_for_all =
            |rule: &&Rule| rule.effect == Effect::Deny && !has_principals(rule) && rule.scopes.is_none();
        let denies: Vec<_> = document.rules.iter().filter(is_for_all).collect();
        Self {
            tools: servers_of(denies.iter().copied().filter(|rule| covers_all_tools(rule))),
            methods: servers_of(denies.iter().copied().filter(|rule| covers_all_methods(rule))),
        }
    }

    fn hide(&self, rule: &Rule, servers: &[&Server]) -> bool {
        let hidden = |names: &Option<HashSet<&str>>| match names {
            None => true,
            Some(names) => servers.iter().all(|server| names.contains(server.name.as_str())),
        };
        let selects_tools = rule.tools.is_some() || rule.operations.is_some();
        !servers.is_empty()
            && (!selects_tools || hidden(&self.tools))
            && (!selects_methods(rule) || hidden(&self.methods))
    }
}

/// The servers that the rules are for; `None` is every server.
fn servers_of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Option<HashSet<&'a str>> {
    let mut names = HashSet::new();
    for rule in rules {
        names.extend(rule.servers.as_ref()?.iter().map(String::as_str));
    }
    Some(names)
}

fn has_principals(rule: &Rule) -> bool {
    rule.subjects.is_some() || rule.clients.is_some() || rule.groups.is_some()
}

fn covers_all_tools(rule: &Rule) -> bool {
    let all =
        [ToolOperation::Read, ToolOperation::Write, ToolOperation::Financial, ToolOperation::Destructive];
    let has_all_classes =
        rule.operations.as_ref().map(|classes| all.iter().all(|class| classes.contains(class)));
    match (&rule.tools, has_all_classes) {
        (None, classes) => classes.unwrap_or(false),
        (Some(names), classes) => names.iter().any(|name| is_any(name)) && classes.unwrap_or(true),
    }
}

fn covers_all_methods(rule: &Rule) -> bool {
    rule.method_classes.is_none() && rule.methods.iter().flatten().any(|name| is_any(name))
}

fn selects_methods(rule: &Rule) -> bool {
    rule.methods.is_some() || rule.method_classes.is_some()
}

fn is_any(name: &str) -> bool {
    Pattern::parse(name).is_some_and(|pattern| pattern.is_any())
}

fn warn(warnings: &mut Vec<Warning>, path: &str, message: &str) {
    warnings.push(Warning { path: path.to_owned(), message: message.to_owned() });
}
