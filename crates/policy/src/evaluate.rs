use airlock_mcp::Class;

use crate::capability::Capabilities;
use crate::compile::{Compiled, CompiledRule};
use crate::decision::{Call, Caller, Decision, Operation, Reason, Target};
use crate::document::Effect;
use crate::index::Reach;
use crate::pattern::is_plain;
use crate::principals::{Principals, Standing};

/// The method whose target is a tool.
const TOOLS_CALL: &str = "tools/call";

/// Stands for what has no method (GET, DELETE and responses): of all patterns only `*` matches it.
const NO_METHOD: &str = "";

impl Compiled {
    /// Decides on a call. Everything that could fail was refused when the policy was compiled.
    pub(crate) fn decide(&self, call: &Call<'_>) -> Decision {
        let server = self.servers.find(call.host, call.path);
        let operation = self.operation(server, &call.target);
        let denied = |reason| Decision {
            effect: Effect::Deny,
            reason,
            rule: None,
            server: server.and_then(|server| self.servers.name(server)).map(str::to_owned),
            operation,
            message: None,
            scopes: Vec::new(),
        };
        let Some(server) = server else { return denied(Reason::UnknownServer) };
        if self.servers.capabilities(server).is_some_and(|capabilities| !admit(capabilities, &call.target)) {
            return denied(Reason::PolicyCapability);
        }
        let mut tally = Tally::new(self, &call.caller);
        match call.target {
            Target::Message { method: TOOLS_CALL, tool, .. } => {
                tally.tool(server, tool.unwrap_or_default(), operation)
            }
            target => {
                if let Some(question) = Question::of(&target) {
                    tally.method(server, &question);
                }
            }
        }
        tally.decision(denied(Reason::PolicyDefault))
    }

    fn operation(&self, server: Option<u32>, target: &Target<'_>) -> Operation {
        match *target {
            Target::Message { method: TOOLS_CALL, tool, .. } => server
                .map_or(Operation::Write, |server| self.servers.operation(server, tool.unwrap_or_default())),
            Target::Message { class, .. } => Operation::from(class),
            Target::ServerRequest { method } => Operation::from(class_from_server(method)),
            Target::Answer | Target::EndSession => Operation::Session,
            Target::Stream => Operation::Stream,
        }
    }

    fn rule(&self, number: u32) -> Option<&CompiledRule> {
        self.rules.get(number as usize)
    }

    fn principals(&self, number: u32) -> Option<&Principals> {
        self.principals.get(number as usize)
    }
}

/// Whether the capability that a message belongs to, if any, may be used.
fn admit(capabilities: &Capabilities, target: &Target<'_>) -> bool {
    match *target {
        Target::Message { method, .. } => capabilities.admit_request(method),
        Target::ServerRequest { method } => capabilities.admit_server_request(method),
        Target::Answer | Target::Stream | Target::EndSession => true,
    }
}

/// The class of a method that a server sends. What only clients send is not known from there.
fn class_from_server(method: &str) -> Class {
    match Class::of(method) {
        Class::ServerPull => Class::ServerPull,
        Class::Session if method == "ping" => Class::Session,
        _ => Class::Unknown,
    }
}

/// What rules are asked about everything that is no call of a tool.
struct Question<'a> {
    method: &'a str,
    class: Class,
    /// Whether it belongs to a session: whoever may do something on a server may do that.
    session: bool,
    allowed: Allowed,
}

/// How a rule must select a message to allow it. To deny it, any way will do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    InAnyWay,
    /// A pattern was written without knowing this method: it may deny it, but never allow it.
    ByName,
    /// No rule can allow it.
    Never,
}

impl<'a> Question<'a> {
    /// What to ask; `None` of a name that nothing may match.
    fn of(target: &Target<'a>) -> Option<Self> {
        let (method, class, from_client) = match *target {
            Target::Message { method, class, .. } => (method, class, true),
            Target::ServerRequest { method } => (method, class_from_server(method), false),
            Target::Answer | Target::EndSession => return Some(Self::without_method(Class::Session)),
            Target::Stream => return Some(Self::without_method(Class::Stream)),
        };
        let allowed = match class {
            // Only a server asks something of a client: in the other direction it has no meaning.
            Class::ServerPull if from_client => Allowed::Never,
            Class::Unknown => Allowed::ByName,
            _ => Allowed::InAnyWay,
        };
        let session = matches!(class, Class::Session | Class::ReadMeta);
        is_plain(method).then_some(Self { method, class, session, allowed })
    }

    fn without_method(class: Class) -> Self {
        Self { method: NO_METHOD, class, session: true, allowed: Allowed::InAnyWay }
    }
}

/// What the rules that select a call say of it, each weighed once or more in any order.
struct Tally<'a> {
    compiled: &'a Compiled,
    caller: &'a Caller<'a>,
    deny: Option<u32>,
    allow: Option<u32>,
    short: Option<Shortfall<'a>>,
}

/// An allow rule that only lacks scopes. The least in this order is the one to ask for: fewest scopes missing,
/// then fewest in all, then by the scopes themselves and the rule's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shortfall<'a> {
    missing: usize,
    total: usize,
    scopes: &'a [String],
    rule: u32,
}

impl<'a> Tally<'a> {
    fn new(compiled: &'a Compiled, caller: &'a Caller<'a>) -> Self {
        Self { compiled, caller, deny: None, allow: None, short: None }
    }

    fn tool(&mut self, server: u32, tool: &str, operation: Operation) {
        if !is_plain(tool) {
            return;
        }
        let index = &self.compiled.tools;
        for number in index.exact(server, tool).chain(index.matching(server, tool)) {
            let Some(rule) = self.compiled.rule(number) else { continue };
            let classes = rule.operations.as_deref();
            if classes.is_none_or(|classes| classes.iter().any(|class| Operation::from(*class) == operation))
            {
                self.weigh(number, rule.effect, rule.principals);
            }
        }
    }

    fn method(&mut self, server: u32, question: &Question<'_>) {
        let Question { method, class, session, allowed } = *question;
        let index = &self.compiled.methods;
        let by_name = index.exact(server, method).map(|number| (number, allowed != Allowed::Never));
        let by_pattern = index.matching(server, method).map(|number| (number, allowed == Allowed::InAnyWay));
        for (number, may_allow) in by_name.chain(by_pattern) {
            let Some(rule) = self.compiled.rule(number) else { continue };
            let classes = rule.method_classes.as_deref();
            let selects = classes.is_none_or(|classes| classes.iter().any(|one| Class::from(*one) == class));
            if selects && (rule.effect == Effect::Deny || may_allow) {
                self.weigh(number, rule.effect, rule.principals);
            }
        }
        if session {
            let lists =
                Reach::of(server).into_iter().filter_map(|reach| self.compiled.admissions.get(&reach));
            for admission in lists.flatten() {
                self.weigh(admission.rule, Effect::Allow, admission.principals);
            }
        }
    }

    fn weigh(&mut self, rule: u32, effect: Effect, principals: u32) {
        let Some(principals) = self.compiled.principals(principals) else {
            // Every rule has principals. Were it otherwise, a deny rule would be for everybody.
            return if effect == Effect::Deny {
                self.deny = least(self.deny, rule)
            };
        };
        let scopes = principals.scopes();
        match (effect, principals.standing(self.caller)) {
            (Effect::Deny, Standing::Included) => self.deny = least(self.deny, rule),
            (Effect::Allow, Standing::Included) => self.allow = least(self.allow, rule),
            (Effect::Allow, Standing::LacksScopes(missing)) => {
                self.short = least(self.short, Shortfall { missing, total: scopes.len(), scopes, rule });
            }
            (Effect::Deny, Standing::LacksScopes(_)) | (_, Standing::Excluded) => {}
        }
    }

    /// The decision: a deny rule, else an allow rule, else scopes to ask for, else the default.
    fn decision(self, default: Decision) -> Decision {
        let rule = |number| self.compiled.rule(number);
        if let Some(denying) = self.deny {
            let denying = rule(denying);
            let name = denying.map(|rule| rule.name.clone());
            let message = denying.and_then(|rule| rule.reason.clone());
            return Decision { reason: Reason::PolicyRule, rule: name, message, ..default };
        }
        if let Some(rule) = self.allow.and_then(rule) {
            let name = Some(rule.name.clone());
            return Decision { effect: Effect::Allow, reason: Reason::Allowed, rule: name, ..default };
        }
        let Some(short) = self.short else { return default };
        let name = rule(short.rule).map(|rule| rule.name.clone());
        Decision { reason: Reason::PolicyScope, rule: name, scopes: short.scopes.to_vec(), ..default }
    }
}

fn least<T: Ord>(known: Option<T>, found: T) -> Option<T> {
    match known {
        Some(known) if known <= found => Some(known),
        _ => Some(found),
    }
}
