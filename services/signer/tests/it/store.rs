//! The database file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use airlock_receipt::{ProblemKind, Record};
use airlock_signer::{Settings, State, Store, StoreError, load_or_create_key};

use crate::sample::{export, record, start, verify};

fn records(session: &str, numbers: std::ops::Range<u64>) -> Vec<Record> {
    numbers.map(|number| serde_json::from_value(record(session, number)).unwrap()).collect()
}

#[tokio::test]
async fn concurrent_batches_of_the_same_sessions_make_one_chain_each() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    let tasks: Vec<_> = (0..40_u64)
        .map(|task| {
            let state = state.clone();
            tokio::spawn(async move {
                let session = format!("s{}", task % 3);
                state.append(records(&session, task * 10..task * 10 + 10)).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().appended, 10);
    }
    let report = verify(&export(state.store()), state.store().keys().unwrap());
    assert!(report.is_valid(), "{report:?}");
    assert_eq!((report.receipts, report.sessions), (400, 3));
}

#[tokio::test]
async fn two_signers_on_one_file_do_not_fork_the_chain() {
    let directory = tempfile::tempdir().unwrap();
    let one = start(directory.path(), Settings::default());
    let other = start(directory.path(), Settings::default());
    for number in 0..10_u64 {
        let state = if number % 2 == 0 { &one } else { &other };
        state.append(records("a", number..number + 1)).await.unwrap();
    }
    let report = verify(&export(one.store()), one.store().keys().unwrap());
    assert!(report.is_valid() && report.receipts == 10, "{report:?}");
}

#[tokio::test]
async fn after_a_change_of_keys_old_receipts_still_verify() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.db");
    for name in ["old.key", "new.key"] {
        let key = load_or_create_key(&directory.path().join(name)).unwrap();
        let state = State::start(Store::open(&path).unwrap(), key, Settings::default()).unwrap();
        let first = if name == "old.key" { 0 } else { 5 };
        state.append(records("a", first..first + 5)).await.unwrap();
        state.close().await;
    }
    let store = Store::open_read_only(&path).unwrap();
    let report = verify(&export(&store), store.keys().unwrap());
    assert_eq!(store.keys().unwrap().iter().count(), 2);
    assert!(report.is_valid() && report.receipts == 10, "{report:?}");
}

#[tokio::test]
async fn a_read_only_store_reads_beside_a_running_signer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.db");
    assert!(matches!(Store::open_read_only(&path), Err(StoreError::Sqlite(_))), "nothing is created");
    assert!(!path.exists());
    let state = start(directory.path(), Settings::default());
    state.append(records("a", 0..3)).await.unwrap();
    let store = Store::open_read_only(&path).unwrap();
    assert_eq!(store.len().unwrap(), 3);
    state.append(records("a", 3..4)).await.unwrap();
    assert_eq!(store.len().unwrap(), 4);
    assert_eq!(export(&store), export(state.store()));
}

#[tokio::test]
async fn what_is_changed_in_the_file_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let state = start(directory.path(), Settings::default());
    state.append(records("a", 0..5)).await.unwrap();
    state.close().await;
    let connection = rusqlite::Connection::open(directory.path().join("receipts.db")).unwrap();
    connection.execute("DELETE FROM receipts WHERE log_index = 2", ()).unwrap();
    let store = Store::open_read_only(&directory.path().join("receipts.db")).unwrap();
    let report = verify(&export(&store), store.keys().unwrap());
    assert_eq!(report.receipts, 4);
    assert_eq!(report.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::Gap]);
}

#[test]
fn the_file_is_for_its_owner_and_of_one_version() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receipts.db");
    let store = Store::open(&path).unwrap();
    assert!(store.is_empty().unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(store);
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Version { found: 2 })));
    assert!(matches!(Store::open_read_only(&path), Err(StoreError::Version { found: 2 })));
    fs::write(&path, "this is not a database, whatever its name says".repeat(100)).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Sqlite(_))));
}
