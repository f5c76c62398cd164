//! Appending records to the log within one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use airlock_receipt::{
    ChainHead, Count, Envelope, Hash, Record, RecordId, SealError, SigningKey, Statement, Timestamp,
};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use crate::store::{StoreError, next_log_index};

/// Most sessions whose chain heads are remembered between transactions.
const MAX_REMEMBERED_HEADS: usize = 10_000;

/// A record and its place in the batch that brought it.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) index: usize,
    pub(crate) record: Arc<Record>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Appended {
    /// Records that are new in the log.
    pub appended: usize,
    /// Records that were in the log already.
    pub known: usize,
    /// Records that cannot be stored, now or later.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejection>,
}

/// A record that cannot be stored, now or later: repeating it does not help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// Place in the batch, from 0.
    pub index: usize,
    /// The record's id, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<RecordId>,
    /// Stable code of the reason.
    pub reason: &'static str,
    /// What is wrong, without the record's content.
    pub message: String,
}

/// Seals records and appends them. Remembers the heads of chains between transactions.
#[derive(Debug)]
pub(crate) struct Appender {
    key: SigningKey,
    heads: HashMap<String, ChainHead>,
    data_version: Option<i64>,
}

enum Fate {
    Appended,
    Known,
    Rejected(&'static str, String),
}

impl Appender {
    pub(crate) fn new(key: SigningKey) -> Self {
        Self { key, heads: HashMap::new(), data_version: None }
    }

    /// To be called first in each transaction: forgets heads that another process may have moved.
    pub(crate) fn begin(&mut self, transaction: &Connection) -> Result<(), StoreError> {
        let version = transaction.prepare_cached("PRAGMA data_version")?.query_row((), |row| row.get(0))?;
        if self.data_version.replace(version) != Some(version) || self.heads.len() > MAX_REMEMBERED_HEADS {
            self.forget();
        }
        Ok(())
    }

    /// To be called after a transaction that was rolled back.
    pub(crate) fn forget(&mut self) {
        self.heads.clear();
    }

    /// Appends what is new of a batch. The records that were appended are added to `news`.
    pub(crate) fn append(
        &mut self,
        transaction: &Connection,
        items: &[Item],
        news: &mut Vec<Arc<Record>>,
    ) -> Result<Appended, StoreError> {
        let mut log_index = next_log_index(transaction)?;
        let now = now().to_string();
        let mut outcome = Appended::default();
        for item in items {
            match self.append_one(transaction, &item.record, log_index, &now)? {
                Fate::Appended => {
                    log_index = log_index.saturating_add(1);
                    outcome.appended += 1;
                    news.push(Arc::clone(&item.record));
                }
                Fate::Known => outcome.known += 1,
                Fate::Rejected(reason, message) => {
                    let id = Some(item.record.id);
                    outcome.rejected.push(Rejection { index: item.index, id, reason, message });
                }
            }
        }
        Ok(outcome)
    }

    fn append_one(
        &mut self,
        transaction: &Connection,
        record: &Record,
        log_index: u64,
        now: &str,
    ) -> Result<Fate, StoreError> {
        let id = record.id.to_string();
        if let Some(known) = find(transaction, &id)? {
            return Ok(if known == *record {
                Fate::Known
            } else {
                Fate::Rejected("id_conflict", "another record with this id is stored already".to_owned())
            });
        }
        let head = self.head(transaction, record.session.as_str())?;
        let sealed = match self.key.seal(record, &head) {
            Ok(sealed) => sealed,
            Err(error) => return Ok(Fate::Rejected(seal_reason(&error), error.to_string())),
        };
        transaction
            .prepare_cached(
                "INSERT INTO receipts (log_index, record_id, session, seq, payload_sha256, envelope, appended_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                signed(log_index),
                &id,
                record.session.as_str(),
                signed(head.seq.value()),
                sealed.payload_sha256.as_bytes(),
                &sealed.envelope,
                now,
            ))?;
        let next = ChainHead::after(head.seq, sealed.payload_sha256);
        self.heads.insert(record.session.as_str().to_owned(), next);
        Ok(Fate::Appended)
    }

    fn head(&self, transaction: &Connection, session: &str) -> Result<ChainHead, StoreError> {
        if let Some(head) = self.heads.get(session) {
            return Ok(*head);
        }
        let last: Option<(i64, [u8; 32])> = transaction
            .prepare_cached(
                "SELECT seq, payload_sha256 FROM receipts WHERE session = ?1 ORDER BY seq DESC LIMIT 1",
            )?
            .query_row([session], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((seq, hash)) = last else { return Ok(ChainHead::START) };
        let seq = u64::try_from(seq).map_err(|_| StoreError::Corrupt { what: "sequence number" })?;
        Ok(ChainHead::after(Count::saturating(seq), Hash::new(hash)))
    }
}

/// The present time of this machine.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

fn find(transaction: &Connection, id: &str) -> Result<Option<Record>, StoreError> {
    let envelope: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT envelope FROM receipts WHERE record_id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(envelope) = envelope else { return Ok(None) };
    let corrupt = StoreError::Corrupt { what: "receipt" };
    let Ok(envelope) = Envelope::parse(&envelope) else { return Err(corrupt) };
    match serde_json::from_slice::<Statement>(&envelope.payload) {
        Ok(statement) => Ok(Some(statement.record())),
        Err(_) => Err(corrupt),
    }
}

fn seal_reason(error: &SealError) -> &'static str {
    match error {
        SealError::Record(error) => error.reason(),
        SealError::Canonical | SealError::Envelope(_) => "cannot_be_sealed",
    }
}

// SQLite's integers are signed; indices and counts stay far below their limit.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
