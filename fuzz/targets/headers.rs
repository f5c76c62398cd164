//! Header values decode to what was encoded, and no message and headers make the comparison panic.

#![no_main]

use airlock_mcp::{Limits, parse, transport};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let encoded = transport::encode_header_value(text);
    assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    assert_eq!(transport::decode_header_value(&encoded).unwrap(), text);
    if let Ok(decoded) = transport::decode_header_value(text) {
        let encoded = transport::encode_header_value(&decoded);
        assert_eq!(transport::decode_header_value(&encoded).unwrap(), decoded);
    }
    let _ = (transport::is_json(text), transport::is_event_stream(text), transport::is_session_id(text));

    let mut lines = text.splitn(4, '\n');
    let mut header = || lines.next().filter(|value| !value.is_empty());
    let headers = (header(), header(), header());
    let Some(body) = lines.next() else { return };
    if let Ok(message) = parse(body.as_bytes(), &Limits::default()) {
        let verdict = transport::check_headers(&message, headers.0, headers.1, headers.2);
        if verdict.is_ok()
            && let Some(method) = headers.1
        {
            assert_eq!(message.method.as_deref(), Some(method));
        }
        if verdict.is_ok()
            && let Some(name) = headers.2
        {
            assert_eq!(message.name.as_deref(), Some(transport::decode_header_value(name).unwrap().as_ref()));
        }
    }
});
