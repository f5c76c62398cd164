//! Takes capabilities that may not pass out of the messages in which client and server declare them.

use airlock_mcp::{
    Kind, Limits, Message,
    capabilities::{Passes, without},
};
use airlock_pipeline::{Denial, Exchange};
use airlock_policy::{Capabilities, Side};

/// Whether a client's message declares something that could have to be taken out.
pub(crate) fn concerns_request(passing: &Capabilities, message: &Message) -> bool {
    message.capabilities.is_some() && !passing.passes_all(Side::Client)
}

/// Narrows what the client declares, so that the server does not ask for what would be refused.
pub(crate) fn request(
    passing: &Capabilities,
    exchange: &mut Exchange,
    message: &Message,
) -> Result<(), Denial> {
    let (Some(span), false) = (&message.capabilities, passing.passes_all(Side::Client)) else {
        return Ok(());
    };
    let body = exchange.request_body().unwrap_or_default();
    let narrowed = without(body, span, &exchange.message_limits, |within, name| {
        verdict(passing, Side::Client, within, name)
    });
    match narrowed {
        Ok(None) => Ok(()),
        Ok(Some(body)) => exchange.rewrite_request(body),
        // The span comes from the same bytes, read within the same limits. Were it otherwise, nothing may pass.
        Err(kind) => Err(Denial::new(400, kind.code(), kind.reason(), kind.to_string())),
    }
}

/// Narrows what the server declares, so that the client does not try what would be refused.
pub(crate) fn answer(
    passing: &Capabilities,
    exchange: &Exchange,
    message: &Message,
    json: &[u8],
) -> Result<Option<Vec<u8>>, Denial> {
    let (Some(span), Kind::Response, false) =
        (&message.capabilities, message.kind, passing.passes_all(Side::Server))
    else {
        return Ok(None);
    };
    // A stream that is resumed by GET may bring the answer to any request.
    let method = exchange.facts.message.as_ref().and_then(|message| message.method.as_deref());
    if !matches!(method, None | Some("initialize" | "server/discover")) {
        return Ok(None);
    }
    let limits =
        Limits { depth: usize::MAX, members: usize::MAX, string_bytes: usize::MAX, ..Limits::default() };
    without(json, span, &limits, |within, name| verdict(passing, Side::Server, within, name))
        .map_err(|kind| Denial::unreadable_answer("response_message", &kind.to_string()))
}

fn verdict(passing: &Capabilities, side: Side, within: Option<&str>, name: &str) -> Passes {
    if passing.pass(side, within, name) {
        Passes::Whole
    } else if within.is_none() && passing.pass_part(side, name) {
        Passes::Partly
    } else {
        Passes::Not
    }
}
