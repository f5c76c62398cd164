//! Which JSON is one MCP message, and what it means.

use airlock_mcp::{Class, Id, Kind, Limits, Message, Method, ParseErrorKind, Sender, batch, parse_answer};

use crate::{parse, verdict};

fn read(body: &str) -> Message {
    parse(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn slice(body: &str, span: &Option<airlock_mcp::Span>) -> String {
    body.get(span.clone().unwrap()).unwrap().to_owned()
}

#[test]
fn a_tool_call_is_read_with_its_spans() {
    let body = r#" {"params" : {"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},
        "arguments" : {"to": "a@example.com"} , "name":"mail\u002esend"} ,"method":"tools\/call",
        "id":"r-\u00e9","jsonrpc":"2.0"} "#;
    let message = read(body);
    assert_eq!(message.kind, Kind::Request);
    assert_eq!(message.id, Some(Id::Text("r-é".into())));
    assert_eq!(message.method.as_deref(), Some("tools/call"));
    assert_eq!(message.name.as_deref(), Some("mail.send"));
    assert_eq!(message.protocol_version.as_deref(), Some("2026-07-28"));
    assert_eq!(slice(body, &message.arguments), r#"{"to": "a@example.com"}"#);
    assert!(slice(body, &message.params).starts_with(r#"{"_meta""#));
    assert!(slice(body, &message.params).ends_with(r#"send"}"#));
    assert_eq!((message.class(), message.is_tool_call()), (Class::Write, true));
    assert_eq!(message.length, body.len());
    let travelled: Message = serde_json::from_str(&serde_json::to_string(&message).unwrap()).unwrap();
    assert_eq!(travelled, message);
}

#[test]
fn each_kind_of_message_is_told_from_the_others() {
    for (body, kind) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Notification),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Kind::Response),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}"#, Kind::Error),
        (r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#, Kind::Error),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#, Kind::Error),
    ] {
        let message = read(body);
        assert_eq!(message.kind, kind, "{body}");
        assert_eq!(message.class(), Class::Session, "{body}");
    }
    let body = r#"{"jsonrpc":"2.0","id":0,"result":{"a":[1]}}"#;
    assert_eq!(slice(body, &read(body).result), r#"{"a":[1]}"#);
}

#[test]
fn a_tool_call_without_an_id_is_still_a_tool_call() {
    let message = read(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"rm"}}"#);
    assert_eq!(
        (message.kind, message.class(), message.is_tool_call()),
        (Kind::Notification, Class::Write, true)
    );
    assert_eq!(message.name.as_deref(), Some("rm"));
}

#[test]
fn what_a_call_names_comes_from_the_member_that_its_method_defines() {
    let params = r#"{"name":"n","uri":"file:///u","taskId":"t","arguments":{}}"#;
    for (method, name, class) in [
        ("tools/call", Some("n"), Class::Write),
        ("prompts/get", Some("n"), Class::ReadData),
        ("resources/read", Some("file:///u"), Class::ReadData),
        ("resources/subscribe", Some("file:///u"), Class::Stream),
        ("resources/unsubscribe", Some("file:///u"), Class::Stream),
        ("tasks/get", Some("t"), Class::ReadData),
        ("tasks/result", Some("t"), Class::ReadData),
        ("tasks/update", Some("t"), Class::Write),
        ("tasks/cancel", Some("t"), Class::Write),
        ("tasks/list", None, Class::ReadMeta),
        ("tools/list", None, Class::ReadMeta),
        ("completion/complete", None, Class::ReadData),
        ("subscriptions/listen", None, Class::Stream),
        ("server/discover", None, Class::ReadMeta),
        ("logging/setLevel", None, Class::ReadData),
        ("Tools/call", None, Class::Unknown),
        ("tools/call ", None, Class::Unknown),
        ("sampling/createMessage", None, Class::ServerPull),
        ("notifications/message", None, Class::Unknown),
    ] {
        let message = read(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#));
        assert_eq!((message.name.as_deref(), message.class()), (name, class), "{method}");
    }
}

#[test]
fn a_method_that_the_claimed_version_has_no_longer_needs_no_name() {
    for (method, version, accepted) in [
        ("resources/subscribe", "2026-07-28", true),
        ("resources/subscribe", "2025-11-25", false),
        ("resources/subscribe", "2099-01-01", false),
        ("resources/read", "2026-07-28", false),
        ("tools/call", "2026-07-28", false),
    ] {
        let meta = format!(r#"{{"io.modelcontextprotocol/protocolVersion":"{version}"}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"_meta":{meta}}}}}"#);
        assert_eq!(parse(&body).is_ok(), accepted, "{method} {version}");
    }
}

#[test]
fn the_claimed_version_is_the_one_in_meta_or_that_initialize_offers() {
    let in_meta = r#""_meta":{"x":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    for (method, params, expected) in [
        ("tools/list", in_meta, Some("2026-07-28")),
        ("tools/list", r#""protocolVersion":"2025-11-25""#, None),
        ("initialize", r#""protocolVersion":"2025-11-25""#, Some("2025-11-25")),
        ("initialize", in_meta, Some("2026-07-28")),
        ("initialize", "", None),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        assert_eq!(read(&body).protocol_version.as_deref(), expected, "{body}");
    }
    let two = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25",{in_meta}}}}}"#
    );
    assert_eq!(verdict(two), "params_shape");
}

#[test]
fn an_id_is_a_string_or_an_integer_with_one_spelling() {
    for (id, expected) in [
        ("0", Some("0")),
        ("-7", Some("-7")),
        ("9007199254740992", Some("9007199254740992")),
        ("-9007199254740992", Some("-9007199254740992")),
        (r#""""#, Some(r#""""#)),
        (r#""a\u0022b""#, Some(r#""a\"b""#)),
        ("18446744073709552000", None),
        ("-0", None),
        ("1.0", None),
        ("1e2", None),
        ("null", None),
        ("true", None),
        ("[1]", None),
        ("{}", None),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let read = parse(&body).map(|message| message.id.unwrap().to_json());
        assert_eq!(read.as_deref().ok(), expected, "{id}");
        if let Err(error) = read {
            assert_eq!((error.reason(), error.id), ("rpc_id", None), "{id}");
        }
    }
    let long = |length| format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(length));
    assert_eq!((verdict(long(256)), verdict(long(257))), ("ok", "rpc_id"));
}

#[test]
fn json_that_is_no_acceptable_message_is_refused_for_its_reason() {
    for (body, expected, code) in [
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "rpc_batch", -32600),
        ("[]", "rpc_batch", -32600),
        ("1", "rpc_shape", -32600),
        (r#""ping""#, "rpc_shape", -32600),
        ("null", "rpc_shape", -32600),
        ("{}", "rpc_version", -32600),
        (r#"{"id":1,"method":"ping"}"#, "rpc_version", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "rpc_version", -32600),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, "rpc_version", -32600),
        (r#"{"jsonrpc":"2.0"}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"params":{}}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":"text"}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"error":"text"}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}"#, "rpc_shape", -32600),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "rpc_id", -32600),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, "rpc_id", -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "rpc_id", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "rpc_method", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, "rpc_method", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping\u0000"}"#, "rpc_method", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, "params_shape", -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, "params_shape", -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":1}}"#, "params_shape", -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, "params_shape", -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, "params_shape", -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1}}"#, "params_shape", -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""}}"#, "params_name", -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\nb"}}"#, "params_name", -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
            "params_shape",
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":null}}"#,
            "params_shape",
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"name":"a"}}"#,
            "params_shape",
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/cancel","params":{}}"#, "params_shape", -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}}"#,
            "params_shape",
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping""#, "json_syntax", -32700),
    ] {
        let error = parse(body).expect_err(body);
        assert_eq!((error.reason(), error.code()), (expected, code), "{body}");
        assert!(error.offset <= body.len(), "{body}");
    }
}

#[test]
fn names_and_methods_have_a_longest_length() {
    let with_method = |length| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(length));
    let with_name = |method: &str, member: &str, length| {
        let name = "n".repeat(length);
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"{member}":"{name}"}}}}"#)
    };
    assert_eq!((verdict(with_method(256)), verdict(with_method(257))), ("ok", "rpc_method"));
    for (method, member, limit) in [("tools/call", "name", 256), ("resources/read", "uri", 8192)] {
        assert_eq!(verdict(with_name(method, member, limit)), "ok", "{method}");
        assert_eq!(verdict(with_name(method, member, limit + 1)), "params_name", "{method}");
    }
}

#[test]
fn members_that_lenient_parsers_take_for_known_ones_are_refused() {
    for name in [
        "Method",
        "METHOD",
        "JSONRPC",
        "Id",
        "iD",
        "Params",
        "param\\u017f",
        "Result",
        "Error",
        "m\\u0045thod",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{name}":{{}}}}"#);
        assert_eq!(verdict(body), "rpc_member_case", "{name}");
    }
    for name in ["Name", "Arguments", "argument\u{17f}", "URI", "_META", "TaskId", "protocolversion"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","{name}":{{}}}}}}"#
        );
        assert_eq!(verdict(body), "params_member_case", "{name}");
    }
    let arguments = r#"{"Name":1,"Method":2,"name":3,"_META":4}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","arguments":{arguments}}}}}"#
    );
    assert_eq!(verdict(body), "ok", "what the arguments are called is the tool's business");
}

#[test]
fn a_refusal_carries_the_id_when_that_is_certain() {
    let seven = Some(Id::Number("7".into()));
    for (body, kind, id) in [
        (r#"{"id":7,"jsonrpc":"1.0","method":"ping"}"#, ParseErrorKind::RpcVersion, &seven),
        (r#"{"Method":"x","id":7,"jsonrpc":"2.0"}"#, ParseErrorKind::RpcMemberCase, &seven),
        (
            r#"{"id":7,"jsonrpc":"2.0","method":"ping","params":{"a":1,"a":2}}"#,
            ParseErrorKind::JsonDuplicateKey,
            &seven,
        ),
        (r#"{"id":7,"jsonrpc":"2.0","method""#, ParseErrorKind::JsonSyntax, &seven),
        (r#"{"jsonrpc":"2.0","method",}"#, ParseErrorKind::JsonSyntax, &None),
        (r#"{"id":7,"jsonrpc":"2.0","id":8,"method":"ping"}"#, ParseErrorKind::JsonDuplicateKey, &None),
        (r#"{"id":7,"jsonrpc":"2.0","\u0069d":8,"method":"ping"}"#, ParseErrorKind::JsonDuplicateKey, &None),
        (r#"[{"id":7}]"#, ParseErrorKind::RpcBatch, &None),
    ] {
        let error = parse(body).expect_err(body);
        assert_eq!((error.kind, &error.id), (kind, id), "{body}");
    }
}

#[test]
fn json_errors_come_before_message_errors() {
    assert_eq!(verdict(r#"{"Method":"x","jsonrpc":"1.0","a":01}"#), "json_number");
    assert_eq!(verdict(r#"[{"a":1,"a":2}]"#), "json_duplicate_key");
}

#[test]
fn a_result_says_what_it_asks_of_the_client() {
    let answer = |result: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        parse_answer(body.as_bytes(), &Limits::default())
    };
    let message = answer(
        r#"{"resultType":"input_required","requestState":"s","inputRequests":{
            "who":{"method":"elicitation/create","params":{"method":"x"}},"m\u006fre":{"params":{},"method":"roots/list"}}}"#,
    )
    .unwrap();
    let asked: Vec<_> =
        message.input_requests.iter().map(|asked| (asked.key.as_str(), asked.method.as_str())).collect();
    assert_eq!(asked, [("who", "elicitation/create"), ("more", "roots/list")]);
    assert_eq!(message.result_type.as_deref(), Some("input_required"));
    assert_eq!((message.kind, message.method), (Kind::Response, None));

    for other in [
        r#"{"jsonrpc":"2.0","method":"notifications/tasks","params":{"inputRequests":{"k":{"method":"elicitation/create"}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"m","data":{"elicitations":[]}}}"#,
    ] {
        let message = parse_answer(other.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(message.input_requests[0].method, "elicitation/create", "{other}");
    }

    let message = answer(r#"{"content":[],"structuredContent":{"id":18446744073709551615}}"#).unwrap();
    assert!(message.input_requests.is_empty() && message.result_type.is_none());
    for (result, kind) in [
        (r#"{"inputRequests":{"a":{"params":{}}}}"#, ParseErrorKind::RpcMethod),
        (r#"{"inputRequests":{"a":"elicitation/create"}}"#, ParseErrorKind::RpcMethod),
        (r#"{"inputRequests":{"a":{"method":7}}}"#, ParseErrorKind::RpcMethod),
        (r#"{"inputRequests":[]}"#, ParseErrorKind::RpcShape),
        (r#"{"inputRequests":{"a":{"method":"x","Method":"y"}}}"#, ParseErrorKind::RpcMemberCase),
        (
            r#"{"inputRequests":{"a":{"method":"x"},"\u0061":{"method":"y"}}}"#,
            ParseErrorKind::JsonDuplicateKey,
        ),
        (r#"{"InputRequests":{}}"#, ParseErrorKind::ParamsMemberCase),
        (r#"{"capabilities":7}"#, ParseErrorKind::RpcShape),
        (r#"{"protocolVersion":7}"#, ParseErrorKind::ParamsShape),
    ] {
        assert_eq!(answer(result).unwrap_err().kind, kind, "{result}");
    }
}

#[test]
fn capabilities_stand_where_each_message_declares_them() {
    for (body, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"roots":{}}}}"#,
            r#"{"roots":{}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"a":1}}}}"#,
            r#"{"a":1}"#,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"capabilities":7}}"#, ""),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{}}}}"#, r#"{"tools":{}}"#),
    ] {
        let message = parse_answer(body.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(message.capabilities.map_or("", |span| body.get(span).unwrap()), expected);
    }
}

#[test]
fn an_error_has_an_integer_code() {
    let error = |error: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
        parse_answer(body.as_bytes(), &Limits::default()).map(|message| message.error_code).ok()
    };
    assert_eq!(error(r#"{"code":-32601,"message":"no"}"#), Some(Some(-32601)));
    for malformed in [
        r#"{"message":"no"}"#,
        r#"{"code":"1"}"#,
        r#"{"code":1.5}"#,
        r#"{"code":-0}"#,
        r#"{"code":1,"Code":2}"#,
        "7",
    ] {
        assert_eq!(error(malformed), None, "{malformed}");
    }
}

#[test]
fn a_batch_gives_the_place_of_every_message() {
    let limits = Limits { batch: 2, ..Limits::default() };
    let body = r#" [ {"a":"]"} , [1] ] "#;
    let spans = batch(body.as_bytes(), &limits).unwrap();
    assert_eq!(
        spans.into_iter().map(|span| body.get(span).unwrap()).collect::<Vec<_>>(),
        [r#"{"a":"]"}"#, "[1]"]
    );
    for (body, kind) in [
        ("[]", ParseErrorKind::RpcShape),
        ("{}", ParseErrorKind::RpcShape),
        ("[1,2,3]", ParseErrorKind::RpcBatch),
        ("[1", ParseErrorKind::JsonSyntax),
        ("[1,]", ParseErrorKind::JsonSyntax),
        ("[1]]", ParseErrorKind::JsonTrailingBytes),
    ] {
        assert_eq!(batch(body.as_bytes(), &limits).unwrap_err().kind, kind, "{body}");
    }
}

#[test]
fn every_method_is_known_once() {
    for (index, method) in Method::ALL.iter().enumerate() {
        assert_eq!(Method::of(method.name), Some(method), "{}", method.name);
        assert!(Method::ALL[..index].iter().all(|other| other.name != method.name), "{}", method.name);
        assert!(method.until.is_none_or(|until| until >= method.since), "{}", method.name);
        let from_client = Class::of(method.name);
        match method.sender {
            Sender::Server if method.class == Class::Session => assert_eq!(from_client, Class::Unknown),
            _ => assert_eq!(from_client, method.class),
        }
    }
    assert_eq!(Method::of("tools/calls"), None);
}
