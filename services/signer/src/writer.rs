//! The writer thread: group commit.

use std::sync::Arc;

use airlock_receipt::{Record, SigningKey};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot};

use crate::append::{Appended, Appender, Item, now};
use crate::store::StoreError;

/// A transaction takes no further batch once it has this many records, so that the first need not wait for ever.
const MAX_GROUP_RECORDS: usize = 4000;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Append a batch.
    Append {
        items: Vec<Item>,
        /// The batch's share of the memory for waiting batches, given back when the job is done.
        share: Option<OwnedSemaphorePermit>,
        reply: Reply<Appended>,
    },
    /// Prove that the database can be written.
    Probe { reply: Reply<()> },
    /// Stop after the jobs before this one.
    Stop { reply: oneshot::Sender<()> },
}

/// Where an answer goes. One failure of the database answers a whole group.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Arc<StoreError>>>;

/// Owns the writing connection and the signing key.
#[derive(Debug)]
pub(crate) struct Writer {
    connection: Connection,
    appender: Appender,
    jobs: mpsc::Receiver<Job>,
    news: broadcast::Sender<Arc<Record>>,
}

/// Jobs that share a transaction.
#[derive(Default)]
struct Group {
    batches: Vec<(Vec<Item>, Option<OwnedSemaphorePermit>, Reply<Appended>)>,
    probes: Vec<Reply<()>>,
    stop: Option<oneshot::Sender<()>>,
    records: usize,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        key: SigningKey,
        jobs: mpsc::Receiver<Job>,
        news: broadcast::Sender<Arc<Record>>,
    ) -> Self {
        Self { connection, appender: Appender::new(key), jobs, news }
    }

    /// Works until it is told to stop or nobody is left to ask for anything.
    pub(crate) fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let mut group = Group::default();
            group.add(first);
            while group.records < MAX_GROUP_RECORDS && group.stop.is_none() {
                let Ok(job) = self.jobs.try_recv() else { break };
                group.add(job);
            }
            if let Some(stopped) = self.finish(group) {
                // A receiver that is gone no longer waits.
                let _ = stopped.send(());
                return;
            }
        }
    }

    /// Commits a group and answers each of its jobs.
    fn finish(&mut self, group: Group) -> Option<oneshot::Sender<()>> {
        match self.commit(&group) {
            Ok((outcomes, news)) => {
                for ((_, share, reply), outcome) in group.batches.into_iter().zip(outcomes) {
                    // Before the reply: whoever has it may send the next batch at once.
                    drop(share);
                    let _ = reply.send(Ok(outcome));
                }
                group.probes.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
                news.into_iter().for_each(|record| drop(self.news.send(record)));
            }
            Err(error) => {
                self.appender.forget();
                let error = Arc::new(error);
                for (_, share, reply) in group.batches {
                    drop(share);
                    let _ = reply.send(Err(Arc::clone(&error)));
                }
                for reply in group.probes {
                    let _ = reply.send(Err(Arc::clone(&error)));
                }
            }
        }
        group.stop
    }

    fn commit(&mut self, group: &Group) -> Result<(Vec<Appended>, Vec<Arc<Record>>), StoreError> {
        if group.batches.is_empty() && group.probes.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.appender.begin(&transaction)?;
        let mut news = Vec::new();
        let mut outcomes = Vec::with_capacity(group.batches.len());
        for (items, _, _) in &group.batches {
            outcomes.push(self.appender.append(&transaction, items, &mut news)?);
        }
        if !group.probes.is_empty() {
            transaction
                .execute("INSERT OR REPLACE INTO probe (id, at) VALUES (1, ?1)", [now().to_string()])?;
        }
        transaction.commit()?;
        Ok((outcomes, news))
    }
}

impl Group {
    fn add(&mut self, job: Job) {
        match job {
            Job::Append { items, share, reply } => {
                self.records = self.records.saturating_add(items.len());
                self.batches.push((items, share, reply));
            }
            Job::Probe { reply } => self.probes.push(reply),
            Job::Stop { reply } => self.stop = Some(reply),
        }
    }
}
