use airlock_mcp::Class;
use airlock_policy::{Call, Caller, Decision, Policy, Target};
use serde_json::Value;

/// A policy from YAML.
pub(crate) fn policy(yaml: &str) -> Policy {
    Policy::from_value(value(yaml)).unwrap()
}

/// A JSON value from YAML.
pub(crate) fn value(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

/// A caller that owns what it is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Person {
    pub(crate) subject: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) groups: Vec<String>,
}

impl Person {
    /// A caller from words: `sub=`, `client=` and `group=` are prefixes, all else is a scope.
    pub(crate) fn new(words: &str) -> Self {
        let mut person = Self::default();
        for word in words.split_whitespace() {
            match word.split_once('=') {
                Some(("sub", name)) => person.subject = Some(name.to_owned()),
                Some(("client", name)) => person.client = Some(name.to_owned()),
                Some(("group", name)) => person.groups.push(name.to_owned()),
                _ => person.scopes.push(word.to_owned()),
            }
        }
        person
    }

    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller {
            subject: self.subject.as_deref(),
            client: self.client.as_deref(),
            scopes: &self.scopes,
            groups: &self.groups,
        }
    }
}

/// The target that a few words stand for: a tool by its name, or `GET`, `DELETE`, `answer`, or `method` and its name,
/// or `server asks` and a method.
pub(crate) fn target(words: &str) -> Target<'_> {
    match words {
        "GET" => Target::Stream,
        "DELETE" => Target::EndSession,
        "answer" => Target::Answer,
        _ if words.starts_with("server asks ") => {
            Target::ServerRequest { method: words.trim_start_matches("server asks ") }
        }
        _ => match words.strip_prefix("method ") {
            Some(method) => Target::Message { method, class: Class::of(method), tool: None },
            None => Target::Message { method: "tools/call", class: Class::Write, tool: Some(words) },
        },
    }
}

/// What the policy says to a call of `/mcp` on `mcp.example.com`.
pub(crate) fn decide(policy: &Policy, person: &str, words: &str) -> Decision {
    decide_at(policy, "mcp.example.com", "/mcp", person, words)
}

/// What the policy says to a call.
pub(crate) fn decide_at(policy: &Policy, host: &str, path: &str, person: &str, words: &str) -> Decision {
    policy.decide(&Call { host, path, caller: Person::new(person).caller(), target: target(words) })
}

/// The code of the reason, and the rule where there is one.
pub(crate) fn verdict(decision: &Decision) -> String {
    let code = decision.reason.code();
    decision.rule.as_ref().map_or(code.to_owned(), |rule| format!("{code} {rule}"))
}
