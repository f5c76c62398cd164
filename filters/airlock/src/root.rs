use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use airlock_pipeline::{CallAnswer, HostError, OutgoingCall, Upkeep};
use airlock_token_validator::Memory;
use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::ContextType,
};

use crate::{
    delivery::{self, QUEUE},
    hostcalls::{self, Buffer, Level, Map},
    plan::{Kept, Plan, Root, plan},
    proxy::{self, Proxy},
    rhythm::Rhythm,
    shared::Slots,
    stream::{Stream, StreamContext},
    waiting::Waiting,
};

/// Calls that a stage makes at most in one upkeep: one whose every call fails must not keep the proxy busy.
const CALLS: usize = 64;

thread_local! {
    /// Exchanges under way in this VM. A VM is one thread, and statics outlive the root contexts that every change of
    /// a configuration replaces.
    pub(crate) static SLOTS: RefCell<Slots> = RefCell::new(Slots::new(proxy::random()));

    /// Tokens and keys that this worker knows.
    static MEMORY: Memory = Memory::default();

    /// Requests of this VM that wait.
    pub(crate) static WAITING: RefCell<Waiting<RefCell<Stream>>> = const { RefCell::new(Waiting::new()) };
}

/// One filter of this module with one configuration.
pub(crate) struct Filter {
    context: u32,
    configured: Option<Rc<Configured>>,
    /// Calls of stages that are under way, by the proxy's token.
    calls: BTreeMap<u32, Call>,
}

/// What a root and its streams share.
pub(crate) struct Configured {
    pub(crate) plan: Plan,
    rhythm: RefCell<Rhythm>,
}

/// A call that is under way.
struct Call {
    stage: usize,
    id: u32,
    answer_bytes: usize,
}

impl Configured {
    /// A request has begun to wait: lets the root's clock tick soon. The proxy knows the root from the stream.
    pub(crate) fn hurry(&self) -> Result<(), HostError> {
        self.rhythm.borrow_mut().hurried().map_or(Ok(()), hostcalls::set_tick_period)
    }
}

impl Filter {
    pub(crate) fn new(context: u32) -> Self {
        Self { context, configured: None, calls: BTreeMap::new() }
    }

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
        let interval = plan.delivery.as_ref().map(|delivery| delivery.interval_ms);
        let mut rhythm = Rhythm::new(plan.stages.len(), interval, milliseconds());
        rhythm
            .hurried()
            .map_or(Ok(()), hostcalls::set_tick_period)
            .map_err(|_| format!("{id}: the proxy gives no clock ticks"))?;
        self.configured = Some(Rc::new(Configured { plan, rhythm: RefCell::new(rhythm) }));
        Ok(())
    }

    fn deliver(&self, now: u64) {
        if let Some(delivery) = self.configured.as_ref().and_then(|own| own.plan.delivery.as_ref()) {
            delivery::deliver(self, delivery, now);
        }
    }

    /// Does what the stage of that index wants; whether waiting requests are to be woken.
    fn carry_out(&mut self, configured: &Configured, stage: usize, wanted: Upkeep, now: u64) -> bool {
        let Some(working) = configured.plan.stages.get(stage) else { return false };
        let Upkeep { calls, mut wake, mut again_ms, warnings } = wanted;
        warn(&warnings);
        let (mut calls, mut left) = (VecDeque::from(calls), CALLS);
        while let Some(call) = calls.pop_front() {
            let attempt = left > 0;
            left = left.saturating_sub(1);
            if attempt && self.send(stage, &call) {
                continue;
            }
            let next = working.answered(call.id, None, &mut Proxy::default());
            wake |= next.wake;
            again_ms = next.again_ms;
            warn(&next.warnings);
            if attempt {
                calls.extend(next.calls);
            }
        }
        configured.rhythm.borrow_mut().again(stage, again_ms, now);
        wake
    }

    fn send(&mut self, stage: usize, call: &OutgoingCall) -> bool {
        let mut headers = vec![
            (":method", call.method),
            (":path", call.path.as_str()),
            (":authority", call.authority.as_str()),
        ];
        headers.extend(call.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let timeout = Duration::from_millis(u64::from(call.timeout_ms));
        let Ok(token) =
            self.dispatch_http_call(&call.cluster, headers, call.body.as_deref(), vec![], timeout)
        else {
            return false;
        };
        self.calls.insert(token, Call { stage, id: call.id, answer_bytes: call.answer_bytes });
        true
    }

    /// Wakes who waits and sets the clock; the end of every callback of this root.
    fn rest(&self, configured: &Configured, wake: bool, now: u64) {
        self.ask_again(wake, now);
        let waiting = WAITING.with_borrow(|waiting| !waiting.is_empty());
        let period = configured.rhythm.borrow_mut().adjusted(waiting, now);
        // A proxy that does not take another period keeps the one that it has.
        let _ = period.map(hostcalls::set_tick_period);
    }

    /// Asks requests again that wait: all of them, or as many as patience allows.
    fn ask_again(&self, all: bool, now: u64) {
        let turn = WAITING.with_borrow_mut(|waiting| waiting.turn(all, now));
        for (context, stream) in &turn {
            // One that is gone has no context at the proxy either.
            let waits = match stream.upgrade() {
                Some(stream) if hostcalls::act_for(*context).is_ok() => stream.borrow_mut().resume(),
                _ => false,
            };
            if !waits {
                WAITING.with_borrow_mut(|waiting| waiting.leave(*context));
            }
        }
        if !turn.is_empty() {
            let _ = hostcalls::act_for(self.context);
        }
    }
}

impl Context for Filter {
    fn on_http_call_response(&mut self, token: u32, _headers: usize, body: usize, _trailers: usize) {
        let Some(configured) = self.configured.clone() else { return };
        let now = milliseconds();
        let status = hostcalls::headers(Map::CallResponse).unwrap_or_default();
        let status = status.text(":status").and_then(|status| status.parse().ok());
        let Some(Call { stage, id, answer_bytes }) = self.calls.remove(&token) else {
            if delivery::answered(token, status, body, now) {
                self.deliver(now);
            }
            return;
        };
        let answer = status
            .filter(|_| body <= answer_bytes)
            .and_then(|status| Some(CallAnswer { status, body: answer_body(body)? }));
        let Some(working) = configured.plan.stages.get(stage) else { return };
        let wanted = working.answered(id, answer, &mut Proxy::default());
        let wake = self.carry_out(&configured, stage, wanted, now);
        self.rest(&configured, wake, now);
    }

    fn on_done(&mut self) -> bool {
        // The proxy forgets these calls together with this root.
        for Call { stage, id, .. } in std::mem::take(&mut self.calls).into_values() {
            let stage = self.configured.as_ref().and_then(|configured| configured.plan.stages.get(stage));
            if let Some(stage) = stage {
                stage.answered(id, None, &mut Proxy::default());
            }
        }
        true
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
        let Some(configured) = self.configured.clone() else { return };
        let now = milliseconds();
        let mut wake = false;
        for (index, stage) in configured.plan.stages.iter().enumerate() {
            let wanted = stage.upkeep(&mut Proxy::default());
            wake |= self.carry_out(&configured, index, wanted, now);
        }
        let due = configured.rhythm.borrow_mut().delivers(now);
        if due {
            self.deliver(now);
        }
        self.rest(&configured, wake, now);
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(StreamContext::new(context, Stream::new(self.configured.clone()))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn answer_body(size: usize) -> Option<Vec<u8>> {
    if size == 0 { Some(Vec::new()) } else { hostcalls::buffer(Buffer::CallResponseBody, size).ok() }
}

fn milliseconds() -> u64 {
    hostcalls::now_nanoseconds() / 1_000_000
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        hostcalls::log(Level::Warn, &format!("airlock: {warning}"));
    }
}
