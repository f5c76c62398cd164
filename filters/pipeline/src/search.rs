use airlock_mcp::{sse, transport};

use crate::{
    Denial, Headers,
    batch::{may_be_batch, spliced},
    turn::Turn,
};

/// How a response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// When it is whole.
    Whole(Kind),
    /// Event by event.
    Events,
}

/// What a whole body is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Text,
    /// Nothing that can be read: only an empty body passes.
    Other,
}

/// How a response with these headers is read.
///
/// # Errors
/// It is compressed, or its headers leave open whether it is.
pub(crate) fn kind_of(headers: &Headers) -> Result<Reading, Denial> {
    match headers.one("content-encoding") {
        Ok(None) => {}
        Ok(Some(encoding)) if encoding.eq_ignore_ascii_case(b"identity") => {}
        Ok(Some(_)) | Err(_) => {
            return Err(Denial::unreadable_answer("response_encoding", "the server's answer is compressed"));
        }
    }
    let content_type = headers.text("content-type").unwrap_or_default();
    if !headers.contains("content-type") {
        // Some servers say in plain text, and not that it is, that a session has ended (rmcp) or that a message was
        // accepted (TypeScript, transport of 2024-11-05). No client takes it for a message.
        return Ok(Reading::Whole(Kind::Text));
    }
    Ok(if transport::is_event_stream(content_type) {
        Reading::Events
    } else if transport::is_json(content_type) {
        Reading::Whole(Kind::Json)
    } else if is_text(content_type) {
        Reading::Whole(Kind::Text)
    } else {
        Reading::Whole(Kind::Other)
    })
}

/// Whether it is text in which ASCII stands for itself, so that what is looked for can be found.
fn is_text(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(|part| part.trim_matches([' ', '\t']));
    let media_type = parts.next().unwrap_or_default();
    let is_text = media_type.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"));
    is_text
        && parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            let charset = value.trim_matches('"');
            !name.eq_ignore_ascii_case("charset")
                || ["utf-8", "us-ascii", "iso-8859-1"]
                    .iter()
                    .any(|readable| readable.eq_ignore_ascii_case(charset))
        })
}

/// Shows an answer to every stage that reads responses, innermost first, and returns what they made of it. They see the
/// messages of a batch one at a time.
pub(crate) fn search(turn: &mut Turn<'_>, answer: &[u8], kind: Kind) -> Result<Option<Vec<u8>>, Denial> {
    let spans = if kind == Kind::Json && may_be_batch(turn.exchange, answer) {
        airlock_mcp::batch(answer, &turn.exchange.message_limits.for_answers()).ok()
    } else {
        None
    };
    let Some(spans) = spans else { return search_one(turn, answer, kind) };
    let mut changes = Vec::new();
    for span in spans {
        let message = answer.get(span.clone()).unwrap_or_default();
        if let Some(changed) = search_one(turn, message, kind)? {
            changes.push((span, changed));
        }
    }
    Ok((!changes.is_empty()).then(|| spliced(answer, &changes)))
}

fn search_one(turn: &mut Turn<'_>, message: &[u8], kind: Kind) -> Result<Option<Vec<u8>>, Denial> {
    let mut replaced: Option<Vec<u8>> = None;
    turn.exchange.forget_answer();
    turn.outwards(|stage, exchange, _| {
        if !stage.reads_response(exchange) {
            return Ok(());
        }
        let now = replaced.as_deref().unwrap_or(message);
        let next = match kind {
            Kind::Json => stage.response_message(exchange, now)?,
            Kind::Text => stage.response_text(exchange, now)?,
            Kind::Other => None,
        };
        if next.is_some() {
            exchange.forget_answer();
            replaced = next;
        }
        Ok(())
    })?;
    Ok(replaced)
}

/// Appends to `sent` what may leave of the events that `piece` completes.
pub(crate) fn search_events(
    turn: &mut Turn<'_>,
    splitter: &mut sse::Splitter,
    piece: &[u8],
    sent: &mut Vec<u8>,
) -> Result<(), Denial> {
    let events = splitter.push(piece).map_err(|_| {
        let message = "an event of the server's answer is too large";
        Denial::unreadable_answer("response_event_too_large", message)
    })?;
    for event in events {
        // The transport of 2024-11-05 opens with the address for messages, which is no JSON.
        let kind = if event.name() == Some(b"endpoint") { Kind::Text } else { Kind::Json };
        let replaced = match event.data().filter(|data| !data.is_empty()) {
            Some(data) => search(turn, &data, kind)?,
            None => None,
        };
        match replaced {
            Some(replaced) => sent.extend_from_slice(&event.with_data(&replaced)),
            None => sent.extend_from_slice(event.raw()),
        }
    }
    Ok(())
}
