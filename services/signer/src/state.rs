//! The running signer, as its routes and its host process see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use airlock_receipt::{Record, SigningKey};
use thiserror::Error;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot};

use crate::append::{Appended, Item, now};
use crate::store::{Store, StoreError};
use crate::token::BearerToken;
use crate::writer::{Job, Writer};

/// Most batches that wait for the writer.
const MAX_WAITING_BATCHES: usize = 4096;
/// Records that a slow subscriber may fall behind before it misses some.
const NEWS_CAPACITY: usize = 1024;

/// What can be chosen about a signer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What gateways and readers of receipts must show; without one, anyone who reaches the signer is trusted.
    pub bearer_token: Option<BearerToken>,
    /// Bytes of request bodies that may wait at once before the signer says `queue_full`. At least 4 MiB, the
    /// largest body.
    pub max_waiting_bytes: u32,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
}

/// A running signer. Cheap to clone; all clones are the same signer.
#[derive(Debug, Clone)]
pub struct State {
    shared: Arc<Shared>,
}

/// Why a signer did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gave no thread.
    #[error("cannot start the writer thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// Why records were not appended. The same records may be sent again.
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// More waits than the signer keeps in memory.
    #[error("too many batches wait for the disk, send this one again later")]
    QueueFull,
    /// The database failed: a full or broken disk.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The signer is stopping.
    #[error("the signer is stopping")]
    Stopping,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    store: Store,
    jwks: String,
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    news: broadcast::Sender<Arc<Record>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl State {
    /// Starts the writer thread over a store, and notes the key's public half in it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(store: Store, key: SigningKey, settings: Settings) -> Result<Self, StartError> {
        let connection = store.writer()?;
        let public = key.public();
        connection
            .execute(
                "INSERT OR IGNORE INTO keys (key_id, public_key, first_used_at) VALUES (?1, ?2, ?3)",
                (public.id(), public.as_bytes(), now().to_string()),
            )
            .map_err(StoreError::from)?;
        let jwks = store.keys()?.to_jwks();
        let (jobs, waiting) = mpsc::channel(MAX_WAITING_BATCHES);
        let (news, _) = broadcast::channel(NEWS_CAPACITY);
        let writer = Writer::new(connection, key, waiting, news.clone());
        let thread = thread::Builder::new()
            .name("receipt-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(StartError::Thread)?;
        let room = usize::try_from(settings.max_waiting_bytes).unwrap_or(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(room));
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared: Arc::new(Shared { settings, store, jwks, jobs, room, news, thread }) })
    }

    /// Appends records and returns once they are on disk.
    ///
    /// # Errors
    /// [`AppendError`]; the records may or may not be stored, and sending them again is safe.
    pub async fn append(&self, records: Vec<Record>) -> Result<Appended, AppendError> {
        let items = records.into_iter().enumerate();
        let items = items.map(|(index, record)| Item { index, record: Arc::new(record) }).collect();
        self.append_items(items, None).await
    }

    /// Each record that is appended from now on, in log order. A receiver that falls far behind misses some.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Record>> {
        self.shared.news.subscribe()
    }

    /// The receipts.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Finishes what waits and stops; what comes later is refused. When the last clone of this signer and of its
    /// store is dropped, SQLite folds its side files into the one database file.
    pub async fn close(&self) {
        let (reply, stopped) = oneshot::channel();
        if self.shared.jobs.send(Job::Stop { reply }).await.is_ok() {
            // An error means that the writer is gone, which is what was asked for.
            let _ = stopped.await;
        }
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// All public keys that ever signed into the store, as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> &str {
        &self.shared.jwks
    }

    /// Takes a share of the memory for waiting bodies.
    pub(crate) fn reserve(&self, bytes: u32) -> Result<OwnedSemaphorePermit, AppendError> {
        Arc::clone(&self.shared.room).try_acquire_many_owned(bytes).map_err(|_| AppendError::QueueFull)
    }

    pub(crate) async fn append_items(
        &self,
        items: Vec<Item>,
        share: Option<OwnedSemaphorePermit>,
    ) -> Result<Appended, AppendError> {
        self.ask(|reply| Job::Append { items, share, reply }).await
    }

    /// Writes to the database to prove that it can be written.
    pub(crate) async fn probe(&self) -> Result<(), AppendError> {
        self.ask(|reply| Job::Probe { reply }).await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, Arc<StoreError>>>) -> Job,
    ) -> Result<T, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.shared.jobs.try_send(job(reply)).map_err(|error| match error {
            TrySendError::Full(_) => AppendError::QueueFull,
            TrySendError::Closed(_) => AppendError::Stopping,
        })?;
        answer.await.map_err(|_| AppendError::Stopping)?.map_err(AppendError::Store)
    }
}

impl AppendError {
    /// A stable code for logs and replies.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Store(_) => "store_unavailable",
            Self::Stopping => "stopping",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { bearer_token: None, max_waiting_bytes: 32 << 20, body_timeout: Duration::from_secs(30) }
    }
}
