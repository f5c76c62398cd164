//! Workers of one proxy for tests: hosts in threads of their own that share their data.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use airlock_pipeline::{Headers, Host, HostError, PeerCertificate, Reply, Side};

type SharedData = BTreeMap<String, (Vec<u8>, u32)>;

/// One worker of a proxy.
#[derive(Default)]
pub(crate) struct Worker {
    data: Arc<Mutex<SharedData>>,
    /// The clock of this worker, microseconds.
    pub(crate) now: u64,
    /// What other workers do after each read of this one, one after the other.
    pub(crate) meanwhile: RefCell<VecDeque<Box<dyn FnOnce() + Send>>>,
}

impl Worker {
    /// Another worker of the same proxy.
    pub(crate) fn beside(&self) -> Self {
        Self { data: Arc::clone(&self.data), now: self.now, meanwhile: RefCell::default() }
    }

    /// All that is shared.
    pub(crate) fn data(&self) -> SharedData {
        self.data.lock().unwrap().clone()
    }
}

impl Host for Worker {
    fn shared(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        let value = self.data.lock().unwrap().get(key).cloned();
        let meanwhile = self.meanwhile.borrow_mut().pop_front();
        meanwhile.map_or_else(std::thread::yield_now, |others| others());
        Ok(value)
    }

    fn share(&mut self, key: &str, value: &[u8], revision: u32) -> Result<(), HostError> {
        let mut data = self.data.lock().unwrap();
        let now = data.get(key).map(|(_, revision)| *revision);
        if now.is_some_and(|now| now != revision) {
            return Err(HostError);
        }
        data.insert(key.to_owned(), (value.to_vec(), now.unwrap_or(0) + 1));
        Ok(())
    }

    fn now_micros(&self) -> u64 {
        self.now
    }

    fn random(&mut self) -> [u8; 16] {
        [7; 16]
    }

    fn secret(&mut self) -> Result<[u8; 32], HostError> {
        let mut secret = [0; 32];
        for byte in &mut secret {
            *byte = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0).to_be_bytes()[0];
        }
        Ok(secret)
    }

    fn headers(&self, _: Side) -> Headers {
        Headers::default()
    }

    fn set_header(&mut self, _: Side, _: &str, _: &str) -> Result<(), HostError> {
        Err(HostError)
    }

    fn remove_header(&mut self, _: Side, _: &str) -> Result<(), HostError> {
        Err(HostError)
    }

    fn body(&self, _: Side, _: usize) -> Result<Vec<u8>, HostError> {
        Err(HostError)
    }

    fn drop_request_trailers(&mut self) -> Result<(), HostError> {
        Err(HostError)
    }

    fn replace_body(&mut self, _: Side, _: usize, _: &[u8]) -> Result<(), HostError> {
        Err(HostError)
    }

    fn reply(&mut self, _: &Reply) -> Result<(), HostError> {
        Err(HostError)
    }

    fn set_property(&mut self, _: &str, _: &[u8]) {}

    fn verify_signature(&self, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn peer_certificate(&self) -> Result<Option<PeerCertificate>, HostError> {
        Ok(None)
    }

    fn count(&mut self, _: &str) {}
}
