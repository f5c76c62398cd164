//! The signer's edge: from a request body to checked records.

use std::sync::Arc;

use airlock_receipt::{Record, RecordId};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::append::{Item, Rejection};

/// Most records in a batch.
const MAX_RECORDS: usize = 1000;
/// Longest path to a malformed field that a message repeats.
const MAX_PATH_CHARACTERS: usize = 100;

/// A batch, parted into what can be stored and what cannot.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    pub(crate) rejected: Vec<Rejection>,
}

/// Why a body is no batch at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BatchError {
    /// Not the JSON of a batch.
    #[error("the body is not a batch of records, at line {line}, byte {column}")]
    Malformed { line: usize, column: usize },
    /// More records than a batch may have.
    #[error("a batch has at most {MAX_RECORDS} records, found {found}")]
    TooMany { found: usize },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Identity {
    id: RecordId,
}

impl Batch {
    /// Reads a batch. A malformed record is set aside, so that it does not block the others for ever.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, BatchError> {
        let document: Document<'_> = serde_json::from_slice(body)
            .map_err(|error| BatchError::Malformed { line: error.line(), column: error.column() })?;
        if document.records.len() > MAX_RECORDS {
            return Err(BatchError::TooMany { found: document.records.len() });
        }
        let mut batch = Self::default();
        for (index, raw) in document.records.into_iter().enumerate() {
            match read(raw.get()) {
                Ok(record) => batch.items.push(Item { index, record: Arc::new(record) }),
                Err((reason, message)) => {
                    let id = serde_json::from_str::<Identity>(raw.get()).ok().map(|identity| identity.id);
                    batch.rejected.push(Rejection { index, id, reason, message });
                }
            }
        }
        Ok(batch)
    }
}

impl BatchError {
    /// A stable code for replies.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed_batch",
            Self::TooMany { .. } => "too_many_records",
        }
    }
}

// The parser's own message may repeat what it read; the path names fields only.
fn read(json: &str) -> Result<Record, (&'static str, String)> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let record: Record = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path: String = error.path().to_string().chars().take(MAX_PATH_CHARACTERS).collect();
        let column = error.inner().column();
        ("malformed_record", format!("not a record, at `{path}`, byte {column}"))
    })?;
    record.validate().map_err(|error| (error.reason(), error.to_string()))?;
    Ok(record)
}
