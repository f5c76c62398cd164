//! What end-to-end tests are made of: gateways, servers, clients and tokens, all real, all on 127.0.0.1.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops"
)]

pub mod attacks;
pub mod client;
pub mod gateway;
pub mod process;
pub mod provider;
pub mod receipts;
pub mod sdk;
pub mod site;
pub mod suites;
pub mod tls;
pub mod tokens;
pub mod upstream;
pub mod wire;

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The root of this repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file that `scripts/build` makes.
pub fn built(name: &str) -> PathBuf {
    let path = repository().join("dist").join(name);
    assert!(path.exists(), "dist/{name} is missing: run scripts/build");
    path
}

/// Waits until `condition` gives something, for at most 20 seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "gave up waiting for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
