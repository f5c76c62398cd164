//! What a server asks of the client, and what becomes of it when it may not.

use airlock_mcp::{Kind, Message};
use airlock_pipeline::{Denial, Exchange, Mode, Refusal};
use airlock_policy::{Effect, Target};

use crate::{ToolPolicy, denial};

/// What a refusal calls it that a server asks something of the client.
const QUESTION: &str = "what the server asks of the client";

impl ToolPolicy {
    /// Decides on everything that the server asks of the client with this message.
    pub(crate) fn judge_answer(&self, exchange: &Exchange, message: &Message) -> Result<(), Denial> {
        asked(message).try_for_each(|method| {
            let decision = self.decision(exchange, &Target::ServerRequest { method });
            match decision.effect {
                Effect::Allow => Ok(()),
                Effect::Deny => Err(denial(&decision, exchange, QUESTION)),
            }
        })
    }
}

/// The message of a server; `None` of what is no message and is not read as one.
///
/// A body under an error status is shown, not obeyed. All else has to have one meaning, or it could hide a question.
pub(crate) fn read(exchange: &mut Exchange, json: &[u8]) -> Result<Option<Message>, Denial> {
    let failed = exchange.facts.status.is_some_and(|status| status >= 400);
    match exchange.answer(json) {
        Ok(message) => Ok(Some(message.clone())),
        Err(_) if failed => Ok(None),
        Err(denial) => Err(denial),
    }
}

/// The methods by which a message asks something: its own, unless it is a notice, and those that are embedded in it.
fn asked(message: &Message) -> impl Iterator<Item = &str> {
    let is_notice =
        |method: &&str| message.kind == Kind::Notification && method.starts_with("notifications/");
    let own = message.method.as_deref().filter(|method| !is_notice(method));
    own.into_iter().chain(message.input_requests.iter().map(|request| request.method.as_str()))
}

/// Keeps a message from the client.
///
/// Under a request of the client the refusal is its answer. A stream that a GET has opened serves no request, and other
/// messages depend on it: there one message takes the place of another, and the stream goes on.
pub(crate) fn withhold(
    exchange: &mut Exchange,
    message: &Message,
    mode: Mode,
    denial: Denial,
) -> Result<Option<Vec<u8>>, Denial> {
    if mode == Mode::Observe || exchange.facts.http_method != "GET" {
        return Err(denial);
    }
    let instead = match (message.kind, &message.id) {
        // A client ignores the end of a request that it has not seen (MCP, Cancellation, Behavior Requirements).
        (Kind::Request, Some(id)) => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{},"reason":"refused by the gateway"}}}}"#,
            id.to_json()
        )
        .into_bytes(),
        (Kind::Response | Kind::Error, Some(id)) => denial.body(Some(id)),
        _ => return Err(denial),
    };
    exchange.facts.refusal.get_or_insert(Refusal { answer_withheld: true, ..Refusal::from(&denial) });
    Ok(Some(instead))
}
