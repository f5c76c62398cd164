//! Records of this worker on their way to the signer.

use std::{cell::RefCell, rc::Rc, time::Duration};

use airlock_receipt_emitter::{Change, Delivery, Queue};
use proxy_wasm::traits::Context;
use serde::Deserialize;

use crate::hostcalls::{self, Buffer, Level};

/// As much as is read of a signer's answer, bytes.
const ANSWER_BYTES: usize = 1 << 20;

thread_local! {
    /// The records. A VM is one thread, and statics outlive the root contexts that every change of a configuration
    /// replaces.
    pub(crate) static QUEUE: Rc<RefCell<Queue>> = Rc::default();
}

/// Sends what waits through `root`, if the queue is ready for it.
pub(crate) fn deliver(root: &dyn Context, delivery: &Delivery, now: u64) {
    let change = QUEUE.with(|queue| {
        let queue = &mut *queue.borrow_mut();
        let expired = queue.expire(now);
        let Some(body) = queue.next_delivery(now) else { return expired };
        let mut headers = vec![
            (":method", "POST"),
            (":path", delivery.path.as_str()),
            (":authority", delivery.authority.as_str()),
            ("content-type", "application/json"),
        ];
        if let Some(authorization) = &delivery.authorization {
            headers.push(("authorization", authorization));
        }
        let timeout = Duration::from_millis(u64::from(delivery.timeout_ms));
        match root.dispatch_http_call(&delivery.cluster, headers, Some(&body), vec![], timeout) {
            Ok(token) => {
                queue.sent(token, now);
                expired
            }
            Err(_) => queue.unsent(now),
        }
    });
    report(change);
}

/// Takes in the signer's answer of `size` bytes to the call `token`; whether it has acknowledged the records.
pub(crate) fn answered(token: u32, status: Option<u16>, size: usize, now: u64) -> bool {
    // A failed call also has headers (a local 503 or 504): nothing but 200 is an acknowledgement.
    let acknowledged = status == Some(200);
    let change = QUEUE.with(|queue| {
        let queue = &mut *queue.borrow_mut();
        if acknowledged { queue.acknowledged(token) } else { queue.failed(token, now) }
    });
    report(change);
    if acknowledged {
        report_rejected(size);
    }
    acknowledged
}

fn report(change: Change) {
    let waiting = QUEUE.with(|queue| queue.borrow().len());
    match change {
        Change::None => {}
        Change::Lost => hostcalls::log(
            Level::Warn,
            &format!(
                "airlock: the signer does not take receipts; {waiting} wait, calls that change something are \
                 refused until it does"
            ),
        ),
        Change::Found => hostcalls::log(Level::Info, "airlock: the signer takes receipts again"),
    }
}

/// The part of the signer's answer that concerns an operator.
#[derive(Deserialize)]
struct Appended {
    #[serde(default)]
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct Rejected {
    reason: String,
}

/// Says which records the signer will never take: a gateway and a signer of versions that do not fit together.
fn report_rejected(size: usize) {
    let answer = hostcalls::buffer(Buffer::CallResponseBody, size.min(ANSWER_BYTES)).unwrap_or_default();
    let Ok(Appended { rejected }) = serde_json::from_slice(&answer) else { return };
    if let Some(Rejected { reason }) = rejected.first() {
        let count = rejected.len();
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(64).collect();
        let message =
            format!("airlock: the signer rejected {count} records for good, the first for `{reason}`");
        hostcalls::log(Level::Error, &message);
    }
}
