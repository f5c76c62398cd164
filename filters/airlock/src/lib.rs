//! The module that Envoy loads.
//!
//! The only crate that touches proxy-wasm. It turns a root id and its configuration into stages ([`plan()`]) and drives
//! them from the proxy's callbacks. Everything that decides is in the stages; everything here is plumbing that must
//! not fail: see `hostcalls` for why the SDK's own wrappers are not used.

#[cfg(any(target_arch = "wasm32", test))]
mod foreign;
mod json;
mod plan;
#[cfg(any(target_arch = "wasm32", test))]
mod rhythm;
mod shared;
mod structure;
#[cfg(any(target_arch = "wasm32", test))]
mod waiting;

#[cfg(target_arch = "wasm32")]
mod delivery;
#[cfg(target_arch = "wasm32")]
mod hostcalls;
#[cfg(target_arch = "wasm32")]
mod proxy;
#[cfg(target_arch = "wasm32")]
mod root;
#[cfg(target_arch = "wasm32")]
mod stream;

pub use plan::{ConfigurationError, Delivery, Kept, Plan, Root, plan};
pub use shared::{Joined, Link, OutOfSight, Slots};

#[cfg(target_arch = "wasm32")]
mod entry {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|context| Box::new(crate::root::Filter::new(context)));
    }}
}
