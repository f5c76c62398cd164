//! May this caller do this, now: asks the policy about every call, and about everything that the server asks of the
//! client in its answers, and refuses what it does not allow. Takes out of the messages the capabilities that policy
//! does not let pass, so that neither side tries what would be refused.

mod answer;
mod narrow;
#[cfg(test)]
mod tests;

use airlock_mcp::{Class, Kind, Message, transport};
use airlock_pipeline::{
    Denial, Exchange, Facts, Host, Mode, Next, Scheme, Side, Stage, Verdict, publish, rpc,
};
use airlock_policy::{Call, Caller, Capabilities, Decision, Effect, Policy, Reason, Target};

/// The stage.
#[derive(Debug)]
pub struct ToolPolicy {
    policy: Policy,
}

impl ToolPolicy {
    /// A stage that decides by `policy`.
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// Decides on what the call aims at, keeps the verdict and refuses what is not allowed.
    fn decide(
        &self,
        exchange: &mut Exchange,
        host: &mut dyn Host,
        target: &Target<'_>,
    ) -> Result<(), Denial> {
        let decision = self.decision(exchange, target);
        let allowed = decision.effect == Effect::Allow;
        let refusal = if allowed { Ok(()) } else { Err(denial(&decision, exchange, "this call")) };
        publish(host, "operation", decision.operation.name());
        if let Some(server) = &decision.server {
            publish(host, "server", server);
        }
        if allowed {
            publish(host, "decision", "allow");
            publish(host, "rule", decision.rule.as_deref().unwrap_or_default());
        }
        exchange.facts.verdict = Some(Verdict {
            allowed,
            reason: decision.reason.code().to_owned(),
            rule: decision.rule,
            server: decision.server,
            operation: decision.operation,
            policy_digest: self.policy.digest().to_owned(),
        });
        refusal
    }

    /// What policy says to this target, for the caller of this exchange.
    fn decision(&self, exchange: &Exchange, target: &Target<'_>) -> Decision {
        let claims = exchange.facts.caller.claims();
        self.policy.decide(&Call {
            host: &exchange.facts.host,
            path: &exchange.facts.path,
            caller: Caller {
                subject: claims.map(|claims| claims.subject.as_str()),
                client: claims.and_then(|claims| claims.client.as_deref()),
                scopes: claims.map(|claims| claims.scopes.as_slice()).unwrap_or_default(),
                groups: claims.map(|claims| claims.groups.as_slice()).unwrap_or_default(),
            },
            target: *target,
        })
    }

    /// The capabilities that may pass here, if policy narrows any and means it.
    fn capabilities(&self, exchange: &Exchange) -> Option<&Capabilities> {
        match self.policy.mode() {
            airlock_policy::Mode::Enforce => {
                self.policy.capabilities(&exchange.facts.host, &exchange.facts.path)
            }
            airlock_policy::Mode::Observe => None,
        }
    }

    /// Judges the `Mcp-*` headers of a request whose headers leave before its body can be read. They cannot allow
    /// anything: the body is judged when it comes.
    fn judge_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        let headers = exchange.request_headers.clone();
        let Some(method) = headers.text(transport::METHOD) else { return Ok(()) };
        let name = headers.text(transport::NAME).and_then(|name| transport::decode_header_value(name).ok());
        let class = Class::of(method);
        let tool = if method == "tools/call" { name.as_deref() } else { None };
        self.decide(exchange, host, &Target::Message { method, class, tool })
    }
}

impl Stage for ToolPolicy {
    fn mode(&self) -> Mode {
        match self.policy.mode() {
            airlock_policy::Mode::Enforce => Mode::Enforce,
            airlock_policy::Mode::Observe => Mode::Observe,
        }
    }

    fn request_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<Next, Denial> {
        // What is compressed could not be judged; without this header the server sends its answer plain.
        host.remove_header(Side::Request, "accept-encoding")?;
        match exchange.facts.http_method.as_str() {
            "GET" => self.decide(exchange, host, &Target::Stream)?,
            "DELETE" => self.decide(exchange, host, &Target::EndSession)?,
            _ => match exchange.facts.message.clone() {
                Some(message) => self.decide(exchange, host, &target(&message))?,
                None if !exchange.headers_held => self.judge_headers(exchange, host)?,
                None => {}
            },
        }
        Ok(Next::On)
    }

    fn reads_request(&self, exchange: &Exchange) -> bool {
        !matches!(exchange.facts.http_method.as_str(), "GET" | "DELETE")
            && exchange.facts.message.as_ref().is_none_or(|message| {
                self.capabilities(exchange).is_some_and(|passing| narrow::concerns_request(passing, message))
            })
    }

    fn request_body(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        if matches!(exchange.facts.http_method.as_str(), "GET" | "DELETE") {
            return Ok(());
        }
        let message = exchange.message()?.clone();
        self.decide(exchange, host, &target(&message))?;
        match self.capabilities(exchange) {
            Some(passing) => narrow::request(passing, exchange, &message),
            None => Ok(()),
        }
    }

    fn reads_response(&self, exchange: &Exchange) -> bool {
        // A client does not read what answers the end of its session.
        exchange.facts.http_method != "DELETE"
    }

    fn response_message(&self, exchange: &mut Exchange, json: &[u8]) -> Result<Option<Vec<u8>>, Denial> {
        let Some(message) = answer::read(exchange, json)? else { return Ok(None) };
        match self.judge_answer(exchange, &message) {
            Err(denial) => answer::withhold(exchange, &message, self.mode(), denial),
            Ok(()) => match self.capabilities(exchange) {
                Some(passing) => narrow::answer(passing, exchange, &message, json),
                None => Ok(None),
            },
        }
    }
}

fn target(message: &Message) -> Target<'_> {
    match (message.kind, &message.method) {
        (Kind::Request | Kind::Notification, Some(method)) => Target::Message {
            method,
            class: message.class(),
            tool: if message.is_tool_call() { message.name.as_deref() } else { None },
        },
        _ => Target::Answer,
    }
}

/// Whether the client reads what a successful POST brings. Clients of Streamable HTTP have to name both media types in
/// `accept`; those of the older transport send `*/*` and wait for answers in a stream that a GET has opened.
fn reads_answers(exchange: &Exchange) -> bool {
    let mut accepted = exchange
        .request_headers
        .iter()
        .filter(|(name, _)| *name == b"accept")
        .map(|(_, value)| value)
        .peekable();
    let names_one = |value: &[u8]| {
        let value = String::from_utf8_lossy(value).to_ascii_lowercase();
        ["application/json", "text/event-stream"].iter().any(|media_type| value.contains(media_type))
    };
    accepted.peek().is_none() || accepted.any(names_one)
}

/// What the client is told about a decision that does not allow.
///
/// The request was understood and is answered: a JSON-RPC error under status 200 is the one form in which the clients
/// of every SDK show code and message to the application (ADR 0003). A missing scope is the exception that MCP makes
/// (Authorization, Runtime Insufficient Scope Errors), and what cannot be answered gets a status.
fn denial(decision: &Decision, exchange: &Exchange, what: &str) -> Denial {
    let is_request = exchange.facts.message.as_ref().is_some_and(|message| message.kind == Kind::Request);
    let answerable = is_request && reads_answers(exchange);
    let (status, message) = match decision.reason {
        Reason::UnknownServer => (404, "no MCP server is configured at this address".to_owned()),
        Reason::PolicyScope => (403, format!("this needs the scope `{}`", decision.scopes.join(" "))),
        Reason::PolicyCapability => {
            let message = format!("policy closes the capability that {what} belongs to");
            (if answerable { 200 } else { 403 }, message)
        }
        _ => {
            let message = decision.message.clone();
            let message = message.unwrap_or_else(|| format!("policy does not allow {what}"));
            (if answerable { 200 } else { 403 }, message)
        }
    };
    let needs_scope = decision.reason == Reason::PolicyScope;
    Denial {
        rule: decision.rule.clone(),
        headers: needs_scope
            .then(|| ("www-authenticate", step_up(&decision.scopes, &exchange.facts)))
            .into_iter()
            .collect(),
        ..Denial::new(status, rpc::DENIED, decision.reason.code(), message)
    }
}

/// Which scopes a client has to ask for (MCP Authorization, Scope Challenge Handling). Those that its token has are
/// among them: there are clients that ask for nothing else than what stands here.
fn step_up(missing: &[String], facts: &Facts) -> String {
    let granted = facts.caller.claims().map(|claims| claims.scopes.as_slice()).unwrap_or_default();
    let wanted: Vec<&str> = granted
        .iter()
        .chain(missing.iter().filter(|scope| !granted.contains(scope)))
        .map(String::as_str)
        .collect();
    let scheme = facts.scheme.unwrap_or(Scheme::Bearer).name();
    let mut challenge = format!("{scheme} error=\"insufficient_scope\", scope=\"{}\"", wanted.join(" "));
    if let Some(url) = &facts.resource_metadata {
        challenge.push_str(&format!(", resource_metadata=\"{url}\""));
    }
    challenge
}
