//! Whole exchanges, through the chain as one filter, as six in one VM and as six in six.

use airlock_receipt::{Effect, Record};
use serde_json::{Value, json};

use super::{
    CHAIN, SECRET, anonymous, answer, assert_whole, call, chain, configuration,
    gateway::{Exchange, Gateway, Message, Sent},
    stream, token, whole,
};

/// The three arrangements in which the same chain can run.
fn arrangements() -> [(&'static str, Gateway); 3] {
    [
        ("one filter", Gateway::together(&whole())),
        ("six filters in one VM", Gateway::together(&chain(false))),
        ("six filters in six VMs", Gateway::apart(&chain(true))),
    ]
}

/// Sends a request, answers it if it gets so far, and returns what server and client got and the call's record.
fn exchange(gateway: &mut Gateway, request: &Message, response: &Message) -> (Option<Sent>, Sent, Value) {
    let mut exchange = gateway.request(request);
    if exchange.upstream.is_some() {
        gateway.respond(&mut exchange, response);
    } else {
        gateway.finish(&mut exchange);
    }
    let Exchange { upstream, client, .. } = exchange;
    let calls = gateway.tick(100);
    let mut records: Value = serde_json::from_slice(&calls[0].body).unwrap();
    gateway.answer("200");
    assert_eq!(records["records"].as_array().map(Vec::len), Some(1), "one exchange, one record");
    (upstream, client.expect("the client gets an answer"), records["records"][0].take())
}

#[test]
fn an_allowed_call_passes_without_personal_data_and_leaves_a_record() {
    for (arrangement, mut gateway) in arrangements() {
        for response in [answer(), answer().trailing(), stream()] {
            let (upstream, client, record) = exchange(&mut gateway, &call("echo"), &response);
            let upstream = upstream.expect(arrangement);
            assert_whole(&upstream);
            assert_eq!(upstream.header("authorization"), None, "{arrangement}");
            assert!(
                upstream.text().contains("write to ") && !upstream.text().contains(SECRET),
                "{arrangement}"
            );
            assert_whole(&client);
            assert_eq!(client.header(":status"), Some("200"));
            assert!(client.text().contains("sent to ") && !client.text().contains(SECRET), "{arrangement}");
            let record: Record = serde_json::from_value(record).expect(arrangement);
            assert_eq!(record.decision.effect, Effect::Allow);
            assert_eq!(record.who.subject.unwrap().as_str(), "ann");
            assert!(record.request_digest.is_some() && record.response_digest.is_some(), "{arrangement}");
        }
    }
}

#[test]
fn every_arrangement_judges_alike() {
    let split = |mut message: Message| {
        message.pieces = message.pieces.concat().chunks(9).map(<[u8]>::to_vec).collect();
        message
    };
    let expired = anonymous("echo").with("authorization", &format!("Bearer {}", token(1_799_999_900)));
    let get = Message { pieces: Vec::new(), ..anonymous("echo") };
    let requests = [
        ("allowed", call("echo")),
        ("allowed in pieces", split(call("echo"))),
        ("denied tool", call("delete-all")),
        ("denied tool in pieces", split(call("delete-all"))),
        ("denied tool with trailers", call("delete-all").trailing()),
        ("no token", anonymous("echo")),
        ("expired token", expired),
        ("not JSON", Message { pieces: vec![b"{".to_vec()], ..call("echo") }),
        ("no body", get),
        ("two content types", call("echo").with("content-type", "application/json")),
        ("compressed", call("echo").with("content-encoding", "gzip")),
    ];
    for (name, request) in requests {
        let [first, others @ ..] = arrangements().map(|(arrangement, mut gateway)| {
            let (upstream, client, mut record) = exchange(&mut gateway, &request, &answer());
            for variable in ["id", "started_at", "duration_us"] {
                record[variable] = Value::Null;
            }
            (arrangement, upstream, client, record)
        });
        for other in others {
            let (arrangement, upstream, client, record) = other;
            assert_eq!(upstream, first.1, "{name}: to the server, {arrangement}");
            assert_eq!(client, first.2, "{name}: to the client, {arrangement}");
            assert_eq!(record, first.3, "{name}: record, {arrangement}");
        }
    }
}

#[test]
fn a_refused_call_is_answered_and_does_not_reach_the_server() {
    for (arrangement, mut gateway) in arrangements() {
        for (request, status, reason, count) in [
            (anonymous("echo"), "401", "token_missing", 1),
            (call("delete-all"), "200", "policy_default", 1),
            (call("delete-all").trailing(), "200", "policy_default", 2),
        ] {
            let (upstream, client, record) = exchange(&mut gateway, &request, &answer());
            assert_eq!(upstream, None, "{arrangement}: {reason}");
            let counted = (format!("airlock.refused.{reason}"), count);
            assert!(gateway.proxy.borrow().counters.contains(&counted), "{arrangement}: {counted:?}");
            assert_eq!(client.header(":status"), Some(status), "{arrangement}: {reason}");
            let body: Value = serde_json::from_slice(&client.body).unwrap();
            assert_eq!(body.pointer("/error/data/reason"), Some(&json!(reason)), "{arrangement}");
            assert_eq!(record.pointer("/decision/effect"), Some(&json!("deny")), "{arrangement}");
        }
    }
}

#[test]
fn trailers_end_a_body_and_change_no_verdict() {
    for mut gateway in
        [Gateway::together(&whole()), Gateway::together(&chain(false)), Gateway::apart(&chain(true))]
    {
        for (tool, passes) in [("echo", true), ("delete-all", false)] {
            let plain = exchange(&mut gateway, &call(tool), &answer());
            let trailing = exchange(&mut gateway, &call(tool).trailing(), &answer());
            assert_eq!(plain.0.is_some(), passes);
            assert_eq!((plain.0, plain.1), (trailing.0, trailing.1), "{tool}");
            assert_eq!(plain.2["findings"], trailing.2["findings"], "{tool}: the body is judged once");
        }
    }
}

#[test]
fn filters_in_separate_vms_that_do_not_know_it_let_nothing_pass() {
    let mut gateway = Gateway::apart(&chain(false));
    let exchange = gateway.request(&call("echo"));
    assert_eq!(exchange.upstream, None);
    assert_eq!(exchange.client.unwrap().header(":status"), Some("500"));
    let log = gateway.proxy.borrow().log.join("\n");
    assert!(log.contains("proxy.separate_vms: true"), "the log names the remedy: {log}");
}

#[test]
fn a_request_under_way_keeps_the_policy_that_it_began_with() {
    let closed = |root: &str| {
        let mut configuration = configuration(root);
        let rules = if root == "airlock" { "/policy/rules" } else { "/rules" };
        *configuration.pointer_mut(rules).unwrap() = json!([]);
        configuration
    };
    let policy = CHAIN.iter().position(|root| *root == "tool-policy").unwrap();
    for (filters, index, root) in [(whole(), 0, "airlock"), (chain(false), policy, "tool-policy")] {
        let mut gateway = Gateway::together(&filters);
        let (_, _, _) = exchange(&mut gateway, &call("echo"), &answer());
        let mut under_way = gateway.open();
        gateway.begin(&mut under_way, &call("echo").headers);
        let mut waiting = gateway.request(&call("delete-all"));
        gateway.finish(&mut waiting);

        assert!(gateway.update(index, &closed(root)));
        gateway.complete(&mut under_way, &call("echo").pieces.concat());
        assert!(under_way.upstream.is_some(), "{root}: the old policy allows it");
        gateway.respond(&mut under_way, &answer());
        gateway.retire();
        let mut later = gateway.request(&call("echo"));
        assert_eq!(later.upstream, None, "{root}: the new policy does not");
        gateway.finish(&mut later);

        assert!(!gateway.update(index, &json!({"version": 0})), "{root}: a wrong update changes nothing");
        let mut after = gateway.request(&call("echo"));
        assert_eq!(after.upstream, None);
        gateway.finish(&mut after);

        let calls = gateway.tick(100);
        let delivery: Value = serde_json::from_slice(&calls[0].body).unwrap();
        assert_eq!(
            delivery["records"].as_array().map(Vec::len),
            Some(4),
            "{root}: the queue outlives updates"
        );
    }
}
