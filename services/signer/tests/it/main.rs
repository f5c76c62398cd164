//! The signer from request to verified receipt.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod http;
mod sample;
mod service;
mod store;
