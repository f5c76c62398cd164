use airlock_pipeline::{Host, HostError, NEW};

/// What all workers know of the fetching of one issuer's keys. Times are in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Attempts that have begun.
    pub(crate) begun: u64,
    /// The last of them that has ended, by its number from 1; 0 if none has.
    pub(crate) done: u64,
    /// When the last attempt began.
    pub(crate) began: u64,
    /// When the last attempt that has ended did.
    pub(crate) ended: u64,
    /// Until when the worker that makes an attempt is waited for; 0 if none does.
    pub(crate) leased_until: u64,
    /// When the present keys came; 0 if there are none.
    pub(crate) fetched: u64,
    /// Attempts that have failed since.
    pub(crate) failures: u64,
}

/// A record and what is needed to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) record: Record,
    revision: u32,
}

const FIELDS: usize = 7;

impl Record {
    /// The record under this key; an empty one where there is none, or none of this version.
    pub(crate) fn read(host: &dyn Host, key: &str) -> Result<Seen, HostError> {
        Ok(match host.shared(key)? {
            Some((bytes, revision)) => Seen { record: Self::decode(&bytes).unwrap_or_default(), revision },
            None => Seen { record: Self::default(), revision: NEW },
        })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, []) = bytes.as_chunks::<8>() else { return None };
        let fields: [[u8; 8]; FIELDS] = fields.try_into().ok()?;
        let [begun, done, began, ended, leased_until, fetched, failures] = fields.map(u64::from_le_bytes);
        Some(Self { begun, done, began, ended, leased_until, fetched, failures })
    }

    fn encode(self) -> Vec<u8> {
        let Self { begun, done, began, ended, leased_until, fetched, failures } = self;
        [begun, done, began, ended, leased_until, fetched, failures].map(u64::to_le_bytes).concat()
    }
}

impl Seen {
    /// Puts another record in the place of this one.
    ///
    /// # Errors
    /// [`HostError`] if it has changed since.
    pub(crate) fn replace(self, host: &mut dyn Host, key: &str, record: Record) -> Result<(), HostError> {
        host.share(key, &record.encode(), self.revision)
    }
}
