use std::fmt::Write;

use crate::Id;
use crate::transport::{Era, ProtocolVersion};

/// The body of a JSON-RPC error answer.
///
/// Without an id the member is `null` (JSON-RPC 2.0 section 5). Such a body belongs under an HTTP error status: there the
/// Python SDK's client (mcp 2.3.0) reads it only with the member, and the TypeScript SDK's clients show it unread. Under
/// status 200 no client takes a `null`.
///
/// `data` becomes an object of strings, and is left out when empty.
pub fn error_body(id: Option<&Id>, code: i64, message: &str, data: &[(&str, &str)]) -> Vec<u8> {
    let mut json = open(id, code, message);
    if !data.is_empty() {
        json.push_str(r#","data":{"#);
        write_members(&mut json, data);
        json.push('}');
    }
    json.push_str("}}");
    json.into_bytes()
}

/// The body of an `UnsupportedProtocolVersionError` (-32022, revision 2026-07-28), which has to list the versions that
/// would do: those that a request can name for itself. Older ones are agreed on by `initialize`. Further members of `data`
/// go before them.
pub fn unsupported_version_body(
    id: Option<&Id>,
    message: &str,
    requested: &str,
    data: &[(&str, &str)],
) -> Vec<u8> {
    let mut json = open(id, -32022, message);
    json.push_str(r#","data":{"#);
    write_members(&mut json, data);
    json.push_str(if data.is_empty() { r#""supported":["# } else { r#","supported":["# });
    let stateless = ProtocolVersion::ALL.into_iter().filter(|version| version.era() == Era::Stateless);
    for (index, version) in stateless.enumerate() {
        if index > 0 {
            json.push(',');
        }
        write_text(&mut json, version.as_str());
    }
    json.push_str(r#"],"requested":"#);
    write_text(&mut json, requested);
    json.push_str("}}}");
    json.into_bytes()
}

fn write_members(json: &mut String, members: &[(&str, &str)]) {
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write_text(json, name);
        json.push(':');
        write_text(json, value);
    }
}

/// Appends a JSON string.
pub(crate) fn write_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            // Line separators are valid JSON, yet end a line for some readers of logs and event streams.
            '\0'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => write_escape(json, character),
            other => json.push(other),
        }
    }
    json.push('"');
}

fn write_escape(json: &mut String, character: char) {
    let written = write!(json, "\\u{:04x}", u32::from(character));
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

fn open(id: Option<&Id>, code: i64, message: &str) -> String {
    let mut json = String::from(r#"{"jsonrpc":"2.0","id":"#);
    match id {
        Some(id) => json.push_str(&id.to_json()),
        None => json.push_str("null"),
    }
    json.push_str(r#","error":{"code":"#);
    json.push_str(&code.to_string());
    json.push_str(r#","message":"#);
    write_text(&mut json, message);
    json
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_answer_says_what_and_for_whom() {
        let id = Id::Text("a\"\\\u{1}\u{2028}é".into());
        let body =
            error_body(Some(&id), -32600, "line\nbreak", &[("reason", "rpc_shape"), ("rule", "\"r\"")]);
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({"jsonrpc": "2.0", "id": "a\"\\\u{1}\u{2028}é", "error": {
                "code": -32600, "message": "line\nbreak", "data": {"reason": "rpc_shape", "rule": "\"r\""}}})
        );
    }

    #[test]
    fn an_unknown_id_is_null() {
        let body = error_body(None, -32700, "no", &[]);
        assert_eq!(body, br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#);
    }

    #[test]
    fn an_unsupported_version_is_answered_with_the_supported_ones() {
        let id = Id::Number("7".into());
        for (data, reason) in [(&[] as &[_], Value::Null), (&[("reason", "old")], json!("old"))] {
            let body = unsupported_version_body(Some(&id), "no", "2099-01-01", data);
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body["id"], &body["error"]["code"]), (&json!(7), &json!(-32022)));
            let data = &body["error"]["data"];
            assert_eq!((&data["reason"], &data["requested"]), (&reason, &json!("2099-01-01")));
            assert_eq!(data["supported"], json!(["2026-07-28"]));
        }
    }
}
