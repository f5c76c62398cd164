//! A chain of filters at work on streams, in the order of callbacks that was observed in Envoy 1.40.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::Value;

use super::{
    host::{Shared, Vm},
    proxy::{Fault, HttpCall, Lines, Proxy, Stream},
};

const CONTINUE: u32 = 0;
const REQUEST: usize = 0;
const RESPONSE: usize = 1;
const CALLBACKS: [[&str; 3]; 2] = [
    ["proxy_on_request_headers", "proxy_on_request_body", "proxy_on_request_trailers"],
    ["proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers"],
];

/// Filters, the VMs that they run in, and the proxy around them.
pub(super) struct Gateway {
    pub(super) proxy: Shared,
    vms: Vec<Vm>,
    filters: Vec<Filter>,
    retired: Vec<(usize, u32)>,
}

/// One filter with one configuration.
#[derive(Clone, Debug)]
struct Filter {
    root_id: String,
    vm: usize,
    root: u32,
}

/// A request or a response as it is sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    pub(super) headers: Lines,
    pub(super) pieces: Vec<Vec<u8>>,
    pub(super) trailers: bool,
}

/// What has gone out on one side of an exchange: to the server or to the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) headers: Lines,
    pub(super) body: Vec<u8>,
}

/// One request and its response under way.
pub(super) struct Exchange {
    filters: Vec<Filter>,
    contexts: Vec<Option<u32>>,
    stream: Stream,
    held: [Option<usize>; 2],
    buffers: [Vec<Vec<u8>>; 2],
    answering: bool,
    replied: bool,
    /// What the server got.
    pub(super) upstream: Option<Sent>,
    /// What the client got.
    pub(super) client: Option<Sent>,
}

impl Sent {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name.as_bytes());
        values.next().map(|(_, value)| std::str::from_utf8(value).unwrap())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Gateway {
    /// A gateway whose filters, outermost first, share one VM.
    pub(super) fn together(filters: &[(&str, Value)]) -> Self {
        Self::start(filters, |_| 0, None)
    }

    /// A gateway whose filters run in a VM each.
    pub(super) fn apart(filters: &[(&str, Value)]) -> Self {
        Self::start(filters, |index| index, None)
    }

    /// Like [`Gateway::together`], and something fails from the start.
    pub(super) fn start(
        filters: &[(&str, Value)],
        vm_of: impl Fn(usize) -> usize,
        fault: Option<Fault>,
    ) -> Self {
        let proxy = Rc::new(RefCell::new(Proxy::new(fault)));
        let mut gateway = Self { proxy, vms: Vec::new(), filters: Vec::new(), retired: Vec::new() };
        if filters.is_empty() {
            gateway.vms.push(Vm::start(&gateway.proxy));
        }
        for (index, (root_id, configuration)) in filters.iter().enumerate() {
            let vm = vm_of(index);
            if vm == gateway.vms.len() {
                gateway.vms.push(Vm::start(&gateway.proxy));
            }
            let (root, accepted) = gateway.configure(vm, root_id, configuration.to_string().as_bytes());
            assert!(accepted || fault.is_some(), "{root_id}: {:?}", gateway.proxy.borrow().log);
            gateway.filters.push(Filter { root_id: (*root_id).to_owned(), vm, root });
        }
        gateway
    }

    /// A root context with that configuration, and whether the module accepts it.
    pub(super) fn configure(&mut self, vm: usize, root_id: &str, configuration: &[u8]) -> (u32, bool) {
        {
            let proxy = &mut *self.proxy.borrow_mut();
            proxy.root_id = root_id.to_owned();
            proxy.configuration = configuration.to_vec();
        }
        let size = u32::try_from(configuration.len()).unwrap();
        let vm = &mut self.vms[vm];
        let root = vm.context(0);
        assert_eq!(vm.call("proxy_on_vm_start", &[root, 0]), 1);
        (root, vm.call("proxy_on_configure", &[root, size]) == 1)
    }

    /// Gives a filter a new configuration: new streams get it, streams under way keep the one that they have.
    pub(super) fn update(&mut self, index: usize, configuration: &Value) -> bool {
        let Filter { root_id, vm, root: old } = self.filters[index].clone();
        let (root, accepted) = self.configure(vm, &root_id, configuration.to_string().as_bytes());
        if accepted {
            self.filters[index].root = root;
        }
        self.retired.push((vm, if accepted { old } else { root }));
        accepted
    }

    /// Ends root contexts that updates have replaced; they live until their last stream is over.
    pub(super) fn retire(&mut self) {
        for (vm, root) in self.retired.drain(..) {
            self.vms[vm].call("proxy_on_done", &[root]);
            self.vms[vm].call("proxy_on_delete", &[root]);
        }
    }

    /// A new stream, of which no filter knows yet.
    pub(super) fn open(&self) -> Exchange {
        let count = self.filters.len();
        Exchange {
            filters: self.filters.clone(),
            contexts: vec![None; count],
            stream: Stream::default(),
            held: [None; 2],
            buffers: [vec![Vec::new(); count], vec![Vec::new(); count]],
            answering: false,
            replied: false,
            upstream: None,
            client: None,
        }
    }

    /// A whole request; the client has its answer, or the server its request, or the request hangs for good.
    pub(super) fn request(&mut self, message: &Message) -> Exchange {
        let mut exchange = self.open();
        self.send(&mut exchange, REQUEST, message);
        exchange
    }

    /// A whole response to a request that has reached the server, and the end of the exchange.
    pub(super) fn respond(&mut self, exchange: &mut Exchange, message: &Message) {
        exchange.answering = true;
        self.send(exchange, RESPONSE, message);
        self.finish(exchange);
    }

    /// Sends part of a request: its headers.
    pub(super) fn begin(&mut self, exchange: &mut Exchange, headers: &Lines) {
        exchange.stream.headers[REQUEST].clone_from(headers);
        self.headers(exchange, REQUEST, 0, false);
    }

    /// Sends part of a request: the rest of it after the headers.
    pub(super) fn complete(&mut self, exchange: &mut Exchange, body: &[u8]) {
        self.body(exchange, REQUEST, 0, body.to_vec(), true);
    }

    /// The end of a stream, as each filter hears of it.
    pub(super) fn finish(&mut self, exchange: &mut Exchange) {
        for callback in ["proxy_on_log", "proxy_on_done", "proxy_on_delete"] {
            for index in 0..exchange.contexts.len() {
                self.callback(exchange, index, callback, &[]);
            }
        }
    }

    /// Lets time pass and gives every filter its tick; returns the calls that are then under way.
    pub(super) fn tick(&mut self, milliseconds: u64) -> Vec<HttpCall> {
        self.proxy.borrow_mut().now += milliseconds * 1_000_000;
        for filter in &self.filters {
            self.vms[filter.vm].call("proxy_on_tick", &[filter.root]);
        }
        self.proxy.borrow().calls.clone()
    }

    /// Answers the oldest call of the outermost filter.
    pub(super) fn answer(&mut self, status: &str) {
        let call = {
            let proxy = &mut *self.proxy.borrow_mut();
            proxy.call_answer =
                vec![(b":status".to_vec(), status.as_bytes().to_vec()), (vec![0xff], vec![0xfe])];
            proxy.calls.remove(0)
        };
        let Filter { vm, root, .. } = self.filters[0];
        self.vms[vm].call("proxy_on_http_call_response", &[root, call.token, 2, 0, 0]);
    }

    /// Lets an import fail from now on, or nothing any more, and counts the calls of imports anew.
    pub(super) fn arm(&mut self, fault: Option<Fault>) {
        let proxy = &mut *self.proxy.borrow_mut();
        proxy.fault = fault;
        proxy.called.clear();
    }

    /// How often each import was called since the last [`Gateway::arm`].
    pub(super) fn called(&self) -> BTreeMap<&'static str, usize> {
        self.proxy.borrow().called.clone()
    }

    /// Calls one filter out of turn, as no proxy does; returns its action.
    pub(super) fn callback(
        &mut self,
        exchange: &mut Exchange,
        index: usize,
        name: &str,
        arguments: &[u32],
    ) -> u32 {
        let Filter { root_id, vm, root } = &exchange.filters[index];
        let vm = &mut self.vms[*vm];
        let context = match (exchange.contexts[index], name) {
            (Some(context), _) => context,
            (None, "proxy_on_log" | "proxy_on_done" | "proxy_on_delete") => return CONTINUE,
            (None, _) => *exchange.contexts[index].insert(vm.context(*root)),
        };
        root_id.clone_into(&mut self.proxy.borrow_mut().root_id);
        std::mem::swap(&mut self.proxy.borrow_mut().stream, &mut exchange.stream);
        let arguments = [&[context], arguments].concat();
        let action = vm.call(name, &arguments);
        std::mem::swap(&mut self.proxy.borrow_mut().stream, &mut exchange.stream);
        action
    }

    /// Lets new streams of a filter belong to that root context.
    pub(super) fn use_root(&mut self, index: usize, root: u32) {
        self.filters[index].root = root;
    }

    fn send(&mut self, exchange: &mut Exchange, side: usize, message: &Message) {
        exchange.stream.headers[side].clone_from(&message.headers);
        self.headers(exchange, side, 0, message.pieces.is_empty() && !message.trailers);
        for (index, piece) in message.pieces.iter().enumerate() {
            let end = index + 1 == message.pieces.len() && !message.trailers;
            self.body(exchange, side, 0, piece.clone(), end);
        }
        if message.trailers {
            self.trailers(exchange, side);
        }
    }

    fn headers(&mut self, exchange: &mut Exchange, side: usize, from: usize, end: bool) {
        let order = exchange.order(side);
        let count = u32::try_from(exchange.stream.headers[side].len()).unwrap();
        for (position, &index) in order.iter().enumerate().skip(from) {
            exchange.stream.visible[side] = true;
            let action = self.callback(exchange, index, CALLBACKS[side][0], &[count, u32::from(end)]);
            exchange.stream.visible[side] = false;
            if self.replied(exchange, side) {
                return;
            }
            if action != CONTINUE {
                exchange.held[side] = Some(position);
                return;
            }
        }
        let headers = exchange.stream.headers[side].clone();
        *exchange.sent(side) = Some(Sent { headers, body: Vec::new() });
    }

    fn body(&mut self, exchange: &mut Exchange, side: usize, from: usize, piece: Vec<u8>, end: bool) {
        let mut data = piece;
        for (position, &index) in exchange.order(side).iter().enumerate().skip(from) {
            if exchange.over(side) {
                return;
            }
            exchange.buffers[side][index].append(&mut data);
            exchange.stream.bodies[side] = std::mem::take(&mut exchange.buffers[side][index]);
            exchange.stream.visible[side] = exchange.held[side] == Some(position);
            let size = u32::try_from(exchange.stream.bodies[side].len()).unwrap();
            let action = self.callback(exchange, index, CALLBACKS[side][1], &[size, u32::from(end)]);
            data = std::mem::take(&mut exchange.stream.bodies[side]);
            exchange.stream.visible[side] = false;
            if self.replied(exchange, side) {
                return;
            }
            if action != CONTINUE {
                exchange.buffers[side][index] = data;
                return;
            }
            if exchange.held[side].take_if(|held| *held == position).is_some() {
                self.headers(exchange, side, position + 1, false);
            }
        }
        if !exchange.over(side)
            && let Some(sent) = exchange.sent(side)
        {
            sent.body.append(&mut data);
        }
    }

    fn trailers(&mut self, exchange: &mut Exchange, side: usize) {
        exchange.stream.trailers = vec![(b"x-late".to_vec(), b"1".to_vec())];
        for (position, &index) in exchange.order(side).iter().enumerate() {
            if exchange.over(side) {
                return;
            }
            exchange.stream.bodies[side] = std::mem::take(&mut exchange.buffers[side][index]);
            exchange.stream.visible[side] = exchange.held[side] == Some(position);
            let action = self.callback(exchange, index, CALLBACKS[side][2], &[1]);
            let data = std::mem::take(&mut exchange.stream.bodies[side]);
            exchange.stream.visible[side] = false;
            if self.replied(exchange, side) || action != CONTINUE {
                return;
            }
            if exchange.held[side].take_if(|held| *held == position).is_some() {
                self.headers(exchange, side, position + 1, false);
            }
            if !data.is_empty() {
                self.body(exchange, side, position + 1, data, false);
            }
        }
    }

    /// Carries out the reply that a filter has given, if it has. It comes back through the filters that have seen the
    /// request, unless an answer was on its way already: then it goes to the client as it is.
    fn replied(&mut self, exchange: &mut Exchange, side: usize) -> bool {
        let Some((headers, body)) = exchange.stream.reply.take() else { return false };
        exchange.replied = true;
        if side == REQUEST && !exchange.answering {
            exchange.answering = true;
            let reply = Message { headers, pieces: vec![body], trailers: false };
            self.send(exchange, RESPONSE, &reply);
        } else {
            exchange.client.get_or_insert(Sent { headers, body });
            exchange.held[RESPONSE] = Some(usize::MAX);
        }
        true
    }
}

impl Exchange {
    /// Shows the filters a response out of turn, headers and body at once.
    pub(super) fn show_response(&mut self, message: &Message) {
        self.stream.headers[RESPONSE].clone_from(&message.headers);
        self.stream.visible[RESPONSE] = true;
        self.stream.bodies[RESPONSE] = message.pieces.concat();
    }

    /// Indices of the filters that a side passes, in its order.
    fn order(&self, side: usize) -> Vec<usize> {
        let all = 0..self.filters.len();
        if side == REQUEST {
            all.collect()
        } else {
            all.rev().filter(|index| self.contexts[*index].is_some()).collect()
        }
    }

    fn sent(&mut self, side: usize) -> &mut Option<Sent> {
        if side == REQUEST { &mut self.upstream } else { &mut self.client }
    }

    /// Whether nothing more of a side reaches the filters.
    fn over(&self, side: usize) -> bool {
        if side == REQUEST { self.replied } else { self.held[RESPONSE] == Some(usize::MAX) }
    }
}
