//! Input that no honest client, server or proxy sends.

use super::{
    CHAIN, anonymous, answer, call, chain, configuration,
    gateway::{Gateway, Message},
    post, stream, whole,
};

/// Every filter of the module alone, and the chains.
fn gateways() -> Vec<(String, Gateway)> {
    let alone = CHAIN.map(|root| (root.to_owned(), Gateway::together(&[(root, configuration(root))])));
    let chains = [
        ("airlock".to_owned(), Gateway::together(&whole())),
        ("chain".to_owned(), Gateway::together(&chain(false))),
        ("separate VMs".to_owned(), Gateway::apart(&chain(true))),
    ];
    alone.into_iter().chain(chains).collect()
}

#[test]
fn no_message_ends_the_vm() {
    let mut raw = call("echo");
    raw.headers.push((b"x-\xff\xfe".to_vec(), b"\x80\0\xc3".to_vec()));
    let mut session = call("echo");
    session.headers.push((b"mcp-session-id".to_vec(), vec![0xff; 70_000]));
    let mut many = call("echo");
    many.headers.extend((0..2_000).map(|_| (b"mcp-param-x".to_vec(), b"=?base64?////?=".to_vec())));
    let deep = "[".repeat(200_000);
    let requests = [
        raw,
        session,
        many,
        Message::default(),
        Message::default().trailing(),
        Message { pieces: vec![Vec::new(); 3], ..call("echo") },
        Message { pieces: vec![Vec::new()], ..call("echo") }.trailing(),
        Message { pieces: vec![vec![0xff; 3_000]], ..call("echo") },
        Message { pieces: vec![deep.as_bytes().to_vec()], ..call("echo") },
        Message { pieces: vec![b"{}".to_vec()], ..anonymous("echo") }
            .with("content-length", "18446744073709551616"),
        post("").with("authorization", "Bearer").with("authorization", "Bearer \u{0}..\u{ff}"),
        call("echo").with("content-length", "99999999999"),
    ];
    let responses = [
        Message::default(),
        Message::default().trailing(),
        Message { pieces: vec![vec![0xff; 5]], ..answer() },
        Message { pieces: vec![Vec::new(), Vec::new()], ..answer() }.trailing(),
        Message { pieces: vec![deep.as_bytes().to_vec()], ..answer() },
        Message {
            pieces: vec![b"data: \xff\n\ndata: {\n\n\r\r:".to_vec(), b"\n".to_vec()],
            ..Message::default()
        }
        .with(":status", "\u{e9}")
        .with("content-type", "text/event-stream"),
    ];
    for (name, mut gateway) in gateways() {
        for request in &requests {
            let mut exchange = gateway.request(request);
            gateway.finish(&mut exchange);
        }
        for response in &responses {
            let mut exchange = gateway.request(&call("echo"));
            gateway.respond(&mut exchange, response);
        }
        gateway.tick(100);
        let mut exchange = gateway.request(&call("echo"));
        if name.contains("airlock") {
            assert!(exchange.upstream.is_some(), "{name} works on");
        }
        gateway.finish(&mut exchange);
    }
}

#[test]
fn what_is_no_message_does_not_reach_the_server() {
    for (name, mut gateway) in gateways().split_off(CHAIN.len()) {
        let mut raw = call("echo");
        raw.headers.push((b"x-note".to_vec(), b"\xff".to_vec()));
        for request in [
            Message::default(),
            raw,
            Message { pieces: vec![Vec::new()], ..call("echo") },
            call("echo").with("content-length", "99999999999"),
            Message { pieces: vec![vec![b' '; (1 << 20) + 1]], ..call("echo") },
        ] {
            let mut exchange = gateway.request(&request);
            assert_eq!(exchange.upstream, None, "{name}");
            assert!(exchange.client.is_some(), "{name}: the client hears of it");
            gateway.finish(&mut exchange);
        }
    }
}

#[test]
fn callbacks_out_of_order_pass_nothing_and_end_nothing() {
    const ORDERS: [&[(&str, &[u32])]; 9] = [
        &[("proxy_on_request_body", &[u32::MAX, 1])],
        &[("proxy_on_request_trailers", &[1])],
        &[("proxy_on_response_headers", &[0, 0]), ("proxy_on_request_body", &[9, 1])],
        &[("proxy_on_response_body", &[u32::MAX, 1]), ("proxy_on_request_trailers", &[0])],
        &[("proxy_on_request_headers", &[0, 0]), ("proxy_on_request_trailers", &[u32::MAX])],
        &[("proxy_on_request_headers", &[0, 0]), ("proxy_on_request_headers", &[9, 1])],
        &[("proxy_on_response_trailers", &[1]), ("proxy_on_request_headers", &[u32::MAX, 1])],
        &[("proxy_on_log", &[]), ("proxy_on_request_body", &[0, 1])],
        &[("proxy_on_request_headers", &[1, 1]), ("proxy_on_log", &[]), ("proxy_on_request_body", &[4, 1])],
    ];
    for (name, mut gateway) in gateways() {
        for order in ORDERS {
            let mut exchange = gateway.open();
            gateway.callback(&mut exchange, 0, "proxy_on_response_trailers", &[0]);
            let mut action = 0;
            for (callback, arguments) in order {
                action = gateway.callback(&mut exchange, 0, callback, arguments);
            }
            if name == "airlock" {
                assert_ne!(action, 0, "{order:?}: a request that was not judged does not pass");
            }
            for callback in ["proxy_on_log", "proxy_on_log", "proxy_on_done", "proxy_on_delete"] {
                gateway.callback(&mut exchange, 0, callback, &[]);
            }
        }
    }
}

#[test]
fn a_size_that_is_not_true_allocates_nothing() {
    for (_, mut gateway) in gateways() {
        for response in [answer(), stream()] {
            for size in [u32::MAX, 1 << 31, 0] {
                let mut exchange = gateway.request(&call("echo"));
                exchange.show_response(&response);
                gateway.callback(&mut exchange, 0, "proxy_on_response_headers", &[u32::MAX, 0]);
                gateway.callback(&mut exchange, 0, "proxy_on_response_body", &[size, 0]);
                gateway.callback(&mut exchange, 0, "proxy_on_response_body", &[size, 1]);
                gateway.finish(&mut exchange);
            }
        }
    }
}
