//! What a Model Context Protocol message means at a proxy.
//!
//! A gateway that reads a message differently from the server behind it can be talked past. So there is one reading
//! here, and every body that two JSON parsers could read in two ways is refused: duplicate members, case variants
//! of known members, lone surrogates, numbers that no double can hold, bytes after the value.
//!
//! - [`parse`] and [`parse_answer`] read one JSON-RPC message in one pass and return a [`Message`] of byte spans;
//!   [`batch`] finds the messages of a batch.
//! - [`Method`] and [`Class`] say what is known of a method.
//! - [`origin`] says which web pages may call, and by which names.
//! - [`transport`] holds the rules for headers: versions, media types, session ids, agreement with the body.
//! - [`sse`] cuts an event stream into events, incrementally, and puts changed data back in.
//! - [`capabilities`] takes capabilities out of what a message declares.
//! - [`error_body`] writes the answer to a message that does not pass.
//!
//! Everything is a pure function of its input: no input or output, no clock, no global state.

mod block;
pub mod capabilities;
mod envelope;
mod error;
mod limits;
mod message;
mod method;
mod names;
mod number;
pub mod origin;
mod reply;
mod scan;
pub mod sse;
mod text;
pub mod transport;

pub use envelope::{batch, parse, parse_answer};
pub use error::{ParseError, ParseErrorKind};
pub use limits::Limits;
pub use message::{Id, InputRequest, Kind, Message, Span};
pub use method::{Class, Method, Sender};
pub use reply::{error_body, unsupported_version_body};
