//! The behaviour of the library as its users see it.

#![cfg(test)]

mod allocations;
mod corpus;
mod headers;
mod json;
mod laws;
mod messages;
mod oracle;
mod streams;

use airlock_mcp::{Limits, Message, ParseError};

fn parse(body: impl AsRef<[u8]>) -> Result<Message, ParseError> {
    airlock_mcp::parse(body.as_ref(), &Limits::default())
}

/// The reason for which a body is refused, or `ok`.
fn verdict(body: impl AsRef<[u8]>) -> &'static str {
    parse(body).map_or_else(|error| error.reason(), |_| "ok")
}
