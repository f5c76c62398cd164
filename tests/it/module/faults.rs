//! Every import fails in turn: the VM lives on, and what should have been refused is refused.

use std::collections::BTreeMap;

use super::{
    SECRET, anonymous, answer, assert_whole, call, chain, configuration,
    gateway::{Gateway, Message},
    proxy::{Fault, INTERNAL_FAILURE},
    stream, token, whole,
};

/// An import whose failure the module does not survive: the SDK takes it for granted that Envoy, which is calling a
/// context, can switch to it.
const TAKEN_FOR_GRANTED: &str = "proxy_set_effective_context";

type Calls = BTreeMap<&'static str, usize>;

/// Runs one exchange under `fault`, checks what must never happen, and lets the proxy recover.
fn run(
    gateway: &mut Gateway,
    request: &Message,
    response: &Message,
    may_pass: bool,
    fault: Option<Fault>,
) -> Calls {
    gateway.arm(fault);
    let mut exchange = gateway.request(request);
    // A request that is refused after its headers have left is cut off; its content length says so.
    let cut_off = exchange.client.is_some();
    if let Some(upstream) = &exchange.upstream {
        assert!(may_pass || cut_off, "{fault:?}: the request passes");
        assert!(!upstream.text().contains(SECRET), "{fault:?}: the server gets personal data");
    }
    if exchange.upstream.is_none() || cut_off {
        gateway.finish(&mut exchange);
    } else {
        exchange.upstream.iter().for_each(assert_whole);
        gateway.respond(&mut exchange, response);
    }
    let got = exchange.client.as_ref().map(|client| client.text()).unwrap_or_default();
    assert!(!got.contains(SECRET), "{fault:?}: the client gets personal data");
    if !gateway.tick(100).is_empty() {
        gateway.answer("200");
    }
    let called = gateway.called();
    gateway.arm(None);
    while !gateway.tick(10_000).is_empty() {
        gateway.answer("200");
    }
    called
}

/// The exchange without a fault says which imports are called how often; then each of these calls fails.
fn sweep(gateway: &mut Gateway, request: &Message, response: &Message, may_pass: bool) {
    let called = run(gateway, request, response, may_pass, None);
    assert!(called.len() > 5, "{called:?}");
    for (import, calls) in called {
        if import == TAKEN_FOR_GRANTED {
            continue;
        }
        for call in (0..calls).map(Some).chain([None]) {
            let fault = Fault { import, call, status: INTERNAL_FAILURE };
            run(gateway, request, response, may_pass, Some(fault));
        }
    }
    assert_eq!(gateway.request(request).upstream.is_some(), may_pass, "the VM works on as before");
}

#[test]
fn an_allowed_call_never_leaks_when_an_import_fails() {
    let alone = [("pii-redactor", configuration("pii-redactor"))];
    for (mut gateway, responses) in [
        (Gateway::together(&whole()), vec![answer(), stream()]),
        (Gateway::together(&chain(false)), vec![answer()]),
        (Gateway::apart(&chain(true)), vec![answer()]),
        (Gateway::together(&alone), vec![answer(), stream()]),
    ] {
        for response in responses {
            sweep(&mut gateway, &call("echo"), &response, true);
        }
    }
}

#[test]
fn a_refused_call_never_passes_when_an_import_fails() {
    let expired = anonymous("echo").with("authorization", &format!("Bearer {}", token(1_799_999_900)));
    for mut gateway in
        [Gateway::together(&whole()), Gateway::together(&chain(false)), Gateway::apart(&chain(true))]
    {
        for request in [call("delete-all"), anonymous("echo"), expired.clone()] {
            sweep(&mut gateway, &request, &answer(), false);
        }
    }
}

#[test]
fn a_write_without_evidence_never_passes_when_an_import_fails() {
    for mut gateway in
        [Gateway::together(&whole()), Gateway::together(&chain(false)), Gateway::apart(&chain(true))]
    {
        let mut first = gateway.request(&call("echo"));
        gateway.finish(&mut first);
        gateway.tick(100);
        gateway.answer("503");
        gateway.arm(None);
        let refused = gateway.request(&call("save-note"));
        assert_eq!(refused.upstream, None);
        for (import, calls) in gateway.called() {
            for number in (0..calls).map(Some).chain([None]) {
                let fault = Fault { import, call: number, status: INTERNAL_FAILURE };
                gateway.arm(Some(fault));
                let mut exchange = gateway.request(&call("save-note"));
                let passed = exchange.upstream.is_some() && exchange.client.is_none();
                assert!(!passed, "{fault:?}: the write passes");
                gateway.finish(&mut exchange);
            }
        }
    }
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
