//! The signer from request to verified receipt: in process, and as a process that is killed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod http;
mod kill;
mod sample;
mod service;
mod store;
