use airlock_redact::{Class, Redactor};
use proptest::{prelude::*, sample::select};
use serde_json::Value;

use crate::both;

/// Pieces that detectors look at, so that random text runs into their rules and not only past them.
fn pieces() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "@",
        "%40",
        ".",
        "..",
        "-",
        "_",
        "+",
        " ",
        "'",
        "#",
        "\\",
        "\\n",
        "\"",
        ":",
        "/",
        "=",
        "a",
        "b9",
        "com",
        "ed",
        "f",
        "é",
        "字",
        "e\u{301}",
        "png",
        "git",
        "xn--p1ai",
        "x",
        "1",
        "4",
        "12",
        "4111",
        "1111",
        "４",
        "１１１１",
        "0",
        "\u{a0}",
        "\u{2013}",
        "4111111111111111",
        "378282246310005",
        "36227206271667",
        "5555 5555 5555 4444",
        "bob@example.com",
        "[CARD]",
        "\n",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "111111111111111111111111",
        "字字字字字字字字字字字字字字字字字字字字字字",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(vec![4_111_111_111_111_111_u64, 378_282_246_310_005, 4_111_111_111_111_112])
            .prop_map(Value::from),
        pieces().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(pieces(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Writes a document with escapes and whitespace wherever `choices`, used in turn, say so.
struct Writer<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    output: String,
}

impl Writer<'_> {
    fn choice(&mut self) -> u8 {
        *self.choices.next().unwrap()
    }

    fn value(&mut self, value: &Value) {
        if self.choice() > 200 {
            self.output.push_str(" \n");
        }
        match value {
            Value::String(text) => self.string(text),
            Value::Array(values) => {
                self.output.push('[');
                for (index, value) in values.iter().enumerate() {
                    self.output.push_str(if index == 0 { "" } else { "," });
                    self.value(value);
                }
                self.output.push(']');
            }
            Value::Object(members) => {
                self.output.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    self.output.push_str(if index == 0 { "" } else { "," });
                    self.string(name);
                    let colon = if self.choice() > 128 { " :" } else { ":" };
                    self.output.push_str(colon);
                    self.value(value);
                }
                self.output.push('}');
            }
            other => self.output.push_str(&other.to_string()),
        }
    }

    fn string(&mut self, text: &str) {
        self.output.push('"');
        for character in text.chars() {
            if self.choice() > 170 || character < ' ' || matches!(character, '"' | '\\') {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    self.output.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                self.output.push(character);
            }
        }
        self.output.push('"');
    }
}

fn written(value: &Value, choices: &[u8]) -> String {
    let mut writer = Writer { choices: choices.iter().cycle(), output: String::new() };
    writer.value(value);
    writer.output
}

fn documents() -> impl Strategy<Value = String> {
    (values(), prop::collection::vec(any::<u8>(), 1..64))
        .prop_map(|(value, choices)| written(&value, &choices))
}

/// The same tree, with strings as the text search cleans them and integers replaced where they are cards.
fn expected(value: &Value, redactor: &Redactor) -> Value {
    match value {
        Value::String(text) => redactor
            .text(text.as_bytes())
            .output
            .map_or_else(|| value.clone(), |output| Value::from(String::from_utf8(output).unwrap())),
        Value::Number(number) => match redactor.text(number.to_string().as_bytes()).output {
            Some(output) if output == b"[CARD]" => Value::from("[CARD]"),
            _ => value.clone(),
        },
        Value::Array(values) => values.iter().map(|value| expected(value, redactor)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), expected(value, redactor))).collect()
        }
        other => other.clone(),
    }
}

fn labels(text: &str) -> usize {
    text.matches("[EMAIL]").count() + text.matches("[CARD]").count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_output_is_the_same_document_with_labels(json in documents()) {
        let redacted = both().json(json.as_bytes()).unwrap();
        let before: Value = serde_json::from_str(&json).unwrap();
        match redacted.output {
            None => prop_assert_eq!(expected(&before, &both()), before),
            Some(output) => {
                let after: Value = serde_json::from_slice(&output).unwrap();
                prop_assert_eq!(after, expected(&before, &both()));
                prop_assert!(!redacted.findings.is_empty());
            }
        }
    }

    #[test]
    fn a_second_pass_finds_nothing(text in pieces()) {
        if let Some(output) = both().text(text.as_bytes()).output {
            let again = both().text(&output);
            prop_assert_eq!(again.output, None, "`{}` became `{}`", text, String::from_utf8_lossy(&output));
        }
    }

    #[test]
    fn a_second_pass_over_a_document_finds_nothing(json in documents()) {
        if let Some(output) = both().json(json.as_bytes()).unwrap().output {
            prop_assert_eq!(both().json(&output).unwrap().output, None);
        }
    }

    #[test]
    fn every_label_is_counted(text in pieces()) {
        let redacted = both().text(text.as_bytes());
        let counted: u32 = redacted.findings.iter().map(|(_, count)| count).sum();
        let output = redacted.output.map_or_else(|| text.clone(), |output| String::from_utf8(output).unwrap());
        prop_assert_eq!(labels(&output) - labels(&text), counted as usize);
    }

    #[test]
    fn an_embedded_address_or_card_is_always_found(
        prefix in "[a-zA-Z,;:()<> ]{0,30}",
        suffix in "[a-zA-Z,;:()<> ]{0,30}",
        secret in select(vec!["bob@example.com", "4111111111111111", "3782 822463 10005", "ü.x@exämple.de"]),
        value in values(),
        choices in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let text = format!("{prefix} {secret} {suffix}");
        let json = written(&Value::from(vec![value.clone(), Value::from(text), value]), &choices);
        let output = both().json(json.as_bytes()).unwrap().output.expect("a finding");
        let after: Value = serde_json::from_slice(&output).unwrap();
        let text = after[1].as_str().unwrap();
        prop_assert!(!text.contains(secret));
        prop_assert_eq!(labels(text), 1);
    }

    #[test]
    fn random_cards_are_found_in_groups(
        middle in prop::collection::vec(0..10_u8, 14),
        separator in select(vec!["", " ", "-", "\u{a0}"]),
    ) {
        let mut digits = vec![4];
        digits.extend(middle);
        let odd = |(place, digit): (usize, &u8)| match (place % 2, *digit) { (0, d) if d > 4 => d * 2 - 9, (0, d) => d * 2, (_, d) => d };
        let sum: u8 = digits.iter().enumerate().map(odd).sum();
        digits.push((10 - sum % 10) % 10);
        let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().map(u8::to_string).collect()).collect();
        let redacted = both().text(groups.join(separator).as_bytes());
        prop_assert_eq!(redacted.output.as_deref(), Some(&b"[CARD]"[..]));
        prop_assert_eq!(redacted.findings.count(Class::Card), 1);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = both().text(&bytes);
        let is_json = serde_json::from_slice::<Value>(&bytes).is_ok();
        prop_assert!(!is_json || both().json(&bytes).is_ok());
    }

    #[test]
    fn broken_documents_do_no_harm(json in documents(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = json.into_bytes();
        let place = cut.index(bytes.len());
        bytes[place] = byte;
        let is_json = serde_json::from_slice::<Value>(&bytes).is_ok();
        prop_assert!(!is_json || both().json(&bytes).is_ok());
        let _ = both().text(&bytes);
        let _ = both().json(&bytes[..place]);
    }
}
