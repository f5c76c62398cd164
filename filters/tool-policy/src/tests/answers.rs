//! What a server asks of the client, and what both sides are told of one another.

use airlock_pipeline::{Facts, Headers};

use super::*;

/// A server that may ask whoever has the scope `ask`, one that shows and may be shown a part of what there is, and a
/// rule by which everybody may do the rest.
fn asking(mode: &str) -> ToolPolicy {
    let document = json!({
        "version": 1,
        "mode": mode,
        "servers": [
            {"name": "open", "path": "/mcp"},
            {"name": "narrow", "path": "/narrow", "capabilities": {
                "client": ["elicitation", "example.com/known"], "server": ["tools", "example.com/known"],
            }},
        ],
        "rules": [
            {"name": "all", "effect": "allow", "tools": ["*"], "method_classes": ["read-meta", "read-data", "stream"]},
            {"name": "ask", "effect": "allow", "methods": ["elicitation/create"], "scopes": ["ask"]},
            {"name": "no-model", "effect": "deny", "methods": ["sampling/*"], "reason": "our model is not for servers"},
        ],
    });
    ToolPolicy::new(Policy::from_value(document).unwrap())
}

struct Told {
    passed: Passed,
    upstream: Vec<u8>,
    facts: Facts,
}

/// Sends a request to `path` and the answer back, and returns what became of the answer.
fn told(
    mode: &str,
    path: &str,
    who: &Who,
    request: Option<&str>,
    headers: Headers,
    pieces: &[&[u8]],
) -> Told {
    let (mut chain, exchange) = memory::chain(vec![Box::new(asking(mode))], Options::default());
    exchange.borrow_mut().facts.caller = who.clone();
    let method = if request.is_some() { "POST" } else { "GET" };
    let mut host = MemoryHost::with_request(with(&[(":method", method), (":path", path)]));
    let body: Vec<&[u8]> = request.iter().map(|body| body.as_bytes()).collect();
    let passed = host.request(&mut chain, &body, false);
    assert!(matches!(passed, Passed::On(_)), "{passed:?}");
    let passed = host.response(&mut chain, headers, pieces, false);
    let facts = exchange.borrow().facts.clone();
    Told { passed, upstream: host.upstream.body, facts }
}

fn json_answer(status: &str) -> Headers {
    Headers::from([(":status", status), ("content-type", "application/json")])
}

fn events() -> Headers {
    Headers::from([(":status", "200"), ("content-type", "text/event-stream")])
}

fn question(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": "s1", "method": method, "params": params}).to_string()
}

/// A result that asks for input first (MCP 2026-07-28).
fn input_required(methods: &[&str]) -> String {
    let requests: serde_json::Map<String, Value> = methods
        .iter()
        .map(|method| ((*method).to_owned(), json!({"method": method, "params": {}})))
        .collect();
    let result = json!({"resultType": "input_required", "inputRequests": requests, "requestState": "x"});
    json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string()
}

const ASK: &str = "elicitation/create";
const MODEL: &str = "sampling/createMessage";

#[test]
fn a_question_passes_where_a_rule_allows_it_and_is_refused_elsewhere() {
    let (asker, other) = (caller(&["ask"]), caller(&[]));
    let url_elicitation =
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32042,"message":"m","data":{"elicitations":[]}}}"#
            .to_owned();
    let cases = [
        (&asker, "/mcp", input_required(&[ASK]), None),
        (&asker, "/mcp", question(ASK, &json!({})), None),
        (&asker, "/mcp", url_elicitation.clone(), None),
        (&asker, "/mcp", input_required(&[]), None),
        (&other, "/mcp", input_required(&[]), None),
        (&other, "/mcp", question("ping", &json!({})), None),
        (&other, "/mcp", input_required(&[ASK]), Some((403, "policy_scope"))),
        (&other, "/mcp", url_elicitation, Some((403, "policy_scope"))),
        (&other, "/mcp", question(ASK, &json!({})), Some((403, "policy_scope"))),
        (&asker, "/mcp", input_required(&[ASK, MODEL]), Some((200, "policy_denied"))),
        (&asker, "/mcp", input_required(&["roots/list"]), Some((200, "policy_default"))),
        (&asker, "/mcp", input_required(&["tools/call"]), Some((200, "policy_default"))),
        (&asker, "/mcp", input_required(&["x/y"]), Some((200, "policy_default"))),
        (&asker, "/narrow", input_required(&[ASK]), None),
        (&asker, "/narrow", input_required(&[MODEL]), Some((200, "policy_capability"))),
        (&asker, "/narrow", question("roots/list", &json!({})), Some((200, "policy_capability"))),
        (&other, "/narrow", question("tasks/get", &json!({"taskId": "t"})), Some((200, "policy_capability"))),
    ];
    for (who, path, answer, refused) in cases {
        let sent = call("find");
        let told = told("enforce", path, who, Some(&sent), json_answer("200"), &[answer.as_bytes()]);
        match (told.passed, refused) {
            (Passed::On(body), None) => assert_eq!(body, answer.as_bytes(), "{answer}"),
            (Passed::Refused(reply), Some((status, reason))) => {
                assert_eq!((reply.status, reply.reason), (status, reason), "{answer}");
                let error: Value = serde_json::from_slice(&reply.body).unwrap();
                assert_eq!(
                    (&error["id"], &error["error"]["code"]),
                    (&json!(7), &json!(rpc::DENIED)),
                    "{answer}"
                );
                let refusal = told.facts.refusal.unwrap();
                assert!(refusal.answer_withheld && refusal.reason == reason, "{answer}");
                assert!(told.facts.verdict.unwrap().allowed, "the call itself was allowed");
            }
            (passed, _) => panic!("{answer}: {passed:?}"),
        }
    }
}

#[test]
fn a_refused_question_says_what_is_not_allowed() {
    let cases = [
        ("/mcp", input_required(&["roots/list"]), "policy does not allow what the server asks of the client"),
        ("/mcp", input_required(&[MODEL]), "our model is not for servers"),
        (
            "/narrow",
            input_required(&[MODEL]),
            "policy closes the capability that what the server asks of the client belongs to",
        ),
    ];
    for (path, answer, message) in cases {
        let sent = call("find");
        let told = told("enforce", path, &caller(&[]), Some(&sent), json_answer("200"), &[answer.as_bytes()]);
        let Passed::Refused(reply) = told.passed else { panic!("{:?}", told.passed) };
        let error: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(error["error"]["message"], message);
    }
}

#[test]
fn a_task_that_waits_for_input_asks_as_well() {
    let waiting =
        json!({"taskId": "t", "status": "input_required", "inputRequests": {"k": {"method": MODEL}}});
    let mut result = waiting.clone();
    result["resultType"] = json!("complete");
    let answers = [
        json!({"jsonrpc": "2.0", "id": 7, "result": result}),
        json!({"jsonrpc": "2.0", "method": "notifications/tasks", "params": waiting}),
    ];
    for answer in answers.map(|answer| answer.to_string()) {
        let sent = call("find");
        let told =
            told("enforce", "/mcp", &caller(&[]), Some(&sent), json_answer("200"), &[answer.as_bytes()]);
        let Passed::Refused(reply) = told.passed else { panic!("{:?}", told.passed) };
        assert_eq!(reply.reason, "policy_denied", "{answer}");
    }
}

#[test]
fn a_stream_that_serves_a_call_ends_with_a_refused_question() {
    let progress = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n";
    let question = format!("id: 4\ndata: {}\n\n", question(MODEL, &json!({})));
    let stream = format!(": hello\n\nid: 3\ndata:\n\n{progress}{question}{progress}");
    for size in [1, 7, stream.len()] {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        let told = told("enforce", "/mcp", &caller(&[]), Some(&call("find")), events(), &pieces);
        let Passed::On(body) = told.passed else { panic!("{:?}", told.passed) };
        let body = String::from_utf8(body).unwrap();
        let (before, error) = body.split_once("event: message\n").unwrap();
        assert_eq!(before, format!(": hello\n\nid: 3\ndata:\n\n{progress}"));
        let error: Value = serde_json::from_str(error.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&error["id"], &error["error"]["data"]["rule"]), (&json!(7), &json!("no-model")));
        assert_eq!(told.facts.refusal.unwrap().reason, "policy_denied");
    }
}

#[test]
fn a_stream_of_its_own_goes_on_without_a_refused_question() {
    let notice = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
    let question = format!("event: message\nid: 4\ndata: {}\n\n", question(MODEL, &json!({})));
    let resumed = format!("id: 5\ndata: {}\n\n", input_required(&[MODEL]));
    let stream = format!("{notice}{question}{notice}{resumed}{notice}");
    let told = told("enforce", "/mcp", &caller(&[]), None, events(), &[stream.as_bytes()]);
    let Passed::On(body) = told.passed else { panic!("{:?}", told.passed) };
    let body = String::from_utf8(body).unwrap();
    let events: Vec<_> = body.split_inclusive("\n\n").collect();
    assert_eq!((events.len(), events[0], events[2], events[4]), (5, notice, notice, notice));
    assert!(events[1].starts_with("event: message\nid: 4\n") && events[3].starts_with("id: 5\n"), "{body}");
    let data =
        |event: &str| -> Value { serde_json::from_str(event.split_once("data: ").unwrap().1).unwrap() };
    assert_eq!(data(events[1])["method"], "notifications/cancelled");
    assert_eq!(data(events[1])["params"]["requestId"], "s1");
    assert_eq!((&data(events[3])["id"], &data(events[3])["error"]["code"]), (&json!(7), &json!(rpc::DENIED)));
    let refusal = told.facts.refusal.unwrap();
    assert!(refusal.answer_withheld && refusal.rule.as_deref() == Some("no-model"));
}

#[test]
fn a_question_without_an_id_is_judged_as_the_question_that_it_is() {
    for (method, request) in [("POST", Some(call("find"))), ("GET", None)] {
        let question = format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"{MODEL}\"}}\n\n");
        let told =
            told("enforce", "/mcp", &caller(&[]), request.as_deref(), events(), &[question.as_bytes()]);
        let Passed::On(body) = told.passed else { panic!("{:?}", told.passed) };
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("policy_denied") && !body.contains(MODEL), "{method}: {body}");
    }
}

#[test]
fn an_answer_that_can_be_read_in_two_ways_does_not_pass() {
    let cases = [
        (r#"{"jsonrpc":"2.0","id":7,"result":{},"result":{}}"#, "200", false),
        (r#"{"jsonrpc":"2.0","id":"s","Method":"elicitation/create","result":{}}"#, "200", false),
        (r#"{"jsonrpc":"2.0","id":7,"result":{"InputRequests":{}}}"#, "200", false),
        (r#"["elicitation/create"]"#, "200", false),
        ("{", "200", false),
        ("not json", "404", true),
        (r#"{"detail":"Not Found"}"#, "404", true),
        (r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"m"}}"#, "400", true),
        (r#"{"jsonrpc":"2.0","id":7,"result":{"n":18446744073709551615}}"#, "200", true),
    ];
    for (answer, status, passes) in cases {
        let sent = call("find");
        let told =
            told("enforce", "/mcp", &caller(&[]), Some(&sent), json_answer(status), &[answer.as_bytes()]);
        match told.passed {
            Passed::On(body) if passes => assert_eq!(body, answer.as_bytes()),
            Passed::Refused(reply) if !passes => {
                assert_eq!((reply.status, reply.reason), (502, "response_message"), "{answer}");
            }
            passed => panic!("{answer}: {passed:?}"),
        }
    }
    let large = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"blob":"{}"}}}}"#, "x".repeat(3 << 20));
    let sent = call("find");
    let told = told("enforce", "/mcp", &caller(&[]), Some(&sent), json_answer("200"), &[large.as_bytes()]);
    assert!(matches!(told.passed, Passed::On(_)), "limits for requests are not those for answers");
}

#[test]
fn the_server_is_not_told_of_capabilities_that_do_not_pass() {
    let legacy = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18", "capabilities": { "sampling" : {}, "elicitation":{} , "extensions":{"example.com/other":{},"example.com/known":{}}},"clientInfo":{"name":"c","version":"1"}}}"#;
    let narrowed = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18", "capabilities": { "elicitation":{} , "extensions":{"example.com/known":{}}},"clientInfo":{"name":"c","version":"1"}}}"#;
    let modern = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find","arguments":{"capabilities":{"roots":{}}},"_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"roots":{}}}}}"#;
    let modern_narrowed = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find","arguments":{"capabilities":{"roots":{}}},"_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}"#;
    let nothing =
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"elicitation":{}}}}"#;
    let cases = [
        ("enforce", "/narrow", legacy, narrowed),
        ("enforce", "/mcp", legacy, legacy),
        ("observe", "/narrow", legacy, legacy),
        ("enforce", "/narrow", modern, modern_narrowed),
        ("enforce", "/narrow", nothing, nothing),
    ];
    for (mode, path, sent, expected) in cases {
        let told = told(mode, path, &caller(&[]), Some(sent), json_answer("202"), &[]);
        assert_eq!(String::from_utf8(told.upstream).unwrap(), expected, "{mode} {path}");
    }
}

#[test]
fn what_an_earlier_filter_has_read_is_read_again_when_it_has_to_change() {
    let sent = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"roots":{}}}}"#;
    let message = airlock_mcp::parse(sent.as_bytes(), &airlock_mcp::Limits::default()).unwrap();
    for (path, expected) in [("/mcp", sent.to_owned()), ("/narrow", sent.replace(r#"{"roots":{}}"#, "{}"))] {
        let (mut chain, exchange) = memory::chain(vec![Box::new(asking("enforce"))], Options::default());
        exchange.borrow_mut().facts.message = Some(message.clone());
        let mut host = MemoryHost::with_request(with(&[(":path", path)]));
        assert_eq!(host.request(&mut chain, &[sent.as_bytes()], false), Passed::On(expected.into_bytes()));
    }
}

#[test]
fn the_client_is_not_told_of_capabilities_that_do_not_pass() {
    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"capabilities":{"logging":{},"tools":{"listChanged":true},"extensions":{"example.com/other":{}}},"serverInfo":{}}}"#;
    let narrowed = r#"{"jsonrpc":"2.0","id":7,"result":{"capabilities":{"tools":{"listChanged":true},"extensions":{}},"serverInfo":{}}}"#;
    let initialize = r#"{"jsonrpc":"2.0","id":7,"method":"initialize","params":{}}"#;
    let discover = r#"{"jsonrpc":"2.0","id":7,"method":"server/discover","params":{}}"#;
    let find = call("find");
    let cases = [
        ("enforce", "/narrow", Some(initialize), narrowed),
        ("enforce", "/narrow", Some(discover), narrowed),
        ("enforce", "/narrow", None, narrowed),
        ("enforce", "/narrow", Some(find.as_str()), answer),
        ("enforce", "/mcp", Some(initialize), answer),
        ("observe", "/narrow", Some(initialize), answer),
    ];
    for (mode, path, sent, expected) in cases {
        let whole = told(mode, path, &caller(&[]), sent, json_answer("200"), &[answer.as_bytes()]);
        assert_eq!(whole.passed, Passed::On(expected.into()), "{mode} {path} {sent:?}");
        let event = |data: &str| format!("id: 1\ndata: {data}\n\n");
        let stream = told(mode, path, &caller(&[]), sent, events(), &[event(answer).as_bytes()]);
        assert_eq!(stream.passed, Passed::On(event(expected).into()), "{mode} {path} {sent:?}");
    }
}

#[test]
fn what_a_closed_capability_offers_is_refused() {
    for (method, reason) in [
        ("prompts/list", Some("policy_capability")),
        ("logging/setLevel", Some("policy_capability")),
        ("tools/list", None),
        ("subscriptions/listen", None),
    ] {
        let (mut chain, _) = memory::chain(vec![Box::new(asking("enforce"))], Options::default());
        let mut host = MemoryHost::with_request(with(&[(":path", "/narrow")]));
        let passed = host.request(&mut chain, &[question(method, &json!({})).as_bytes()], false);
        match (passed, reason) {
            (Passed::Refused(reply), Some(reason)) => {
                assert_eq!((reply.status, reply.reason), (200, reason), "{method}");
                let error: Value = serde_json::from_slice(&reply.body).unwrap();
                assert_eq!(
                    error["error"]["message"],
                    "policy closes the capability that this call belongs to"
                );
            }
            (Passed::On(_), None) => {}
            (passed, _) => panic!("{method}: {passed:?}"),
        }
    }
}

#[test]
fn observation_notes_a_question_and_lets_it_pass() {
    let answer = input_required(&[MODEL]);
    for (request, headers, answer) in [
        (Some(call("find")), json_answer("200"), answer.clone()),
        (Some(call("find")), events(), format!("data: {answer}\n\n")),
        (None, events(), format!("data: {}\n\n", question(MODEL, &json!({})))),
    ] {
        let told = told("observe", "/mcp", &caller(&[]), request.as_deref(), headers, &[answer.as_bytes()]);
        assert_eq!(told.passed, Passed::On(answer.clone().into()));
        assert!(told.facts.refusal.is_none());
        let noted: Vec<_> = told.facts.observed.iter().map(|refusal| refusal.reason.as_str()).collect();
        assert_eq!(noted, ["policy_denied"], "{answer}");
    }
}

#[test]
fn answers_are_asked_for_in_a_form_that_can_be_judged() {
    let (mut chain, _) = memory::chain(vec![Box::new(asking("enforce"))], Options::default());
    let mut host = MemoryHost::with_request(with(&[("accept-encoding", "gzip")]));
    host.request(&mut chain, &[call("find").as_bytes()], false);
    assert!(!host.upstream.headers.clone().unwrap().contains("accept-encoding"));
    let mut headers = json_answer("200");
    headers.set("content-encoding", b"gzip");
    let Passed::Refused(reply) = host.response(&mut chain, headers, &[b"?"], false) else {
        panic!("it passed")
    };
    assert_eq!(reply.reason, "response_encoding");
}
