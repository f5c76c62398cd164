//! The signer beside a gateway, and what it has signed.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use airlock_receipt::{BundleVerifier, Effect, Record, Report, Verifier};
use airlock_signer::Store;
use serde_json::Value;

use crate::{built, eventually, process::Process};

/// A signer that runs as its own process, so that it can be killed.
#[derive(Debug)]
pub struct Signer {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    state: PathBuf,
}

impl Signer {
    /// Starts a signer on `listen` that keeps its receipts in `state`.
    pub fn start(state: &Path, listen: &str) -> Self {
        let process = Process::start(
            Command::new(built("airlock"))
                .args(["--format", "json", "signer", "--listen", listen, "--state"])
                .arg(state),
        );
        let address = process.line(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["listening"]["url"].as_str()?.strip_prefix("http://")?.parse().ok()
        });
        Self { process, address, state: state.to_owned() }
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the same place.
    pub fn restart(&mut self) {
        *self = Self::start(&self.state.clone(), &self.address.to_string());
    }

    /// Every record that has a receipt, in log order.
    pub fn records(&self) -> Vec<Record> {
        records(&self.state)
    }

    /// Waits until there is a receipt for which `wanted` holds.
    pub async fn receipt(&self, what: &str, wanted: impl Fn(&Record) -> bool) -> Record {
        eventually(&format!("a receipt of {what}"), || async { self.records().into_iter().find(&wanted) })
            .await
    }

    /// Waits until a refusal for `reason` is on record.
    pub async fn refusal(&self, reason: &str) -> Record {
        self.receipt(reason, |record| {
            record.decision.effect == Effect::Deny && record.decision.reason.as_str() == reason
        })
        .await
    }

    /// What the offline verifier says of everything that was signed.
    pub fn verify(&self) -> Report {
        let store = Store::open_read_only(&self.state.join("receipts.db")).unwrap();
        let mut bundle = Vec::new();
        store.export(&mut bundle).unwrap();
        let mut verifier = BundleVerifier::new(store.keys().unwrap());
        verifier.update(&bundle);
        verifier.finish()
    }
}

/// Every record in a state directory that has a receipt, in log order.
pub fn records(state: &Path) -> Vec<Record> {
    let Ok(store) = Store::open_read_only(&state.join("receipts.db")) else { return Vec::new() };
    let mut verifier = Verifier::new(store.keys().unwrap());
    let mut bundle = Vec::new();
    store.export(&mut bundle).unwrap();
    bundle
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| verifier.envelope(line).expect("a receipt that verifies").record().clone())
        .collect()
}
