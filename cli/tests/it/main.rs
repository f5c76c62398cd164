//! The `airlock` command as a process: what people see, what programs read, and what is left on disk.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

mod calls;
mod command;
mod evidence;
mod golden;
mod guard;
mod keys;
mod lint;
mod reference;
mod tokens;
mod usage;
