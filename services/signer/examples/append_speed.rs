//! How many receipts a second are signed, chained and on disk: `cargo run --release --example append_speed`.
//!
//! First the sealing alone on one core, then all of it; the clients that make the records share the machine.

#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::time::{Duration, Instant};

use airlock_receipt::ChainHead;
use airlock_signer::{Record, Settings, SigningKey, State, Store, load_or_create_key};

const BATCH: u64 = 100;
const DURATION: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    seal_only()?;
    for clients in [1, 4, 16] {
        let directory = tempfile::tempdir()?;
        let key = load_or_create_key(&directory.path().join("signer.key"))?;
        let store = Store::open(&directory.path().join("receipts.db"))?;
        let state = State::start(store, key, Settings::default())?;
        let begin = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|client| {
                let state = state.clone();
                tokio::spawn(async move {
                    let mut batches = 0_u64;
                    while begin.elapsed() < DURATION {
                        let records = batch(client, batches)?;
                        state.append(records).await.map_err(|error| error.to_string())?;
                        batches += 1;
                    }
                    Ok::<_, String>(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let receipts = state.store().len()?;
        println!(
            "{clients:>2} clients, batches of {BATCH}, synchronous=FULL: {:.0} receipts/s",
            receipts as f64 / seconds
        );
        state.close().await;
    }
    Ok(())
}

fn seal_only() -> Result<(), Box<dyn std::error::Error>> {
    let key = SigningKey::from_seed(std::array::from_fn(|index| index as u8))?;
    let records = batch(0, 0)?;
    let mut head = ChainHead::START;
    let mut receipts = 0_u64;
    let begin = Instant::now();
    while begin.elapsed() < DURATION {
        for record in &records {
            let sealed = key.seal(record, &head)?;
            head = ChainHead::after(head.seq, sealed.payload_sha256);
            receipts += 1;
        }
    }
    println!("sealing alone, one core: {:.0} receipts/s", receipts as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

fn batch(client: u64, batch: u64) -> Result<Vec<Record>, String> {
    (0..BATCH)
        .map(|number| {
            let record = serde_json::json!({
                "id": format!("{client:08x}{batch:016x}{number:08x}"),
                "gateway": "edge-1",
                "session": format!("client-{client}"),
                "started_at": "2026-03-01T12:00:00.000001Z",
                "duration_us": 1250,
                "who": {"issuer": "https://login.example.com", "subject": "zoe", "client": "assistant",
                        "token_scope": ["files:read"], "anonymous": false},
                "what": {"server": "files", "method": "tools/call", "name": "read_file", "operation": "read",
                         "http_method": "POST", "path": "/mcp", "request_id": "7"},
                "decision": {"effect": "allow", "reason": "rule", "rule": "readers", "mode": "enforce"},
                "outcome": {"status": 200, "state": "completed"},
                "request_digest": {"algorithm": "sha256", "value": "ab".repeat(32), "bytes": 120},
                "response_digest": {"algorithm": "sha256", "value": "cd".repeat(32), "bytes": 4096}
            });
            serde_json::from_value(record).map_err(|error| error.to_string())
        })
        .collect()
}
