//! Batches, which protocol version 2025-03-26 allows: stages see one message at a time, whichever way they came.

use airlock_mcp::{Message, Span, batch, parse, transport};

use crate::{Denial, Exchange, Host, HostError, Part, request::record_id, turn::Turn};

/// Shows every message of the request body to `judge`: the one that there is, or those of a batch in turn. A batch is
/// refused as a whole with the first refusal, so that no part of it reaches the server before another is judged.
pub(crate) fn each_message(
    turn: &mut Turn<'_>,
    judge: impl Fn(&mut Turn<'_>) -> Result<(), Denial>,
) -> Result<(), Denial> {
    let Some(spans) = messages(turn.exchange) else {
        turn.exchange.facts.batch.clear();
        return judge(turn);
    };
    let body = turn.exchange.request_body().unwrap_or_default().to_vec();
    open(turn.exchange, turn.host, &body, &spans);
    let mut changes = Vec::new();
    for (index, span) in spans.into_iter().enumerate() {
        turn.exchange.take_up(index, body.get(span.clone()).ok_or(HostError)?.to_vec());
        let outcome = judge(turn);
        if let Some(changed) = turn.exchange.put_down(index) {
            changes.push((span, changed));
        }
        if outcome.is_err() {
            turn.exchange.put_back(body, false);
            return outcome;
        }
    }
    let rewritten = !changes.is_empty();
    turn.exchange.put_back(if rewritten { spliced(&body, &changes) } else { body }, rewritten);
    Ok(())
}

/// The places of the messages of a request body, if it is a batch and may be one. A batch that may not be, or cannot be
/// read, is read as one message, which says what is wrong with it.
fn messages(exchange: &Exchange) -> Option<Vec<Span>> {
    let body = exchange.request_body()?;
    if !may_be_batch(exchange, body) {
        return None;
    }
    batch(body, &exchange.message_limits).ok()
}

/// Whether `json` has the form of a batch in an exchange whose protocol version allows them.
pub(crate) fn may_be_batch(exchange: &Exchange, json: &[u8]) -> bool {
    let first = json.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    first == Some(&b'[')
        && transport::allows_batch(exchange.request_headers.text(transport::PROTOCOL_VERSION))
        && !exchange.request_headers.contains(transport::METHOD)
}

/// Reads the messages, as far as they can be read. What an earlier filter found out about them, in this order, is kept.
fn open(exchange: &mut Exchange, host: &mut dyn Host, body: &[u8], spans: &[Span]) {
    exchange.facts.batch.resize_with(spans.len(), Part::default);
    let limits = &exchange.message_limits;
    for (part, span) in exchange.facts.batch.iter_mut().zip(spans) {
        if part.id.is_empty() {
            part.id = record_id(host);
        }
        part.message = read(body, span, limits);
    }
}

fn read(body: &[u8], span: &Span, limits: &airlock_mcp::Limits) -> Option<Message> {
    parse(body.get(span.clone())?, limits).ok()
}

/// The body with other bytes in the places that have changed.
pub(crate) fn spliced(body: &[u8], changes: &[(Span, Vec<u8>)]) -> Vec<u8> {
    let mut written = Vec::with_capacity(body.len());
    let mut kept = 0;
    for (span, changed) in changes {
        written.extend_from_slice(body.get(kept..span.start).unwrap_or_default());
        written.extend_from_slice(changed);
        kept = span.end;
    }
    written.extend_from_slice(body.get(kept..).unwrap_or_default());
    written
}
