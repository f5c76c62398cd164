use std::collections::VecDeque;

use airlock_pipeline::Evidence;
use serde::Deserialize;

/// Bounds of the queue between a gateway worker and the signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueLimits {
    /// Records that wait at most; when they are reached, calls are refused.
    pub records: usize,
    /// Bytes that wait at most.
    pub bytes: usize,
    /// Records that are sent in one request.
    pub batch: usize,
    /// How long one delivery may take, milliseconds.
    pub timeout_ms: u32,
    /// Longest pause between two attempts while the signer is away, milliseconds.
    pub retry_ms: u32,
}

/// Records that are sent in one request, bytes; the signer takes twice as many.
const DELIVERY_BYTES: usize = 2 << 20;

impl Default for QueueLimits {
    fn default() -> Self {
        Self { records: 10_000, bytes: 16 << 20, batch: 200, timeout_ms: 2_000, retry_ms: 5_000 }
    }
}

/// Records on their way to the signer. A record leaves the queue only when the signer has acknowledged it; one that
/// was sent twice is known to the signer by its id.
///
/// One queue serves all filters of a worker and outlives policy updates.
#[derive(Debug, Default)]
pub struct Queue {
    limits: QueueLimits,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    flight: Option<Flight>,
    failures: u32,
    next_attempt: u64,
    refused: u64,
}

/// A delivery that has not been answered.
#[derive(Debug)]
struct Flight {
    token: u32,
    records: usize,
    deadline: u64,
}

/// What a change of the signer's state means for the operator's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that the log has not said.
    None,
    /// The signer has just become unreachable.
    Lost,
    /// The signer is back.
    Found,
}

impl Queue {
    /// Takes on new limits; what waits stays.
    pub fn configure(&mut self, limits: QueueLimits) {
        self.limits = limits;
    }

    /// Whether another record would be too much.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.limits.records || self.bytes >= self.limits.bytes
    }

    /// Whether evidence is kept or has to wait.
    pub fn evidence(&self) -> Evidence {
        if self.failures > 0 { Evidence::Queued } else { Evidence::Kept }
    }

    /// Records that wait, those in flight included.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Calls that have no record because the queue was full: refused ones, and in observation others.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Adds the record of a call, as JSON. Returns whether there was room; one that must be kept is always taken, which
    /// only calls may ask for that were under way before the queue was full.
    pub fn push(&mut self, record: Vec<u8>, must_be_kept: bool) -> bool {
        if self.is_full() && !must_be_kept {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        self.bytes = self.bytes.saturating_add(record.len());
        self.waiting.push_back(record);
        true
    }

    /// The body of the next delivery, or `None` if nothing waits, one is under way, or the signer needs a pause.
    /// `now` is in milliseconds.
    pub fn next_delivery(&mut self, now: u64) -> Option<Vec<u8>> {
        // A clock that was set back must not stop deliveries until it has caught up.
        let pause = self.next_attempt.saturating_sub(now);
        let due = pause == 0 || pause > u64::from(self.limits.retry_ms);
        if self.flight.is_some() || self.waiting.is_empty() || !due {
            return None;
        }
        let mut body = b"{\"records\":[".to_vec();
        for (index, record) in self.waiting.iter().take(self.batch()).enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(record);
        }
        body.extend_from_slice(b"]}");
        Some(body)
    }

    /// The delivery of [`Queue::next_delivery`] is under way under `token`.
    pub fn sent(&mut self, token: u32, now: u64) {
        // The proxy answers at its own time limit; a call that it has forgotten (a policy update took the context
        // that waited for it) is given up a little later.
        let deadline = now.saturating_add(self.patience());
        let records = self.batch();
        self.flight = Some(Flight { token, records, deadline });
    }

    /// The signer has acknowledged the delivery `token`.
    pub fn acknowledged(&mut self, token: u32) -> Change {
        let Some(flight) = self.flight.take_if(|flight| flight.token == token) else { return Change::None };
        for record in self.waiting.drain(..flight.records.min(self.waiting.len())) {
            self.bytes = self.bytes.saturating_sub(record.len());
        }
        self.next_attempt = 0;
        match std::mem::take(&mut self.failures) {
            0 => Change::None,
            _ => Change::Found,
        }
    }

    /// The delivery `token` was not acknowledged: its records wait for another attempt.
    pub fn failed(&mut self, token: u32, now: u64) -> Change {
        match self.flight.take_if(|flight| flight.token == token) {
            Some(_) => self.back_off(now),
            None => Change::None,
        }
    }

    /// The proxy would not even send.
    pub fn unsent(&mut self, now: u64) -> Change {
        self.back_off(now)
    }

    /// Gives up a delivery whose answer will not come any more.
    pub fn expire(&mut self, now: u64) -> Change {
        let patience = self.patience();
        let over = |flight: &mut Flight| now >= flight.deadline || flight.deadline - now > patience;
        match self.flight.take_if(over) {
            Some(_) => self.back_off(now),
            None => Change::None,
        }
    }

    /// How many records the next delivery has: at least one, otherwise as many as its bounds allow.
    fn batch(&self) -> usize {
        let mut bytes = 0_usize;
        let fitting = self.waiting.iter().take(self.limits.batch).take_while(|record| {
            bytes = bytes.saturating_add(record.len()).saturating_add(1);
            bytes <= DELIVERY_BYTES
        });
        fitting.count().max(1).min(self.waiting.len())
    }

    fn patience(&self) -> u64 {
        u64::from(self.limits.timeout_ms).saturating_add(1_000)
    }

    fn back_off(&mut self, now: u64) -> Change {
        let pause = 100_u64.saturating_mul(1 << self.failures.min(10)).min(u64::from(self.limits.retry_ms));
        self.next_attempt = now.saturating_add(pause);
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 { Change::Lost } else { Change::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(records: usize, batch: usize) -> Queue {
        let mut queue = Queue::default();
        queue.configure(QueueLimits { records, batch, ..QueueLimits::default() });
        queue
    }

    #[test]
    fn a_record_leaves_only_when_it_is_acknowledged() {
        let mut queue = queue(10, 2);
        for record in [b"1", b"2", b"3"] {
            assert!(queue.push(record.to_vec(), true));
        }
        assert_eq!(queue.next_delivery(0).as_deref(), Some(b"{\"records\":[1,2]}".as_slice()));
        queue.sent(7, 0);
        assert_eq!(queue.next_delivery(0), None, "one delivery at a time");
        assert_eq!(queue.failed(7, 0), Change::Lost);
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.evidence(), Evidence::Queued);
        assert_eq!(queue.next_delivery(50), None, "the signer gets a pause");
        assert_eq!(queue.next_delivery(100).as_deref(), Some(b"{\"records\":[1,2]}".as_slice()));
        queue.sent(8, 100);
        assert_eq!(queue.acknowledged(7), Change::None, "an old token acknowledges nothing");
        assert_eq!(queue.acknowledged(8), Change::Found);
        assert_eq!(queue.evidence(), Evidence::Kept);
        assert_eq!(queue.next_delivery(101).as_deref(), Some(b"{\"records\":[3]}".as_slice()));
    }

    #[test]
    fn a_delivery_whose_answer_never_comes_is_sent_again() {
        let mut queue = queue(10, 2);
        queue.push(b"1".to_vec(), true);
        queue.sent(1, 0);
        assert_eq!(queue.expire(2_999), Change::None);
        assert_eq!(queue.expire(3_000), Change::Lost);
        assert!(queue.next_delivery(3_100).is_some());
    }

    #[test]
    fn a_full_queue_drops_refusals_and_never_a_call_that_reached_the_server() {
        let mut queue = queue(1, 10);
        assert!(queue.push(b"1".to_vec(), true));
        assert!(queue.is_full());
        assert!(!queue.push(b"2".to_vec(), false));
        assert_eq!(queue.refused(), 1);
        assert!(queue.push(b"3".to_vec(), true));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn records_that_come_during_a_delivery_are_not_taken_for_delivered() {
        let mut queue = queue(10, 5);
        queue.push(b"1".to_vec(), true);
        queue.next_delivery(0);
        queue.sent(1, 0);
        queue.push(b"2".to_vec(), true);
        queue.acknowledged(1);
        assert_eq!(queue.next_delivery(0).as_deref(), Some(b"{\"records\":[2]}".as_slice()));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_no_delivery() {
        let mut queue = queue(10, 5);
        queue.push(b"1".to_vec(), true);
        queue.unsent(1_000_000);
        assert!(queue.next_delivery(5).is_some());
        queue.sent(1, 1_000_000);
        assert_eq!(queue.expire(5), Change::None, "known to be lost already");
        assert!(queue.next_delivery(5).is_none() && queue.next_delivery(700).is_some());
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        let mut queue = queue(10, 5);
        queue.push(b"1".to_vec(), true);
        let mut now = 0;
        for pause in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            assert!(queue.next_delivery(now).is_some());
            queue.unsent(now);
            assert_eq!(queue.next_delivery(now + pause - 1), None);
            now += pause;
        }
    }
}
