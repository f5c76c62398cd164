//! Receipts from record to report: what is sealed verifies, and what is tampered with does not.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod chain;
mod sample;
mod seal;
mod tamper;
