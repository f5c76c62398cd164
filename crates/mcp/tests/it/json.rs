//! JSON that is refused and JSON that is not, put where a tool's arguments would be.

use airlock_mcp::{Limits, ParseErrorKind};

use crate::{parse, verdict};

fn with_argument(value: &[u8]) -> Vec<u8> {
    let before = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":"#;
    [before, value, b"}}}"].concat()
}

fn with_string(content: &[u8]) -> Vec<u8> {
    with_argument(&[b"\"", content, b"\""].concat())
}

#[test]
fn malformed_json_is_refused_for_its_reason() {
    let cases: &[(&[u8], &str)] = &[
        // Arrays and objects.
        (b"[1 true]", "json_syntax"),
        (b"[,1]", "json_syntax"),
        (b"[1,,2]", "json_syntax"),
        (b"[1,]", "json_syntax"),
        (b"[", "json_syntax"),
        (b"]", "json_syntax"),
        (b"[1}", "json_syntax"),
        (b"{]", "json_syntax"),
        (b"[\"\":1]", "json_syntax"),
        (b"{\"a\"}", "json_syntax"),
        (b"{\"a\" \"b\"}", "json_syntax"),
        (b"{\"a\"::1}", "json_syntax"),
        (b"{\"a\":1,}", "json_syntax"),
        (b"{,\"a\":1}", "json_syntax"),
        (b"{\"a\":1,,\"b\":2}", "json_syntax"),
        (b"{a:1}", "json_syntax"),
        (b"{'a':1}", "json_syntax"),
        (b"{1:1}", "json_syntax"),
        (b"{null:1}", "json_syntax"),
        (b"{\"a\":}", "json_syntax"),
        (b"{\"a\":1 \"b\":2}", "json_syntax"),
        (b"", "json_syntax"),
        (b"*", "json_syntax"),
        // Comments, white space that JSON does not have, bytes outside strings.
        (b"/**/1", "json_syntax"),
        (b"1//x\n", "json_syntax"),
        (b"#1", "json_syntax"),
        (b"[\x0b1]", "json_syntax"),
        (b"[\x0c1]", "json_syntax"),
        (b"\xc2\xa01", "json_syntax"),
        (b"\xe2\x81\xa01", "json_syntax"),
        (b"\xef\xbb\xbf1", "json_syntax"),
        (b"\xff", "json_syntax"),
        (b"\0", "json_syntax"),
        // Literals.
        (b"nul", "json_syntax"),
        (b"nulll", "json_syntax"),
        (b"True", "json_syntax"),
        (b"tru", "json_syntax"),
        (b"fals", "json_syntax"),
        (b"undefined", "json_syntax"),
        (b"NaN", "json_syntax"),
        (b"Infinity", "json_syntax"),
        (b"-Infinity", "json_number"),
        // Numbers.
        (b"01", "json_number"),
        (b"-01", "json_number"),
        (b"00", "json_number"),
        (b"-", "json_number"),
        (b"--1", "json_number"),
        (b"+1", "json_syntax"),
        (b".5", "json_syntax"),
        (b"-.5", "json_number"),
        (b"1.", "json_number"),
        (b"1.e1", "json_number"),
        (b"1e", "json_number"),
        (b"1e+", "json_number"),
        (b"1E-", "json_number"),
        (b"1ee1", "json_number"),
        (b"1.2.3", "json_syntax"),
        (b"0x1F", "json_syntax"),
        (b"1_000", "json_syntax"),
        (b"1a", "json_syntax"),
        (b"1 2", "json_syntax"),
        (b"\xef\xbc\x91", "json_syntax"),
        (b"1e309", "json_number"),
        (b"-1e400", "json_number"),
        (b"1e999999999999999999999", "json_number"),
    ];
    for (value, expected) in cases {
        assert_eq!(verdict(with_argument(value)), *expected, "{}", String::from_utf8_lossy(value));
    }
}

#[test]
fn malformed_strings_are_refused_for_their_reason() {
    let cases: &[(&[u8], &str)] = &[
        (b"\n", "json_syntax"),
        (b"\t", "json_syntax"),
        (b"a\0b", "json_syntax"),
        (b"a\x1fb", "json_syntax"),
        (b"\\x41", "json_syntax"),
        (b"\\a", "json_syntax"),
        (b"\\'", "json_syntax"),
        (b"\\\n", "json_syntax"),
        (b"\\u", "json_syntax"),
        (b"\\u12", "json_syntax"),
        (b"\\u12G4", "json_syntax"),
        (b"\\u+123", "json_syntax"),
        (b"\\u 123", "json_syntax"),
        (b"\\U0041", "json_syntax"),
        (b"\\\xf0\x9f\x98\x80", "json_syntax"),
        (b"\\ud800", "json_surrogate"),
        (b"\\udc00", "json_surrogate"),
        (b"\\ud800 more text", "json_surrogate"),
        (b"\\ud800\\n and more", "json_surrogate"),
        (b"\\ud800\\ud800", "json_surrogate"),
        (b"\\ud800\\u0041", "json_surrogate"),
        (b"\\udc00\\ud800", "json_surrogate"),
        (b"\\ud800\\udcZZ", "json_surrogate"),
        (b"\xff", "json_invalid_utf8"),
        (b"\x80", "json_invalid_utf8"),
        (b"\xc3", "json_invalid_utf8"),
        (b"\xc0\xaf", "json_invalid_utf8"),
        (b"\xe0\x80\xaf", "json_invalid_utf8"),
        (b"\xf0\x80\x80\xaf", "json_invalid_utf8"),
        (b"\xed\xa0\x80", "json_invalid_utf8"),
        (b"\xf4\x90\x80\x80", "json_invalid_utf8"),
        (b"\xf8\x88\x80\x80\x80", "json_invalid_utf8"),
        (b"\xe6\x97", "json_invalid_utf8"),
        (b"caf\xe9", "json_invalid_utf8"),
    ];
    for (content, expected) in cases {
        assert_eq!(verdict(with_string(content)), *expected, "{}", content.escape_ascii());
        let name = [b"{\"".as_slice(), content, b"\":1}"].concat();
        assert_eq!(verdict(with_argument(&name)), *expected, "as a name: {}", content.escape_ascii());
    }
    assert_eq!(verdict(&with_argument(b"\"open")[..]), "json_syntax");
    assert_eq!(verdict(br#"{"jsonrpc":"2.0\"#), "json_syntax");
}

#[test]
fn valid_json_passes() {
    let cases: &[&[u8]] = &[
        b"{}",
        b"[]",
        b" [ ] ",
        b"[[[]],{}]",
        b"{\"\":0}",
        b"{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}",
        b"\t\r\n {\t\"a\"\r:\n1 ,\"b\" : 2 }\n",
        b"[0,-0,0.0,-1,1e5,1E+5,1e-5,123.456e78,-0.0e-0,1.7976931348623157e308]",
        b"[true,false,null]",
        b"\"\"",
        b"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\uD83D\\uDE00\\udbff\\udfff\\uFFFF\"",
        "\"é ह € 한 𐍈 \u{7f} \u{80} \u{2028} \u{feff} \u{ffff} \u{10ffff}\"".as_bytes(),
        b"\"/* no comment */ // \"",
    ];
    for value in cases {
        assert_eq!(verdict(with_argument(value)), "ok", "{}", String::from_utf8_lossy(value));
    }
}

/// JavaScript rounds what Python and Rust keep, and a call must not be two calls.
#[test]
fn a_number_that_readers_would_round_differently_is_refused() {
    let zeros = |count| "0".repeat(count);
    for (number, expected) in [
        ("9007199254740991", "ok"),
        ("9007199254740992", "ok"),
        ("9007199254740993", "json_number"),
        ("-9007199254740992", "ok"),
        ("-9007199254740993", "json_number"),
        ("9007199254740994", "ok"),
        ("999999999999999", "ok"),
        ("1000000000000000128", "json_number"),
        ("1000000000000000100", "ok"),
        ("100000000000000000000", "ok"),
        ("100000000000000000001", "json_number"),
        ("9223372036854775807", "json_number"),
        ("18446744073709551615", "json_number"),
        ("18446744073709552000", "ok"),
        ("123456789012345678901234567890", "json_number"),
        (&format!("1{}", zeros(308)), "ok"),
        (&format!("1{}", zeros(309)), "json_number"),
        (&format!("1{}.5", zeros(400)), "json_number"),
        ("-0", "ok"),
        ("-0.0", "ok"),
        ("0e999999999999", "ok"),
        ("0.000e-400", "ok"),
        ("0.1", "ok"),
        ("0.30000000000000004", "ok"),
        ("0.12345678901234567", "ok"),
        ("0.123456789012345678", "json_number"),
        ("12345678901234567.0", "ok"),
        ("123456789012345678.0", "json_number"),
        ("1234567890123456.78", "json_number"),
        ("00.1", "json_number"),
        (&format!("0.{}1", zeros(400)), "json_number"),
        (&format!("0.{}1", zeros(300)), "ok"),
        (&format!("1.5{}", zeros(400)), "ok"),
        ("5e-324", "ok"),
        ("2e-324", "json_number"),
        ("1e-400", "json_number"),
        ("1e308", "ok"),
        ("1.8e308", "json_number"),
        ("1e-999999", "json_number"),
        ("1.23456789012345678e5", "json_number"),
    ] {
        assert_eq!(verdict(with_argument(number.as_bytes())), expected, "{number}");
        if number.starts_with(|first| first != '0') && number.len() < 300 {
            assert_eq!(crate::oracle::is_exact(number), expected == "ok", "{number}");
        }
    }
}

/// What a server answers is passed on, not decided on, and servers do use 64-bit ids.
#[test]
fn a_result_may_hold_any_number_that_has_a_size() {
    for (number, expected) in [
        ("18446744073709551615", "ok"),
        ("0.123456789012345678901234567890", "ok"),
        ("1e-999999", "ok"),
        ("1e400", "json_number"),
        ("01", "json_number"),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"structuredContent":[{number}]}}}}"#);
        let answer = airlock_mcp::parse_answer(body.as_bytes(), &Limits::default());
        assert_eq!(answer.map_or_else(|error| error.reason(), |_| "ok"), expected, "{number}");
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"a":18446744073709551615}}"#;
    assert_eq!(verdict(body), "json_number", "the answer of a client is decided on");
}

#[test]
fn what_surrounds_the_value_is_refused_unless_it_is_white_space() {
    let message = r#"{"jsonrpc":"2.0","method":"ping","id":1}"#;
    for (before, after, expected) in [
        ("", "", "ok"),
        (" \r\n\t", " \r\n\t", "ok"),
        ("\u{feff}", "", "json_byte_order_mark"),
        ("", "\u{feff}", "json_trailing_bytes"),
        ("", "\0", "json_trailing_bytes"),
        ("", "{}", "json_trailing_bytes"),
        ("", "}", "json_trailing_bytes"),
        ("", ",", "json_trailing_bytes"),
        ("\0", "", "json_syntax"),
    ] {
        assert_eq!(verdict(format!("{before}{message}{after}")), expected, "{before:?} {after:?}");
    }
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(verdict(&utf16), "json_byte_order_mark");
    assert_eq!(verdict(""), "json_syntax");
    assert_eq!(verdict("  "), "json_syntax");
}

#[test]
fn a_cut_message_is_never_accepted() {
    let body = with_argument(r#"[1.5e3,true,{"é\u00e9":"\ud83d\ude00"},null]"#.as_bytes());
    assert_eq!(verdict(&body), "ok");
    for end in 0..body.len() {
        assert!(parse(&body[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_name_given_twice_is_refused_wherever_it_is_and_however_it_is_spelt() {
    for value in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":3}"#,
        r#"{"":1,"":2}"#,
        r#"[[{"x":{"a":1,"\u0061":2}}]]"#,
        r#"{"\u0061":1,"a":2}"#,
        r#"{"a\/b":1,"a/b":2}"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
        r#"{"a":{"a":1},"b":[{"a":1}],"a":2}"#,
    ] {
        assert_eq!(verdict(with_argument(value.as_bytes())), "json_duplicate_key", "{value}");
    }
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}"#,
    ] {
        assert_eq!(verdict(body), "json_duplicate_key", "{body}");
    }
}

#[test]
fn a_name_given_twice_is_found_in_objects_of_any_size() {
    for size in [2_usize, 15, 16, 17, 18, 33, 1_000, 40_000] {
        let mut names: Vec<String> = (0..size).map(|index| format!("\"n{index}\":{{\"n0\":0}}")).collect();
        let unique = format!("{{{}}}", names.join(","));
        assert_eq!(verdict(with_argument(unique.as_bytes())), "ok", "{size}");
        for twice in [0, size / 2, size - 1] {
            names.push(format!("\"\\u006e{twice}\":1"));
            let body = with_argument(format!("{{{}}}", names.join(",")).as_bytes());
            let error = parse(&body).unwrap_err();
            names.pop();
            assert_eq!(error.kind, ParseErrorKind::JsonDuplicateKey, "{twice} of {size}");
            assert!(body[error.offset..].starts_with(b"\"\\u006e"), "{twice} of {size}");
        }
    }
}

#[test]
fn each_limit_is_the_last_value_that_passes() {
    let nested =
        |depth: usize| with_argument(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
    // The message, its parameters and the arguments are containers too.
    assert_eq!(verdict(nested(61)), "ok");
    assert_eq!(verdict(nested(62)), "json_depth");
    assert_eq!(verdict(nested(1_000_000)), "json_depth");

    let limits = Limits { members: 20, string_bytes: 32, ..Limits::default() };
    let kind = |body: Vec<u8>| airlock_mcp::parse(&body, &limits).map(|_| ()).map_err(|error| error.kind);
    let elements = |count: usize| with_argument(format!("[{}]", vec!["0"; count].join(",")).as_bytes());
    // Four members of the message, two of its parameters, one argument.
    assert_eq!(kind(elements(13)), Ok(()));
    assert_eq!(kind(elements(14)), Err(ParseErrorKind::JsonSize));
    assert_eq!(kind(with_string(&[b'x'; 32])), Ok(()));
    assert_eq!(kind(with_string(&[b'x'; 33])), Err(ParseErrorKind::JsonSize));
}
