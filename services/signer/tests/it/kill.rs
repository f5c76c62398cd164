//! A signer that is killed: nothing that it acknowledged is lost.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use airlock_receipt::{Envelope, Statement};
use airlock_signer::{Settings, Store, serve};

use crate::sample::{batch, export, start, verify};

const DIRECTORY: &str = "AIRLOCK_SIGNER_TEST_DIRECTORY";
const ROUNDS: u64 = 5;
const CLIENTS: u64 = 3;
const BATCH: u64 = 20;

/// Not a test of its own: the process that the test below starts and kills.
#[test]
#[ignore = "the child process of another test"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let state = start(directory, Settings::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::fs::write(directory.join("address.new"), address).unwrap();
        std::fs::rename(directory.join("address.new"), directory.join("address")).unwrap();
        serve(listener, state, std::future::pending()).await.unwrap();
    });
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_signer_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let next = AtomicU64::new(0);
    let mut acknowledged = BTreeSet::new();
    let mut unanswered: Vec<Vec<u64>> = Vec::new();
    for round in 0..ROUNDS {
        let process = Process::spawn(directory.path());
        let address = address(directory.path());
        let stop = AtomicBool::new(false);
        // Each client first repeats what the last round left without an answer.
        let mut repeated = std::mem::take(&mut unanswered).into_iter();
        let results: Vec<_> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let repeated = repeated.next();
                    let (next, stop) = (&next, &stop);
                    scope.spawn(move || post_until_killed(address, repeated, next, stop))
                })
                .collect();
            // xorshift: the moments differ from round to round and not from run to run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_millis(150 + random % 350));
            drop(process);
            stop.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        for (done, open) in results {
            acknowledged.extend(done);
            unanswered.extend(open);
        }
        check(directory.path(), &acknowledged, round);
    }
    assert!(acknowledged.len() as u64 >= ROUNDS * BATCH, "{} acknowledged", acknowledged.len());
}

fn check(directory: &Path, acknowledged: &BTreeSet<u64>, round: u64) {
    // As the next signer does: opening the database recovers what the last one left.
    let store = Store::open(&directory.join("receipts.db")).unwrap();
    let bundle = export(&store);
    let report = verify(&bundle, store.keys().unwrap());
    assert!(report.is_valid(), "round {round}: {:?}", report.problems);
    let mut stored = BTreeSet::new();
    for line in bundle.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let statement: Statement = serde_json::from_slice(&Envelope::parse(line).unwrap().payload).unwrap();
        let number = u128::from_be_bytes(*statement.predicate.id.as_bytes());
        assert!(stored.insert(u64::try_from(number).unwrap()), "round {round}: stored twice");
    }
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "round {round}: lost {lost:?}");
}

/// A signer in a process of its own, which does not outlive the test.
struct Process(Child);

impl Process {
    fn spawn(directory: &Path) -> Self {
        let _ = std::fs::remove_file(directory.join("address"));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "kill::child", "--ignored"]).env(DIRECTORY, directory);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    // SIGKILL: the process cannot do anything about it.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn address(directory: &Path) -> SocketAddr {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(text) = std::fs::read_to_string(directory.join("address")) {
            return text.parse().unwrap();
        }
        assert!(Instant::now() < deadline, "the signer did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Posts batches until the signer is gone. Gives the numbers acknowledged, and the batch without an answer.
fn post_until_killed(
    address: SocketAddr,
    repeated: Option<Vec<u64>>,
    next: &AtomicU64,
    stop: &AtomicBool,
) -> (Vec<u64>, Option<Vec<u64>>) {
    let mut acknowledged = Vec::new();
    let mut repeated = repeated;
    while !stop.load(Ordering::Relaxed) {
        let numbers = repeated.take().unwrap_or_else(|| {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            (first..first + BATCH).collect()
        });
        // The session follows from the number, so that a repetition is the same record.
        let session = format!("s{}", numbers[0] / BATCH % 5);
        let body = batch(&session, numbers.iter().copied()).to_string();
        if post(address, &body) != Some(200) {
            return (acknowledged, Some(numbers));
        }
        acknowledged.extend(numbers);
    }
    (acknowledged, None)
}

fn post(address: SocketAddr, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let head = format!(
        "POST /v1/receipts HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).ok()?;
    let mut rest = String::new();
    reader.read_to_string(&mut rest).ok()?;
    status.split(' ').nth(1)?.parse().ok()
}
