//! The keys of issuers that publish them, fetched through the proxy.
//!
//! All workers share one copy and one record of the attempts to renew it, in the proxy's shared data: one worker
//! fetches for all, and a change of the configuration fetches nothing. Between requests, [`Source::upkeep`] renews keys
//! before they are old, and sooner when a token names a key that is not there. Keys stay in use while their issuer
//! cannot be reached, up to a bound.

mod attempt;
mod endpoint;
mod record;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::{Rc, Weak},
};

use airlock_jose::{KeySet, limits};
use airlock_pipeline::{Host, HostError, Wait};
use sha2::{Digest as _, Sha256};

use self::{attempt::Attempt, record::Record};
use crate::cache::Digest;

pub(crate) use self::attempt::Settings;

/// Requests that wait for keys at most, of one worker. Those beyond are refused.
const WAITING: usize = 256;

/// The sources of a worker by the digest of their settings.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    sources: BTreeMap<Digest, Weak<RefCell<Source>>>,
    places: Rc<()>,
    /// Number of the next call. It is one count for all sources, so that no answer is taken for another.
    pub(crate) next_call: u32,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct Source {
    settings: Settings,
    names: Names,
    /// The shared record when it was last read.
    record: Record,
    held: Option<Held>,
    /// The number of the last attempt that had begun when somebody missed a key: a later one is wanted.
    wanted_after: Option<u64>,
    attempt: Option<Attempt>,
}

/// Keys as they were fetched.
#[derive(Clone, Debug)]
struct Held {
    set: Rc<KeySet>,
    revision: u64,
    fetched: u64,
}

/// Where the shared values are.
#[derive(Debug)]
struct Names {
    record: String,
    set: String,
}

/// What a request that misses keys has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Look again: there are other keys now.
    Look,
    /// Wait for an attempt that will end.
    Wait,
    /// The issuer has no such key.
    Unknown,
    /// The issuer cannot be reached.
    Unavailable,
}

impl Keys {
    /// The source with these settings, which may be at work for another configuration already.
    pub(crate) fn source(&mut self, settings: Settings) -> Rc<RefCell<Source>> {
        self.sources.retain(|_, source| source.strong_count() > 0);
        let digest = settings.digest();
        if let Some(source) = self.sources.get(&digest).and_then(Weak::upgrade) {
            return source;
        }
        let source = Rc::new(RefCell::new(Source::new(settings, &digest)));
        self.sources.insert(digest, Rc::downgrade(&source));
        source
    }

    /// A place among those who wait, kept until it is dropped; `None` if there is none.
    pub(crate) fn place(&self) -> Option<Rc<()>> {
        (Rc::strong_count(&self.places) <= WAITING).then(|| Rc::clone(&self.places))
    }
}

impl Source {
    fn new(settings: Settings, digest: &Digest) -> Self {
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self {
            settings,
            names: Names {
                record: format!("airlock.keys.{name}.record"),
                set: format!("airlock.keys.{name}.set"),
            },
            record: Record::default(),
            held: None,
            wanted_after: None,
            attempt: None,
        }
    }

    /// The keys and their revision, which changes when they do. `None` if there are none yet, or if their issuer could
    /// not be reached for too long.
    pub(crate) fn held(&self, now_ms: u64) -> Option<(Rc<KeySet>, u64)> {
        let held = self.held.as_ref()?;
        let is_kept = now_ms <= held.fetched.saturating_add(self.settings.keep_ms);
        is_kept.then(|| (Rc::clone(&held.set), held.revision))
    }

    /// What a request has to do that misses all keys, or one of them if `has_keys`. `wait` says since when it waits.
    pub(crate) fn missing(
        &mut self,
        has_keys: bool,
        wait: &mut Wait,
        host: &mut dyn Host,
    ) -> Result<Missing, HostError> {
        let now_ms = milliseconds(host);
        let revision = self.revision();
        self.look(host)?;
        if self.revision() != revision {
            return Ok(Missing::Look);
        }
        let after = *wait.after.get_or_insert(self.record.begun);
        if has_keys && self.record.done > after {
            return Ok(if self.record.failures == 0 { Missing::Unknown } else { Missing::Unavailable });
        }
        if has_keys {
            self.wanted_after = self.wanted_after.max(Some(after));
        }
        // An attempt has so long to begin, and as long again to end.
        let begins_by = wait.since_ms.saturating_add(self.settings.timeout_ms);
        let ends_by = begins_by.saturating_add(if has_keys { self.settings.timeout_ms } else { 0 });
        // While one is under way, the next is what is due.
        let is_under_way = self.record.begun > after && self.record.done <= after;
        if now_ms >= ends_by || (self.due() > begins_by && !is_under_way) {
            return Ok(Missing::Unavailable);
        }
        Ok(Missing::Wait)
    }

    fn revision(&self) -> Option<u64> {
        self.held.as_ref().map(|held| held.revision)
    }

    /// Reads what other workers have found out. Returns whether an attempt has ended since the last look.
    fn look(&mut self, host: &mut dyn Host) -> Result<bool, HostError> {
        let record = Record::read(host, &self.names.record)?.record;
        let has_ended = record.ended != self.record.ended;
        self.record = record;
        self.wanted_after = self.wanted_after.filter(|attempt| record.done <= *attempt);
        let fetched = self.held.as_ref().map_or(0, |held| held.fetched);
        if record.fetched != fetched
            && let Some((body, _)) = host.shared(&self.names.set)?
            && let Some((set, revision)) = read_set(&body)
        {
            self.held = Some(Held { set, revision, fetched: record.fetched });
        }
        Ok(has_ended)
    }

    /// When the next attempt may begin; 0 for at once.
    fn due(&self) -> u64 {
        let Record { began, ended, fetched, failures, .. } = self.record;
        let retry = match failures {
            0 => 0,
            failures => ended.saturating_add(backoff_ms(failures)),
        };
        let renewal = match fetched {
            0 => 0,
            fetched => fetched.saturating_add(self.settings.refresh_ms),
        };
        let demand = self.wanted_after.map(|_| began.saturating_add(self.settings.unknown_key_ms));
        demand.map_or(renewal, |demand| demand.min(renewal)).max(retry)
    }
}

/// Reads a published key set, which must have a key that can be used, and gives it a revision.
fn read_set(body: &[u8]) -> Option<(Rc<KeySet>, u64)> {
    if body.len() > limits::KEY_SET_BYTES {
        return None;
    }
    let (set, _skipped) = KeySet::from_published(body).ok()?;
    let digest = Sha256::digest(body);
    let revision = u64::from_le_bytes(*digest.first_chunk::<8>()?);
    (!set.is_empty()).then(|| (Rc::new(set), revision))
}

/// Time between an attempt that failed and the next: a second, doubled each time, up to a minute.
fn backoff_ms(failures: u64) -> u64 {
    const LONGEST_MS: u64 = 60_000;
    let doublings = u32::try_from(failures.saturating_sub(1).min(16)).unwrap_or(16);
    1_000_u64.saturating_mul(1 << doublings).min(LONGEST_MS)
}

fn milliseconds(host: &dyn Host) -> u64 {
    host.now_micros() / 1_000
}
