use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
};

use airlock_pipeline::{Headers, Host, HostError, PeerCertificate, Reply, Side};

use crate::{
    foreign,
    hostcalls::{self, Map},
};

thread_local! {
    /// Counters that this VM has defined, by name. Those that the proxy does not take are not tried again.
    static COUNTERS: RefCell<BTreeMap<String, Option<u32>>> = const { RefCell::new(BTreeMap::new()) };

    /// Random bytes for ids.
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { ids: [[0; 16]; IDS], left: 0 }) };
}

/// Random ids that are drawn at a time.
const IDS: usize = 32;

/// Random ids that have not been given out: every request needs one, and a question to the proxy costs more than many.
struct Drawn {
    ids: [[u8; 16]; IDS],
    left: usize,
}

impl Drawn {
    /// An id that nobody has; `None` where the host's source fails.
    fn next(&mut self) -> Option<[u8; 16]> {
        if self.left == 0 {
            getrandom::fill(self.ids.as_flattened_mut()).ok()?;
            self.left = IDS;
        }
        self.left = self.left.saturating_sub(1);
        self.ids.get(self.left).copied()
    }
}

/// The proxy that this module runs in, during one callback: its time stands still.
#[derive(Debug, Default)]
pub(crate) struct Proxy {
    now_nanoseconds: OnceCell<u64>,
}

impl Host for Proxy {
    fn headers(&self, side: Side) -> Headers {
        hostcalls::headers(side.into()).unwrap_or_default()
    }

    fn set_header(&mut self, side: Side, name: &str, value: &str) -> Result<(), HostError> {
        hostcalls::set_header(side.into(), name, value)
    }

    fn remove_header(&mut self, side: Side, name: &str) -> Result<(), HostError> {
        hostcalls::remove_header(side.into(), name)
    }

    fn body(&self, side: Side, size: usize) -> Result<Vec<u8>, HostError> {
        hostcalls::buffer(side.into(), size)
    }

    fn drop_request_trailers(&mut self) -> Result<(), HostError> {
        hostcalls::clear_map(Map::RequestTrailers)
    }

    fn shared(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        hostcalls::shared(key)
    }

    fn share(&mut self, key: &str, value: &[u8], revision: u32) -> Result<(), HostError> {
        hostcalls::share(key, value, revision)
    }

    fn replace_body(&mut self, side: Side, size: usize, bytes: &[u8]) -> Result<(), HostError> {
        hostcalls::replace_buffer(side.into(), size, bytes)
    }

    fn reply(&mut self, reply: &Reply) -> Result<(), HostError> {
        hostcalls::reply(reply)
    }

    fn set_property(&mut self, name: &str, value: &[u8]) {
        // Facts for operators are a courtesy: a proxy that does not take them still gets its verdicts.
        let _ = hostcalls::set_property(name, value);
    }

    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
        let argument = foreign::signature_argument(public_key, message, signature);
        let answer = hostcalls::foreign_function(foreign::VERIFY_SIGNATURE, &argument).ok()?;
        Some(foreign::is_verified(&answer))
    }

    fn peer_certificate(&self) -> Result<Option<PeerCertificate>, HostError> {
        let Some(digest) = connection("sha256_peer_certificate_digest")? else { return Ok(None) };
        Ok(Some(PeerCertificate {
            digest: foreign::digest(&digest).ok_or(HostError)?,
            subject: connection("subject_peer_certificate")?.unwrap_or_default(),
            dns_name: connection("dns_san_peer_certificate")?,
            uri: connection("uri_san_peer_certificate")?,
        }))
    }

    fn count(&mut self, name: &str) {
        count(name);
    }

    fn now_micros(&self) -> u64 {
        self.now_nanoseconds.get_or_init(hostcalls::now_nanoseconds) / 1_000
    }

    fn random(&mut self) -> [u8; 16] {
        random()
    }

    fn secret(&mut self) -> Result<[u8; 32], HostError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| HostError)?;
        Ok(bytes)
    }
}

/// A fact of the connection; `None` where there is none or it is empty.
fn connection(name: &str) -> Result<Option<String>, HostError> {
    let value = hostcalls::property(&format!("connection\0{name}"))?;
    let value = value.map(|value| String::from_utf8(value).map_err(|_| HostError)).transpose()?;
    Ok(value.filter(|value| !value.is_empty()))
}

/// Adds one to the counter `airlock.<name>`.
pub(crate) fn count(name: &str) {
    let metric = COUNTERS.with_borrow_mut(|counters| match counters.get(name) {
        Some(known) => *known,
        None => {
            let metric = hostcalls::define_counter(&format!("airlock.{name}")).ok();
            counters.insert(name.to_owned(), metric);
            metric
        }
    });
    // Counters are a courtesy: a proxy that does not take them still gets its verdicts.
    let _ = metric.map(hostcalls::increment);
}

/// 16 random bytes. Where the host's source fails the clock stands in: ids stay distinct within a worker.
pub(crate) fn random() -> [u8; 16] {
    let drawn = DRAWN.with_borrow_mut(Drawn::next);
    drawn.unwrap_or_else(|| u128::from(hostcalls::now_nanoseconds()).to_be_bytes())
}
