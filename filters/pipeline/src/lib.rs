//! What every Airlock filter is made of.
//!
//! A [`Stage`] is one concern (who calls, what is meant, is it allowed, …) as pure code. A [`Chain`] runs one or more
//! stages over an [`Exchange`], one HTTP request and its response, and decides when to hold headers, when to buffer and
//! when to stream. The proxy is reached through [`Host`] alone: `filters/airlock` implements it on proxy-wasm,
//! [`memory::MemoryHost`] in memory, so that whole chains run in unit tests, fuzzers and benchmarks.

mod batch;
mod call;
mod chain;
mod denial;
mod exchange;
mod headers;
mod host;
pub mod memory;
mod request;
mod response;
mod search;
mod secret;
mod stage;
mod turn;

#[cfg(test)]
mod tests;

pub use call::{CallAnswer, OutgoingCall, Upkeep};
pub use chain::{Chain, Directive, Limits, Options};
pub use denial::{Denial, Reply, rpc};
pub use exchange::{Caller, Evidence, Exchange, Facts, Part, Refusal, Scheme, Session, Verdict, Wait};
pub use headers::{Headers, Repeated};
pub use host::{Host, HostError, NEW, PeerCertificate, Side, publish};
pub use secret::SealKey;
pub use stage::{Mode, Next, Stage};
