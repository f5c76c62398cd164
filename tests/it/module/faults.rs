//! Every import fails in turn: the VM lives on, and what should have been refused is refused.

use super::{
    SECRET, anonymous, answer, assert_whole, call, chain, configuration,
    gateway::{Gateway, Message},
    proxy::{BAD_ARGUMENT, Fault, INTERNAL_FAILURE, NOT_FOUND},
    stream, token, whole,
};

/// An import whose failure the module does not survive: the SDK takes it for granted that Envoy, which is calling a
/// context, can switch to it.
const TAKEN_FOR_GRANTED: &str = "proxy_set_effective_context";

/// How an import fails. `NOT_FOUND` is an answer of a proxy that has no such property or buffer, otherwise a failure.
fn statuses(import: &str) -> &'static [u32] {
    match import {
        // The SDK falls over any other status; Envoy has no other.
        "proxy_http_call" => &[BAD_ARGUMENT, INTERNAL_FAILURE],
        "proxy_get_property" => &[BAD_ARGUMENT, INTERNAL_FAILURE],
        _ => &[NOT_FOUND, INTERNAL_FAILURE],
    }
}

type Filters = Vec<(&'static str, serde_json::Value)>;

/// Runs one exchange under `fault` and checks what must never happen.
fn run(filters: &Filters, apart: bool, request: &Message, response: &Message, may_pass: bool, fault: Option<Fault>) -> Gateway {
    let mut gateway = if apart { Gateway::apart(filters) } else { Gateway::together(filters) };
    {
        let proxy = &mut *gateway.proxy.borrow_mut();
        proxy.called.clear();
        proxy.fault = fault;
    }
    let mut exchange = gateway.request(request);
    if let Some(upstream) = &exchange.upstream {
        assert!(may_pass, "{fault:?}: the request passes");
        assert!(!upstream.text().contains(SECRET), "{fault:?}: the server gets personal data");
        assert_whole(upstream);
        gateway.respond(&mut exchange, response);
        if let Some(client) = &exchange.client {
            assert!(!client.text().contains(SECRET), "{fault:?}: the client gets personal data");
            assert_whole(client);
        }
    } else {
        gateway.finish(&mut exchange);
    }
    if !gateway.tick(100).is_empty() {
        gateway.answer("200");
    }
    gateway
}

/// The exchange without a fault says which imports are called how often; then each of these calls fails.
fn sweep(filters: &Filters, apart: bool, request: &Message, response: &Message, may_pass: bool) {
    let gateway = run(filters, apart, request, response, may_pass, None);
    let called = gateway.proxy.borrow().called.clone();
    assert!(called.len() > 5, "{called:?}");
    for (import, calls) in called {
        if import == TAKEN_FOR_GRANTED {
            continue;
        }
        for &status in statuses(import) {
            for call in (0..calls).map(Some).chain([None]) {
                run(filters, apart, request, response, may_pass, Some(Fault { import, call, status }));
            }
        }
    }
}

#[test]
fn an_allowed_call_never_leaks_when_an_import_fails() {
    sweep(&whole(), false, &call("echo"), &answer(), true);
    sweep(&whole(), false, &call("echo"), &stream(), true);
}

#[test]
fn a_refused_call_never_passes_when_an_import_fails() {
    let expired = anonymous("echo").with("authorization", &format!("Bearer {}", token(1_799_999_900)));
    for request in [call("delete-all"), anonymous("echo"), expired] {
        sweep(&whole(), false, &request, &answer(), false);
        sweep(&chain(false), false, &request, &answer(), false);
    }
}

#[test]
fn a_chain_in_one_vm_never_leaks_when_an_import_fails() {
    sweep(&chain(false), false, &call("echo"), &answer(), true);
}

#[test]
fn a_chain_in_separate_vms_never_leaks_when_an_import_fails() {
    sweep(&chain(true), true, &call("echo"), &answer(), true);
    sweep(&chain(true), true, &call("delete-all"), &answer(), false);
}

#[test]
fn a_redactor_alone_never_leaks_when_an_import_fails() {
    let filters = vec![("pii-redactor", configuration("pii-redactor"))];
    sweep(&filters, false, &call("echo"), &answer(), true);
    sweep(&filters, false, &call("echo"), &stream(), true);
}

#[test]
fn a_filter_whose_start_fails_refuses_everything() {
    for import in
        ["proxy_get_property", "proxy_get_buffer_bytes", "proxy_set_tick_period_milliseconds", "proxy_log"]
    {
        let fault = Fault { import, call: None, status: INTERNAL_FAILURE };
        let mut gateway = Gateway::start(&whole(), |_| 0, Some(fault));
        gateway.proxy.borrow_mut().fault = None;
        let exchange = gateway.request(&call("echo"));
        assert_eq!(exchange.upstream.is_some(), import == "proxy_log", "{import}");
    }
}
