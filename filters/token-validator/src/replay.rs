//! That every proof of possession is accepted once ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449) section 11.1),
//! whichever worker sees it, and across changes of configuration.
//!
//! What was seen is in the proxy's shared data, spread over [`SHARDS`] values. A shard is a list of small entries and the
//! time up to which it has forgotten. A proof that is not newer than what its shard has forgotten is refused: so it
//! depends on no clock, and on no setting that has changed since, whether a proof can come twice.
//!
//! The number of shards is fixed, because a proof must be looked for where it was put; how many entries a shard
//! takes is configured. An entry is keyed with a secret of the proxy: nobody can aim at a shard. One client key gets a
//! quarter of each shard at most: it cannot use up the store for the others.

use std::cell::OnceCell;

use airlock_pipeline::{Host, HostError, NEW, SealKey};

/// How much is remembered, and for how long.
#[derive(Debug)]
pub(crate) struct Replays {
    /// Entries of one shard at most.
    capacity: usize,
    /// How long after its time of issue a proof may still be accepted, seconds.
    window_seconds: u64,
    key: OnceCell<SealKey>,
}

/// Why a proof is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplayError {
    /// It was accepted before, or it is from a time that the store has forgotten, so that it may have been.
    #[error("the proof was used before: every request needs a new one")]
    Replayed,
    /// Its key has used up its share of the store.
    #[error("this client sends more proofs than the gateway can remember: slow down")]
    KeyFull,
    /// There is no room to remember it.
    #[error("the gateway cannot remember more proofs at the moment: try again later")]
    Full,
    /// Other workers were faster several times in a row.
    #[error("the gateway is too busy to remember the proof: try again with a new one")]
    Busy,
    /// The proxy does not show the store.
    #[error("the gateway could not process this message")]
    Host,
}

/// Values that the store is spread over, so that workers seldom write to the same one.
const SHARDS: u16 = 4_096;

/// Bytes of an entry: fingerprint of the proof, tag of the key, time of issue.
const ENTRY: usize = FINGERPRINT + TAG + TIME;
const FINGERPRINT: usize = 8;
const TAG: usize = 4;
const TIME: usize = 4;

/// What part of a shard one key gets.
const SHARE: usize = 4;

/// How often a shard is read again after another worker has written to it.
const ATTEMPTS: usize = 8;

/// Name of the shared value that holds the key of fingerprints.
const KEY: &str = "airlock.proofs.key";

impl Replays {
    /// Fewest and most entries that can be configured: 4 MiB and 64 MiB.
    pub(crate) const BOUNDS: std::ops::RangeInclusive<u32> = 1 << 18..=1 << 22;

    /// A store of `entries` proofs, for those who accept a proof up to `window_seconds` after (and before) its time of
    /// issue.
    ///
    /// # Errors
    /// A sentence for a number that is not within [`Replays::BOUNDS`].
    pub(crate) fn new(entries: u32, window_seconds: u64) -> Result<Self, String> {
        if !Self::BOUNDS.contains(&entries) {
            return Err(format!("must be from {} to {}", Self::BOUNDS.start(), Self::BOUNDS.end()));
        }
        let capacity = usize::try_from(entries / u32::from(SHARDS)).unwrap_or(usize::MAX);
        Ok(Self { capacity, window_seconds, key: OnceCell::new() })
    }

    /// Accepts a proof, once. What makes it one is its key's thumbprint, the normalised target and its `jti`;
    /// `issued_at` is its `iat`. Times are seconds since the Unix epoch. Everything else about it has been checked
    /// before, so that nothing is remembered for somebody who cannot prove anything.
    ///
    /// # Errors
    /// [`ReplayError`] where it was accepted before, or where that could not be found out or written down.
    pub(crate) fn spend(
        &self,
        host: &mut dyn Host,
        thumbprint: &str,
        uri: &str,
        token_id: &str,
        issued_at: u64,
        now: u64,
    ) -> Result<(), ReplayError> {
        let issued_at = u32::try_from(issued_at).unwrap_or(u32::MAX);
        let (name, entry) = self.place(host, thumbprint, uri, token_id, issued_at)?;
        for _ in 0..ATTEMPTS {
            let (bytes, revision) = host.shared(&name)?.unwrap_or_else(|| (Shard::default().bytes(), NEW));
            let (mut shard, readable) = match Shard::read(&bytes) {
                Some(shard) => (shard, true),
                None => (self.begun_anew(now), false),
            };
            shard.forget(now, self.window_seconds);
            let spent = self.admit(&mut shard, entry);
            let nothing_to_write = spent.is_err() && readable;
            if nothing_to_write || host.share(&name, &shard.bytes(), revision).is_ok() {
                return spent;
            }
        }
        Err(ReplayError::Busy)
    }

    /// The name of the shard where a proof belongs, and its entry.
    fn place(
        &self,
        host: &mut dyn Host,
        thumbprint: &str,
        uri: &str,
        token_id: &str,
        issued_at: u32,
    ) -> Result<(String, Entry), HostError> {
        let key = match self.key.get() {
            Some(key) => key,
            None => {
                let key = SealKey::drawn(host, KEY)?;
                self.key.get_or_init(|| key)
            }
        };
        let holder = thumbprint.as_bytes();
        let proof_mac = key.mac(&[b"proof", holder, uri.as_bytes(), token_id.as_bytes()])?;
        let key_mac = key.mac(&[b"key", holder])?;
        let (fingerprint, rest) = proof_mac.split_first_chunk().ok_or(HostError)?;
        let shard = u16::from_be_bytes(*rest.first_chunk().ok_or(HostError)?) % SHARDS;
        let tag = key_mac.first_chunk().ok_or(HostError)?;
        let entry = entry(fingerprint, tag, issued_at).ok_or(HostError)?;
        Ok((format!("airlock.proofs.1.{shard:03x}"), entry))
    }

    /// What takes the place of a shard that cannot be read: it has forgotten everything that may be accepted now, and
    /// so accepts nothing until the last proof that it may have held is too old.
    fn begun_anew(&self, now: u64) -> Shard {
        let newest = u32::try_from(now.saturating_add(self.window_seconds)).unwrap_or(u32::MAX);
        Shard { forgotten: newest, entries: Vec::new() }
    }

    fn admit(&self, shard: &mut Shard, entry: Entry) -> Result<(), ReplayError> {
        let wanted = fingerprint(&entry);
        let is_same = |known: &Entry| fingerprint(known) == wanted;
        if issued_at(&entry) <= shard.forgotten || shard.entries.iter().any(is_same) {
            return Err(ReplayError::Replayed);
        }
        let share = self.capacity / SHARE;
        let of_key = || shard.entries.iter().filter(|known| tag(known) == tag(&entry)).count();
        if shard.entries.len() >= share && of_key() >= share {
            return Err(ReplayError::KeyFull);
        }
        if shard.entries.len() >= self.capacity {
            return Err(ReplayError::Full);
        }
        shard.entries.push(entry);
        Ok(())
    }
}

impl ReplayError {
    /// Stable reason code.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Replayed => "proof_replayed",
            Self::KeyFull => "proof_key_full",
            Self::Full => "proof_store_full",
            Self::Busy => "proof_store_busy",
            Self::Host => "proxy_failure",
        }
    }
}

impl From<HostError> for ReplayError {
    fn from(HostError: HostError) -> Self {
        Self::Host
    }
}

/// A proof as it is remembered: its fingerprint, the tag of its key, its time of issue.
type Entry = [u8; ENTRY];

fn entry(proof: &[u8; FINGERPRINT], key: &[u8; TAG], issued_at: u32) -> Option<Entry> {
    [proof.as_slice(), key, &issued_at.to_be_bytes()].concat().try_into().ok()
}

fn fingerprint(entry: &Entry) -> u64 {
    entry.first_chunk().map_or(0, |proof| u64::from_be_bytes(*proof))
}

fn tag(entry: &Entry) -> u32 {
    let (_, after) = entry.split_at_checked(FINGERPRINT).unwrap_or_default();
    after.first_chunk().map_or(0, |key| u32::from_be_bytes(*key))
}

fn issued_at(entry: &Entry) -> u32 {
    entry.last_chunk().map_or(u32::MAX, |time| u32::from_be_bytes(*time))
}

/// One of the values that the store is spread over.
#[derive(Debug, Default)]
struct Shard {
    /// The newest time of issue of all proofs that were dropped.
    forgotten: u32,
    entries: Vec<Entry>,
}

impl Shard {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (forgotten, entries) = bytes.split_first_chunk()?;
        let (entries, rest) = entries.as_chunks();
        let forgotten = u32::from_be_bytes(*forgotten);
        rest.is_empty().then(|| Self { forgotten, entries: entries.to_vec() })
    }

    /// Drops what is too old to be accepted anyway.
    fn forget(&mut self, now: u64, window_seconds: u64) {
        let forgotten = &mut self.forgotten;
        self.entries.retain(|entry| {
            let issued_at = issued_at(entry);
            let keeps = u64::from(issued_at).saturating_add(window_seconds) >= now;
            if !keeps {
                *forgotten = issued_at.max(*forgotten);
            }
            keeps
        });
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.forgotten.to_be_bytes(), self.entries.as_flattened()].concat()
    }
}

#[cfg(test)]
mod tests;
