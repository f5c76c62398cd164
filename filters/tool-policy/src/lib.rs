//! May this caller do this, now: asks the policy about every call and refuses what it does not allow.

#[cfg(test)]
mod tests;

use airlock_mcp::{Class, Kind, Message, transport};
use airlock_pipeline::{Denial, Exchange, Host, Mode, Stage, Verdict, publish, rpc};
use airlock_policy::{Call, Caller, Decision, Effect, Policy, Reason, Target};

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
        let decision = {
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
        };
        let allowed = decision.effect == Effect::Allow;
        let answerable = exchange.facts.message.as_ref().is_some_and(|message| message.kind == Kind::Request);
        let refusal = if allowed { Ok(()) } else { Err(denial(&decision, answerable)) };
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

    fn request_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        match exchange.facts.http_method.as_str() {
            "GET" => self.decide(exchange, host, &Target::Stream),
            "DELETE" => self.decide(exchange, host, &Target::EndSession),
            _ => match exchange.facts.message.clone() {
                Some(message) => self.decide(exchange, host, &target(&message)),
                None if !exchange.headers_held => self.judge_headers(exchange, host),
                None => Ok(()),
            },
        }
    }

    fn reads_request(&self, exchange: &Exchange) -> bool {
        exchange.facts.message.is_none() && !matches!(exchange.facts.http_method.as_str(), "GET" | "DELETE")
    }

    fn request_body(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        if matches!(exchange.facts.http_method.as_str(), "GET" | "DELETE") {
            return Ok(());
        }
        let message = exchange.message()?.clone();
        self.decide(exchange, host, &target(&message))
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

/// What the client is told about a decision that does not allow.
///
/// The request was understood and is answered: a JSON-RPC error under status 200 is the one form in which the clients
/// of every SDK show code and message to the application (ADR 0003). A missing scope is the exception that MCP makes
/// (Authorization, Runtime Insufficient Scope Errors), and what cannot be answered gets a status.
fn denial(decision: &Decision, answerable: bool) -> Denial {
    let (status, message) = match decision.reason {
        Reason::UnknownServer => (404, "no MCP server is configured at this address".to_owned()),
        Reason::PolicyScope => (403, format!("this needs the scope `{}`", decision.scopes.join(" "))),
        _ => {
            let message = decision.message.clone();
            let message = message.unwrap_or_else(|| "policy does not allow this call".to_owned());
            (if answerable { 200 } else { 403 }, message)
        }
    };
    let challenge = (decision.reason == Reason::PolicyScope)
        .then(|| format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", decision.scopes.join(" ")));
    Denial {
        rule: decision.rule.clone(),
        challenge,
        ..Denial::new(status, rpc::DENIED, decision.reason.code(), message)
    }
}
