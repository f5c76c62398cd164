use std::{cell::RefCell, rc::Rc, time::Duration};

use airlock_receipt_emitter::{Change, Delivery, Queue};
use airlock_token_validator::Memory;
use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::ContextType,
};
use serde::Deserialize;

use crate::{
    hostcalls::{self, Buffer, Level, Map},
    plan::{Kept, Plan, Root, plan},
    proxy,
    shared::Slots,
    stream::Stream,
};

/// As much as is read of a signer's answer, bytes.
const ANSWER_BYTES: usize = 1 << 20;

thread_local! {
    /// Exchanges under way in this VM. A VM is one thread, and statics outlive the root contexts that every change of
    /// a configuration replaces.
    pub(crate) static SLOTS: RefCell<Slots> = RefCell::new(Slots::new(proxy::random()));

    /// Records of this worker on their way to the signer.
    static QUEUE: Rc<RefCell<Queue>> = Rc::default();

    /// Tokens and keys that this worker knows.
    static MEMORY: Memory = Memory::default();
}

/// One filter of this module with one configuration.
#[derive(Default)]
pub(crate) struct Filter {
    plan: Option<Plan>,
}

impl Filter {
    fn configure(&mut self, size: usize) -> Result<(), String> {
        let id = hostcalls::property("plugin_root_id").ok().flatten().unwrap_or_default();
        let id = String::from_utf8_lossy(&id).into_owned();
        let known = || Root::ALL.map(Root::id).join("`, `");
        let root = Root::of(&id).ok_or_else(|| format!("unknown root id `{id}`: there are `{}`", known()))?;
        let configuration = match size {
            0 => b"{}".to_vec(),
            size => hostcalls::buffer(Buffer::PluginConfiguration, size)
                .map_err(|_| format!("{id}: the proxy does not hand over the configuration"))?,
        };
        let kept = Kept { queue: QUEUE.with(Rc::clone), memory: MEMORY.with(Memory::clone) };
        let plan = plan(root, &configuration, &kept).map_err(|error| format!("{id}: {error}"))?;
        if let Some(delivery) = &plan.delivery {
            hostcalls::set_tick_period(delivery.interval_ms)
                .map_err(|_| format!("{id}: the proxy gives no clock ticks"))?;
        }
        self.plan = Some(plan);
        Ok(())
    }

    fn delivery(&self) -> Option<&Delivery> {
        self.plan.as_ref()?.delivery.as_ref()
    }

    /// Sends what waits, if it is time.
    fn deliver(&self) {
        let Some(delivery) = self.delivery() else { return };
        let now = milliseconds();
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
            match self.dispatch_http_call(&delivery.cluster, headers, Some(&body), vec![], timeout) {
                Ok(token) => {
                    queue.sent(token, now);
                    expired
                }
                Err(_) => queue.unsent(now),
            }
        });
        self.report(change);
    }

    fn report(&self, change: Change) {
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
}

impl Context for Filter {
    fn on_http_call_response(&mut self, token: u32, _headers: usize, body: usize, _trailers: usize) {
        // A failed call also has headers (a local 503 or 504): nothing but 200 is an acknowledgement.
        let status = hostcalls::headers(Map::CallResponse).unwrap_or_default();
        let acknowledged = status.text(":status") == Some("200");
        let change = QUEUE.with(|queue| {
            let queue = &mut *queue.borrow_mut();
            if acknowledged { queue.acknowledged(token) } else { queue.failed(token, milliseconds()) }
        });
        self.report(change);
        if acknowledged {
            report_rejected(body);
            self.deliver();
        }
    }
}

impl RootContext for Filter {
    fn on_configure(&mut self, size: usize) -> bool {
        match self.configure(size) {
            Ok(()) => true,
            Err(message) => {
                hostcalls::log(Level::Error, &format!("airlock: configuration refused: {message}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.deliver();
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(match &self.plan {
            Some(plan) => Stream::new(Rc::clone(&plan.stages), plan.options, plan.separate_vms),
            None => Stream::unconfigured(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
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

fn milliseconds() -> u64 {
    hostcalls::now_nanoseconds() / 1_000_000
}
