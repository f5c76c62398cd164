//! Receipts in SQLite: opening, reading and exporting. Writing is the writer thread's.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airlock_receipt::{KeySet, PublicKey};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use thiserror::Error;

const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS receipts (
    log_index      INTEGER PRIMARY KEY,
    record_id      TEXT NOT NULL UNIQUE,
    session        TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    payload_sha256 BLOB NOT NULL,
    envelope       BLOB NOT NULL,
    appended_at    TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS receipts_chain ON receipts (session, seq);
CREATE TABLE IF NOT EXISTS keys (
    key_id        TEXT PRIMARY KEY,
    public_key    BLOB NOT NULL,
    first_used_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY CHECK (id = 1), at TEXT NOT NULL) STRICT;
PRAGMA user_version = 1;
COMMIT;
";

/// Most receipts in a page.
pub(crate) const MAX_PAGE_RECEIPTS: usize = 1000;
/// A page ends after this many bytes of envelopes.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// The receipts of a signer in log order. Cheap to clone; all clones share one connection for reading.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    reader: Arc<Mutex<Connection>>,
}

/// Receipts that follow one another in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Log index and envelope of each receipt.
    pub receipts: Vec<(u64, Vec<u8>)>,
}

/// Why a database cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file cannot be created.
    #[error("cannot create the receipt database `{path}`: {cause}")]
    Create {
        /// The database file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
    /// SQLite failed: a full or broken disk, or a file that is no database.
    #[error("the receipt database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A database of another program or of another version of this one.
    #[error("the receipt database has version {found}, expected {SCHEMA_VERSION}")]
    Version {
        /// The version in the file, 0 for a file that is no receipt database.
        found: i64,
    },
    /// The database holds something that the signer does not write.
    #[error("the receipt database holds a malformed {what}")]
    Corrupt {
        /// What is malformed.
        what: &'static str,
    },
    /// The export's destination failed.
    #[error("cannot write the export: {0}")]
    Export(#[source] io::Error),
}

impl Store {
    /// Opens the database for a signer, and creates it for its owner only if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // SQLite would create the file for everyone; its side files take the mode of this one.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|cause| StoreError::Create { path: path.to_owned(), cause })?;
        let connection = open_for_writing(path)?;
        match version(&connection)? {
            SCHEMA_VERSION => {}
            0 => connection.execute_batch(SCHEMA)?,
            found => return Err(StoreError::Version { found }),
        }
        Ok(Self::new(path, connection))
    }

    /// Opens the database for reading only, also beside a running signer and from a medium that cannot be written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let (connection, found) = match version(&connection) {
            Ok(found) => (connection, found),
            Err(error) => {
                // In a directory that cannot be written there is no place for the side files of a write-ahead log.
                // Without such a log nobody is writing, and the file can be read as it is.
                let connection = open_immutable(path).ok_or(error)??;
                let found = version(&connection)?;
                (connection, found)
            }
        };
        if found == SCHEMA_VERSION {
            Ok(Self::new(path, connection))
        } else {
            Err(StoreError::Version { found })
        }
    }

    /// The receipts after a log index, or from the start: at most `limit`, 1000 and, but for the first, 8 MiB.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn page(&self, after: Option<u64>, limit: usize) -> Result<Page, StoreError> {
        let after = after.map_or(-1, |after| i64::try_from(after).unwrap_or(i64::MAX));
        let limit = limit.min(MAX_PAGE_RECEIPTS);
        let connection = self.reader();
        let mut statement = connection.prepare_cached(
            "SELECT log_index, envelope FROM receipts WHERE log_index > ?1 ORDER BY log_index LIMIT ?2",
        )?;
        let mut rows = statement.query((after, i64::try_from(limit).unwrap_or(i64::MAX)))?;
        let mut page = Page::default();
        let mut bytes = 0_usize;
        while let Some(row) = rows.next()? {
            let index = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            let envelope: Vec<u8> = row.get(1)?;
            bytes = bytes.saturating_add(envelope.len());
            if bytes > MAX_PAGE_BYTES && !page.receipts.is_empty() {
                break;
            }
            page.receipts.push((index, envelope));
        }
        Ok(page)
    }

    /// Writes all envelopes that are stored now as NDJSON in log order, and says how many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn export(&self, writer: &mut impl Write) -> Result<u64, StoreError> {
        let end = self.len()?;
        let mut after = None;
        let mut written = 0;
        loop {
            let page = self.page(after, MAX_PAGE_RECEIPTS)?;
            let begin = written;
            for (index, envelope) in page.receipts.iter().take_while(|(index, _)| *index < end) {
                writer
                    .write_all(envelope)
                    .and_then(|()| writer.write_all(b"\n"))
                    .map_err(StoreError::Export)?;
                after = Some(*index);
                written += 1;
            }
            if written == begin {
                break;
            }
        }
        writer.flush().map_err(StoreError::Export)?;
        Ok(written)
    }

    /// How many receipts there are.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn len(&self) -> Result<u64, StoreError> {
        next_log_index(&self.reader())
    }

    /// Whether there are no receipts.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// The public keys that ever signed into this database.
    ///
    /// Whoever can change the database can change them: an auditor takes keys from elsewhere.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keys(&self) -> Result<KeySet, StoreError> {
        let connection = self.reader();
        let mut statement = connection.prepare("SELECT public_key FROM keys")?;
        let rows = statement.query_map((), |row| row.get::<_, [u8; 32]>(0))?;
        rows.map(|bytes| {
            PublicKey::from_bytes(bytes?).map_err(|_| StoreError::Corrupt { what: "public key" })
        })
        .collect()
    }

    /// A connection of its own for the writer.
    pub(crate) fn writer(&self) -> Result<Connection, StoreError> {
        open_for_writing(&self.path)
    }

    fn new(path: &Path, connection: Connection) -> Self {
        Self { path: path.to_owned(), reader: Arc::new(Mutex::new(connection)) }
    }

    // A panic of another reader leaves nothing behind that this one could see.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    /// The last log index in the page: what `after` of the next page has to be.
    pub fn last_index(&self) -> Option<u64> {
        self.receipts.last().map(|(index, _)| *index)
    }

    /// The envelopes as NDJSON.
    pub fn to_ndjson(&self) -> Vec<u8> {
        self.receipts.iter().flat_map(|(_, envelope)| envelope.iter().copied().chain([b'\n'])).collect()
    }
}

/// The index of the next receipt. Indices begin at 0 and have no gaps, so it is also their number.
pub(crate) fn next_log_index(connection: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> =
        connection.prepare_cached("SELECT max(log_index) FROM receipts")?.query_row((), |row| row.get(0))?;
    Ok(last.map_or(0, |last| u64::try_from(last.saturating_add(1)).unwrap_or(0)))
}

fn open_for_writing(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Corrupt { what: "journal mode" });
    }
    // Each commit waits for the disk: what is acknowledged survives a power cut.
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    Ok(connection)
}

fn open_immutable(path: &Path) -> Option<Result<Connection, StoreError>> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return None;
    }
    let escaped = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let opened = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags);
    Some(opened.map_err(StoreError::from))
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    let version = connection.query_row("PRAGMA user_version", (), |row| row.get(0)).optional()?;
    Ok(version.unwrap_or(0))
}
