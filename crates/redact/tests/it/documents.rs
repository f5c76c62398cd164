use airlock_redact::{Class, NotJson, Redactor};

use crate::both;

#[test]
fn only_what_holds_a_finding_changes() {
    for (json, expected) in [
        (r#""bob@example.com""#, r#""[EMAIL]""#),
        (r#" { "to" :"bob@example.com", "n": 1.50 } "#, r#" { "to" :"[EMAIL]", "n": 1.50 } "#),
        (r#"["a\u0040b.com"]"#, r#"["[EMAIL]"]"#),
        (r#"["\u0061@b.com \u0022\/"]"#, r#"["[EMAIL] \"/"]"#),
        (r#"["\/","a@b.com","\u0041"]"#, r#"["\/","[EMAIL]","\u0041"]"#),
        (r#"["\ud83d a@b.com"]"#, r#"["\ud83d [EMAIL]"]"#),
        ("[4111111111111111,4111111111111112]", r#"["[CARD]",4111111111111112]"#),
        ("4111111111111111", r#""[CARD]""#),
        (r#"{"a":{"b":[{"c":"4111 1111 1111 1111"}]}}"#, r#"{"a":{"b":[{"c":"[CARD]"}]}}"#),
        (r#""{\"to\":\"x\\nbob@example.com\"}""#, r#""{\"to\":\"x\\n[EMAIL]\"}""#),
    ] {
        let redacted = both().json(json.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(redacted.output.unwrap()).unwrap(), expected, "`{json}`");
        assert!(!redacted.findings.is_empty());
    }
}

#[test]
fn keys_and_other_numbers_are_left_alone() {
    for json in [
        r#"{"bob@example.com":1}"#,
        r#"{"4111111111111111" : "x"}"#,
        "-4111111111111111",
        "4111111111111111.0",
        "4111111111111111e0",
        "[4111,1111,1111,1111]",
        "[]",
        "{}",
        "null",
    ] {
        assert_eq!(both().json(json.as_bytes()).unwrap().output, None, "`{json}`");
    }
}

#[test]
fn classes_are_searched_for_only_when_asked() {
    let json = br#"["a@b.com",4111111111111111]"#;
    let output = |classes: &[Class]| Redactor::new(classes).json(json).unwrap().output;
    assert_eq!(output(&[]), None);
    assert_eq!(output(&[Class::Email]).unwrap(), br#"["[EMAIL]",4111111111111111]"#);
    assert_eq!(output(&[Class::Card]).unwrap(), br#"["a@b.com","[CARD]"]"#);
    let findings = both().json(json).unwrap().findings;
    assert_eq!(findings.iter().collect::<Vec<_>>(), [(Class::Email, 1), (Class::Card, 1)]);
}

#[test]
fn what_is_not_one_value_is_refused() {
    for text in [
        "",
        " ",
        "a@b.com",
        "{",
        "[",
        "]",
        "}",
        "\"",
        "\"a",
        r#""\"#,
        r#""\q""#,
        r#""\u12""#,
        "[1,]",
        "[,1]",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{1:2}",
        "[1}",
        r#"{"a":1]"#,
        "1 2",
        "[] []",
        "01",
        "-",
        "1.",
        "1e",
        "tru",
        "nul",
        "NaN",
        "'a'",
        "[1 2]",
        ":",
        ",",
    ] {
        assert_eq!(both().json(text.as_bytes()), Err(NotJson), "`{text}`");
    }
}

#[test]
fn debug_shows_no_payload() {
    let redacted = both().json(br#"["secret a@b.com"]"#).unwrap();
    assert!(!format!("{redacted:?}").contains("secret"));
}
