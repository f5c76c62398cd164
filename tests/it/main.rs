//! The whole product at work: stories told through a real Envoy.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops"
)]

mod alone;
mod attacks;
mod authorization;
mod batches;
mod calls;
mod capabilities;
mod certificates;
mod configurations;
mod conformance;
mod discovery;
mod evidence;
mod identity_keys;
mod identity_proofs;
mod identity_shapes;
mod inspector;
mod issuers;
mod kill;
mod legacy_sse;
mod module;
mod operators;
mod replays;
mod sessions;
mod stories;
mod streaming;
mod tokens;
mod unheld;
mod up;
mod updates;
