use airlock_mcp::Class;
use airlock_pipeline::{Denial, Evidence, Exchange, Host, Mode, Stage, rpc};
use airlock_policy::Operation;
use serde::Deserialize;

/// Configuration of [`ReceiptIntent`].
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntentConfiguration {
    /// Whether calls are refused, or what would have been refused is only recorded.
    pub mode: Mode,
}

/// The innermost stage: nothing that changes something leaves for the server while evidence of it cannot be kept.
///
/// It needs the verdict of policy, so it stands right before the router; calls that only read go on and their records
/// wait in the queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiptIntent {
    mode: Mode,
}

impl ReceiptIntent {
    /// A guard that works as `configuration` says.
    pub fn new(configuration: IntentConfiguration) -> Self {
        Self { mode: configuration.mode }
    }
}

impl Stage for ReceiptIntent {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn reads_response_headers(&self) -> bool {
        false
    }

    fn reads_request(&self, exchange: &Exchange) -> bool {
        // Where headers cannot be held they come here before the verdict, or with one on headers alone; the one on the
        // body is there when the body ends.
        let facts = &exchange.facts;
        let undecided = facts.verdict.is_none() && facts.message.is_none();
        facts.evidence == Evidence::Queued
            && facts.http_method == "POST"
            && (undecided || !exchange.headers_held)
    }

    fn request_body(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        // Whoever reads the body anew must say anew what it means: without a policy the method decides here, and the
        // record shows it.
        if exchange.facts.http_method == "POST" {
            exchange.message()?;
        }
        Ok(())
    }

    fn before_upstream(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        if exchange.facts.evidence == Evidence::Kept || only_reads(exchange) {
            return Ok(());
        }
        let message = "this call would change something and its receipt cannot be kept now: try again later";
        Err(Denial::new(503, rpc::UNAVAILABLE, "evidence_unavailable", message))
    }
}

fn only_reads(exchange: &Exchange) -> bool {
    if let Some(verdict) = &exchange.facts.verdict {
        return matches!(
            verdict.operation,
            Operation::Read | Operation::List | Operation::Session | Operation::Stream
        );
    }
    match &exchange.facts.message {
        Some(message) => !matches!(message.class(), Class::Write | Class::ServerPull | Class::Unknown),
        None => matches!(exchange.facts.http_method.as_str(), "GET" | "DELETE"),
    }
}
