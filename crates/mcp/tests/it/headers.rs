//! Agreement of headers and body.

use airlock_mcp::transport::{
    Era, METHOD, NAME, PROTOCOL_VERSION, ProtocolVersion, accepts, allows_batch, check_headers,
    decode_header_value, is_event_stream, is_json, is_session_id,
};

use crate::parse;

const MODERN: &str = "2026-07-28";
const LAST_HANDSHAKE: &str = "2025-11-25";

fn request(method: &str, version: Option<&str>, params: &str) -> String {
    let meta = version.map_or("{}".to_owned(), |version| {
        let capabilities = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
        format!(r#"{{"io.modelcontextprotocol/protocolVersion":"{version}",{capabilities}}}"#)
    });
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}"_meta":{meta}}}}}"#)
}

fn checked(body: &str, headers: [Option<&str>; 3]) -> Result<(), (&'static str, &'static str, i64)> {
    let message = parse(body).unwrap();
    let [version, method, name] = headers;
    check_headers(&message, version, method, name)
        .map_err(|error| (error.reason(), error.header, error.code()))
}

#[test]
fn a_stateless_request_needs_headers_that_agree_with_it() {
    let call = request("tools/call", Some(MODERN), r#""name":"get","#);
    let list = request("tools/list", Some(MODERN), "");
    let mismatch = |header| Err(("header_mismatch", header, -32020));
    let missing = |header| Err(("header_missing", header, -32020));
    let version = Some(MODERN);
    for (body, headers, expected) in [
        (&call, [version, Some("tools/call"), Some("get")], Ok(())),
        (&call, [version, Some("tools/call"), Some("=?base64?Z2V0?=")], Ok(())),
        (&list, [version, Some("tools/list"), None], Ok(())),
        (&call, [None, Some("tools/call"), Some("get")], missing(PROTOCOL_VERSION)),
        (&call, [version, None, Some("get")], missing(METHOD)),
        (&call, [version, Some("tools/call"), None], missing(NAME)),
        (&call, [Some(LAST_HANDSHAKE), Some("tools/call"), Some("get")], mismatch(PROTOCOL_VERSION)),
        (&call, [Some("2099-01-01"), Some("tools/call"), Some("get")], mismatch(PROTOCOL_VERSION)),
        (&call, [Some(""), Some("tools/call"), Some("get")], mismatch(PROTOCOL_VERSION)),
        (&call, [version, Some("tools/list"), Some("get")], mismatch(METHOD)),
        (&call, [version, Some("Tools/Call"), Some("get")], mismatch(METHOD)),
        (&call, [version, Some("tools/call,tools/call"), Some("get")], mismatch(METHOD)),
        (&call, [version, Some("tools/call"), Some("Get")], mismatch(NAME)),
        (&call, [version, Some("tools/call"), Some("")], mismatch(NAME)),
        (&call, [version, Some("tools/call"), Some("=?base64?Z2V0?")], mismatch(NAME)),
        (&call, [version, Some("tools/call"), Some("=?base64?!!?=")], mismatch(NAME)),
        (&list, [version, Some("tools/list"), Some("get")], mismatch(NAME)),
    ] {
        assert_eq!(checked(body, headers), expected, "{headers:?}");
    }
    for (method, params) in [("resources/read", r#""uri":"file:///a","#), ("prompts/get", r#""name":"p","#)] {
        let body = request(method, version, params);
        assert_eq!(checked(&body, [version, Some(method), None]), missing(NAME), "{method}");
    }
}

#[test]
fn a_stateless_request_says_what_its_client_can_do() {
    let body = request("tools/list", Some(MODERN), "").replace("clientCapabilities", "other");
    let expected = Err(("client_capabilities_missing", PROTOCOL_VERSION, -32602));
    assert_eq!(checked(&body, [Some(MODERN), Some("tools/list"), None]), expected);
    let notification = body.replace(r#""id":1,"#, "");
    assert_eq!(checked(&notification, [Some(MODERN), Some("tools/list"), None]), Ok(()));
    let body = request("tools/list", Some(LAST_HANDSHAKE), "").replace("clientCapabilities", "other");
    assert_eq!(checked(&body, [Some(LAST_HANDSHAKE), None, None]), Ok(()));
}

#[test]
fn batches_belong_to_one_version() {
    for (header, allowed) in [
        (None, true),
        (Some("2025-03-26"), true),
        (Some("2024-11-05"), false),
        (Some("2025-06-18"), false),
        (Some(LAST_HANDSHAKE), false),
        (Some(MODERN), false),
        (Some(""), false),
    ] {
        assert_eq!(allows_batch(header), allowed, "{header:?}");
    }
}

#[test]
fn media_ranges_take_what_they_name() {
    for (accept, taken) in [
        ("application/json, text/event-stream", [true, true]),
        ("application/json;q=0.5", [true, false]),
        ("Text/Event-Stream", [false, true]),
        ("*/*", [true, true]),
        ("application/*;q=0.1 , text/html", [true, false]),
        ("text/*", [false, true]),
        ("application/json;q=0, text/event-stream; q=0.0", [false, false]),
        ("text/html", [false, false]),
        ("application/jsonx", [false, false]),
        ("", [false, false]),
    ] {
        assert_eq!(
            ["application/json", "text/event-stream"].map(|kind| accepts(accept, kind)),
            taken,
            "{accept}"
        );
    }
}

#[test]
fn a_stateless_header_needs_a_stateless_body() {
    let body = request("tools/list", None, "");
    assert_eq!(
        checked(&body, [Some(MODERN), Some("tools/list"), None]),
        Err(("protocol_version_missing", PROTOCOL_VERSION, -32602))
    );
}

#[test]
fn an_unknown_version_is_not_supported_once_both_agree_on_it() {
    let unsupported = Err(("protocol_version_unsupported", PROTOCOL_VERSION, -32022));
    let body = request("tools/list", Some("2099-01-01"), "");
    assert_eq!(checked(&body, [Some("2099-01-01"), Some("tools/list"), None]), unsupported);
    assert_eq!(checked(&body, [None, None, None]), unsupported);
    let body = request("tools/list", None, "");
    for version in ["2099-01-01", "", "2025-11-25 ", "2025-11-25, 2026-07-28"] {
        assert_eq!(checked(&body, [Some(version), None, None]), unsupported, "{version}");
    }
}

#[test]
fn the_handshake_era_needs_no_headers_but_refuses_wrong_ones() {
    let call = request("tools/call", None, r#""name":"get","#);
    for (headers, expected) in [
        ([None, None, None], Ok(())),
        ([Some(LAST_HANDSHAKE), None, None], Ok(())),
        ([Some(LAST_HANDSHAKE), Some("tools/call"), Some("get")], Ok(())),
        ([Some(LAST_HANDSHAKE), Some("tools/list"), None], Err(("header_mismatch", METHOD, -32020))),
        ([None, None, Some("put")], Err(("header_mismatch", NAME, -32020))),
    ] {
        assert_eq!(checked(&call, headers), expected, "{headers:?}");
    }
}

#[test]
fn the_version_that_initialize_offers_is_a_proposal() {
    let body = |version: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}"}}}}"#
        )
    };
    for (offered, header, expected) in [
        (LAST_HANDSHAKE, None, Ok(())),
        ("2099-01-01", None, Ok(())),
        (MODERN, None, Ok(())),
        (LAST_HANDSHAKE, Some("2025-06-18"), Ok(())),
        (LAST_HANDSHAKE, Some(MODERN), Err(("header_mismatch", PROTOCOL_VERSION, -32020))),
    ] {
        assert_eq!(checked(&body(offered), [header, None, None]), expected, "{offered} {header:?}");
    }
}

#[test]
fn notifications_and_answers_need_no_stateless_headers_but_wrong_ones_are_refused() {
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    for body in [notification, answer] {
        assert_eq!(checked(body, [Some(MODERN), None, None]), Ok(()));
        let wrong = [Some(MODERN), Some("tools/call"), None];
        assert_eq!(checked(body, wrong), Err(("header_mismatch", METHOD, -32020)));
    }
}

#[test]
fn header_values_are_decoded_strictly() {
    for (value, expected) in [
        ("plain", Ok("plain")),
        ("", Ok("")),
        ("=?base64?w6k=?=", Ok("é")),
        ("=?base64??=", Ok("")),
        ("=?BASE64?w6k=?=", Ok("=?BASE64?w6k=?=")),
        ("=?base64?=", Ok("=?base64?=")),
        ("x=?base64?w6k=?=", Ok("x=?base64?w6k=?=")),
        ("=?base64?w6k?=", Err(())),
        ("=?base64?w6l=?=", Err(())),
        ("=?base64?w6k= ?=", Err(())),
        ("=?base64?_-8=?=", Err(())),
        ("=?base64?/w==?=", Err(())),
    ] {
        assert_eq!(decode_header_value(value).as_deref().map_err(|_| ()), expected, "{value}");
    }
}

#[test]
fn versions_are_known_by_their_exact_name() {
    for version in ProtocolVersion::ALL {
        assert_eq!(ProtocolVersion::parse(version.as_str()), Some(version));
        assert_eq!(serde_json::to_value(version).unwrap(), version.as_str());
        let stateless = version == ProtocolVersion::V2026_07_28;
        assert_eq!(version.era(), if stateless { Era::Stateless } else { Era::Handshake });
    }
    assert_eq!(ProtocolVersion::parse("2025-11-26"), None);
    assert_eq!(ProtocolVersion::parse(""), None);
}

#[test]
fn media_types_are_compared_without_case_and_parameters() {
    for (value, json, stream) in [
        ("application/json", true, false),
        ("Application/JSON; charset=utf-8", true, false),
        (" application/json ;charset=utf-8", true, false),
        ("text/event-stream", false, true),
        ("TEXT/Event-Stream;charset=UTF-8", false, true),
        ("application/jsonx", false, false),
        ("application/json, text/plain", false, false),
        ("text/plain; application/json", false, false),
        ("", false, false),
    ] {
        assert_eq!((is_json(value), is_event_stream(value)), (json, stream), "{value}");
    }
}

#[test]
fn session_ids_are_visible_ascii_of_bounded_length() {
    for (value, expected) in [
        ("!".to_owned(), true),
        ("~".repeat(256), true),
        ("0b7c-ÿ".to_owned(), false),
        (String::new(), false),
        ("a".repeat(257), false),
        ("a b".to_owned(), false),
        ("a\u{7f}".to_owned(), false),
        ("a\nb".to_owned(), false),
    ] {
        assert_eq!(is_session_id(&value), expected, "{value:?}");
    }
}
