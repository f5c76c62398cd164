//! A signer that is killed, again and again under load: nothing that it acknowledged is lost.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use airlock_tests::receipts::Signer;
use serde_json::{Value, json};
use tempfile::TempDir;

const ROUNDS: u64 = 5;
const CLIENTS: usize = 3;
const BATCH: u64 = 20;

fn record(number: u64) -> Value {
    // The session follows from the number, so that a repetition is the same record.
    json!({
        "id": format!("{number:032x}"), "gateway": "gateway.example.com",
        "session": format!("s{}", number / BATCH % 5),
        "started_at": "2026-03-01T12:00:00.000001Z", "duration_us": 1250,
        "who": { "subject": "alice@example.com", "anonymous": false },
        "what": { "method": "tools/call", "name": "echo", "operation": "read", "http_method": "POST", "path": "/mcp" },
        "decision": { "effect": "allow", "reason": "policy_allowed", "mode": "enforce" },
        "outcome": { "status": 200, "state": "completed" },
    })
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_signer_is_killed() {
    let state = TempDir::new().unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let next = AtomicU64::new(0);
    let mut acknowledged = BTreeSet::new();
    let mut unanswered: Vec<Vec<u64>> = Vec::new();
    for round in 0..ROUNDS {
        let mut signer = Signer::start(state.path(), "127.0.0.1:0");
        let url = format!("http://{}/v1/receipts", signer.address);
        let stop = AtomicBool::new(false);
        // Each client first repeats what the last round left without an answer.
        let mut repeated = std::mem::take(&mut unanswered).into_iter();
        let results: Vec<_> = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let repeated = repeated.next();
                    let (url, next, stop) = (&url, &next, &stop);
                    scope.spawn(move || post_until_killed(url, repeated, next, stop))
                })
                .collect();
            // xorshift: the moments differ from round to round and not from run to run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            thread::sleep(Duration::from_millis(150 + random % 350));
            signer.kill();
            stop.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        for (done, open) in results {
            acknowledged.extend(done.into_iter().map(|number| format!("{number:032x}")));
            unanswered.extend(open);
        }
        let report = signer.verify();
        assert!(report.is_valid(), "round {round}: {:?}", report.problems);
        let records = signer.records();
        let stored: BTreeSet<String> = records.iter().map(|record| record.id.to_string()).collect();
        assert_eq!(stored.len(), records.len(), "round {round}: stored twice");
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
    }
    assert!(acknowledged.len() as u64 >= ROUNDS * BATCH, "{} acknowledged", acknowledged.len());
}

/// Posts batches until the signer is gone. Gives the numbers acknowledged, and the batch without an answer.
fn post_until_killed(
    url: &str,
    mut repeated: Option<Vec<u64>>,
    next: &AtomicU64,
    stop: &AtomicBool,
) -> (Vec<u64>, Option<Vec<u64>>) {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let numbers = repeated.take().unwrap_or_else(|| {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            (first..first + BATCH).collect()
        });
        let records: Vec<Value> = numbers.iter().copied().map(record).collect();
        let body = json!({ "records": records }).to_string();
        if ureq::post(url).content_type("application/json").send(&body).is_err() {
            return (acknowledged, Some(numbers));
        }
        acknowledged.extend(numbers);
    }
    (acknowledged, None)
}
