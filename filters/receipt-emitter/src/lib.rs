//! A record of every call, denied ones included, on its way to the signer.
//!
//! [`ReceiptEmitter`] is the outermost stage: it sees every request first and every answer last, refusals of later
//! stages included. [`ReceiptIntent`] is the innermost: it holds back what must not leave without evidence. Records
//! wait in a [`Queue`] that the module's clock empties.

mod configuration;
mod intent;
mod queue;
mod record;

#[cfg(test)]
mod tests;

use std::{cell::RefCell, rc::Rc};

use airlock_mcp::transport;
use airlock_pipeline::{Denial, Exchange, Facts, Host, Mode, Next, Stage, rpc};
use airlock_receipt::{Digester, Name};

pub use configuration::{Configuration, Delivery, Digests, Signer};
pub use intent::{IntentConfiguration, ReceiptIntent};
pub use queue::{Change, Queue, QueueLimits};

use configuration::Digesting;

/// The outermost stage.
pub struct ReceiptEmitter {
    gateway: Name<128>,
    mode: Mode,
    digesting: Digesting,
    queue: Rc<RefCell<Queue>>,
}

impl ReceiptEmitter {
    /// A stage that puts records into `queue`, and how the queue is to be bounded and delivered.
    ///
    /// # Errors
    /// A sentence that names the member at fault and the remedy.
    pub fn new(configuration: Configuration, queue: Rc<RefCell<Queue>>) -> Result<(Self, Delivery), String> {
        let delivery = Delivery::new(&configuration)?;
        let digesting = Digesting::new(&configuration.digests)?;
        let gateway =
            Name::try_from(configuration.gateway.as_str()).map_err(|error| format!("gateway: {error}"))?;
        Ok((Self { gateway, mode: configuration.mode, digesting, queue }, delivery))
    }

    fn digester(&self) -> Digester {
        match &self.digesting {
            Digesting::Plain => Digester::sha256(),
            Digesting::Keyed(key) => Digester::hmac_sha256(key),
        }
    }

    /// Puts the record of one message into the queue.
    fn keep(&self, facts: &Facts, digests: &record::Digests, now_micros: u64) {
        let digest = |text: &str| self.digest(text.as_bytes());
        let record = record::record(self.gateway.clone(), self.mode, facts, digests, now_micros, digest);
        if let Ok(json) = serde_json::to_vec(&record) {
            // A stage that only observes lets calls through a full queue, which would grow without end.
            let refusal = facts.refusal.as_ref();
            let reached_server = refusal.is_none_or(|refusal| refusal.answer_withheld);
            self.queue.borrow_mut().push(json, reached_server && self.mode == Mode::Enforce);
        }
    }

    fn digest(&self, bytes: &[u8]) -> String {
        let mut digester = self.digester();
        digester.update(bytes);
        digester.finish().value.to_string()
    }
}

impl Stage for ReceiptEmitter {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn request_headers(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<Next, Denial> {
        exchange.facts.session = exchange
            .request_headers
            .one(transport::SESSION_ID)
            .ok()
            .flatten()
            .map(|session| self.digest(session));
        let queue = self.queue.borrow();
        exchange.facts.evidence = queue.evidence();
        if queue.is_full() {
            let message = "receipts cannot be kept now: try again later";
            return Err(Denial::new(503, rpc::UNAVAILABLE, "evidence_full", message));
        }
        Ok(Next::On)
    }

    fn observes_bytes(&self) -> bool {
        true
    }

    fn request_bytes(&self, exchange: &mut Exchange, bytes: &[u8]) {
        if !bytes.is_empty() {
            exchange.request_digest.get_or_insert_with(|| self.digester()).update(bytes);
        }
    }

    fn response_headers(&self, exchange: &mut Exchange, _host: &mut dyn Host) -> Result<(), Denial> {
        // `initialize` opens a session whose id comes with the answer: the call that opened it belongs to it.
        if exchange.facts.session.is_none() {
            exchange.facts.session = exchange
                .response_headers
                .one(transport::SESSION_ID)
                .ok()
                .flatten()
                .map(|session| self.digest(session));
        }
        Ok(())
    }

    fn response_bytes(&self, exchange: &mut Exchange, bytes: &[u8]) {
        if !bytes.is_empty() {
            exchange.response_digest.get_or_insert_with(|| self.digester()).update(bytes);
        }
    }

    fn finish(&self, exchange: &mut Exchange, host: &mut dyn Host) {
        if exchange.facts.id.is_empty() {
            return;
        }
        let request = exchange.request_digest.take().map(Digester::finish);
        let response = exchange.response_digest.take().map(Digester::finish);
        let digests = record::Digests { request, response };
        let now = host.now_micros();
        let parts = std::mem::take(&mut exchange.facts.batch);
        if parts.is_empty() {
            return self.keep(&exchange.facts, &digests, now);
        }
        let facts = &mut exchange.facts;
        for part in parts {
            facts.id = part.id;
            facts.message = part.message;
            facts.verdict = part.verdict;
            facts.found_in_request = part.found_in_request;
            self.keep(facts, &digests, now);
            // What is in the one answer to all of them is counted once, with the first.
            facts.found_in_response = Default::default();
        }
    }
}
