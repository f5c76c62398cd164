//! Records of calls on their way to the signer.

use airlock_receipt::Record;
use serde_json::{Value, json};

use super::{
    answer, call, chain,
    gateway::Gateway,
    proxy::{BAD_ARGUMENT, Fault, HttpCall, INTERNAL_FAILURE},
    whole,
};

fn records(call: &HttpCall) -> Vec<Record> {
    let mut delivery: Value = serde_json::from_slice(&call.body).unwrap();
    serde_json::from_value(delivery["records"].take()).expect("the signer accepts every record")
}

/// A call from its first to its last byte; whether it reached the server.
fn passes(gateway: &mut Gateway, tool: &str) -> bool {
    let mut exchange = gateway.request(&call(tool));
    let passed = exchange.upstream.is_some();
    match exchange.client.as_ref().map(|client| serde_json::from_slice::<Value>(&client.body).unwrap()) {
        Some(refusal) => {
            assert_eq!(refusal.pointer("/error/data/reason"), Some(&json!("evidence_unavailable")));
            gateway.finish(&mut exchange);
        }
        None => gateway.respond(&mut exchange, &answer()),
    }
    passed
}

#[test]
fn records_are_sent_until_the_signer_has_them() {
    for filters in [whole(), chain(false)] {
        let mut gateway = Gateway::together(&filters);
        assert!(gateway.tick(100).is_empty(), "nothing to send");
        assert!(passes(&mut gateway, "echo"));
        let calls = gateway.tick(100);
        assert_eq!(calls[0].cluster, "airlock-signer");
        assert!(calls[0].headers.contains(&(b":path".to_vec(), b"/v1/receipts".to_vec())));
        let first = records(&calls[0]);

        gateway.answer("503");
        assert!(gateway.tick(10).is_empty(), "the signer gets a pause");
        assert_eq!(records(&gateway.tick(100)[0]), first, "the same records again");

        gateway.answer("200");
        assert!(gateway.tick(10_000).is_empty(), "acknowledged");
    }
}

#[test]
fn while_evidence_cannot_be_kept_reads_go_on_and_writes_wait() {
    for (status, fault) in [
        (Some("503"), None),
        (Some("504"), None),
        (Some("2000"), None),
        (None, Some(BAD_ARGUMENT)),
        (None, Some(INTERNAL_FAILURE)),
    ] {
        for (filters, apart) in [(whole(), false), (chain(false), false), (chain(true), true)] {
            let mut gateway = if apart { Gateway::apart(&filters) } else { Gateway::together(&filters) };
            assert!(passes(&mut gateway, "save-note"));
            gateway.proxy.borrow_mut().fault =
                fault.map(|status| Fault { import: "proxy_http_call", call: None, status });
            assert_eq!(gateway.tick(100).len(), usize::from(fault.is_none()));
            if let Some(status) = status {
                gateway.answer(status);
            }
            assert!(passes(&mut gateway, "echo"), "a read goes on");
            assert!(!passes(&mut gateway, "save-note"), "a write waits");
            let log = gateway.proxy.borrow().log.join("\n");
            assert!(log.contains("the signer does not take receipts"), "{log}");

            gateway.proxy.borrow_mut().fault = None;
            let calls = gateway.tick(10_000);
            assert_eq!(records(&calls[0]).len(), 3, "nothing was lost");
            gateway.answer("200");
            assert!(passes(&mut gateway, "save-note"), "and a write goes on when they are kept again");
        }
    }
}
