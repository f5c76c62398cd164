//! Laws that hold for every input, checked on generated ones.

use std::fmt::Write;

use airlock_mcp::{Limits, ParseErrorKind, error_body};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{oracle, parse};

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..=1 << 53).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
        "[a-z \"\\\\\u{0}-\u{1f}é😀]{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 24, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..24).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z_é\"\n]{0,6}", inner, 0..24)
                .prop_map(|members| Value::from(Map::from_iter(members))),
        ]
    })
}

/// Writes a value with the freedom that JSON leaves: white space, and escapes where none are needed.
fn write_freely(value: &Value, choices: &mut impl Iterator<Item = u8>, text: &mut String) {
    let space = |text: &mut String, choices: &mut dyn Iterator<Item = u8>| {
        text.push_str(["", "", "", " ", "\n\t", "\r\n"][usize::from(choices.next().unwrap_or(0)) % 6]);
    };
    space(text, choices);
    match value {
        Value::Array(elements) => {
            text.push('[');
            for (index, element) in elements.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                write_freely(element, choices, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                space(text, choices);
                write_string_freely(name, choices, text);
                space(text, choices);
                text.push(':');
                write_freely(member, choices, text);
            }
            space(text, choices);
            text.push('}');
        }
        Value::String(string) => write_string_freely(string, choices, text),
        other => text.push_str(&other.to_string()),
    }
    space(text, choices);
}

fn write_string_freely(string: &str, choices: &mut impl Iterator<Item = u8>, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            ' '.. if !choices.next().unwrap_or(0).is_multiple_of(4) => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(text, "\\u{unit:04X}").unwrap();
                }
            }
        }
    }
    text.push('"');
}

fn generous() -> Limits {
    Limits { depth: 1_000, ..Limits::default() }
}

/// A document that is JSON, and may break the rules that this parser has beyond that.
#[derive(Clone, Debug)]
enum Document {
    /// Written as it stands here.
    Plain(&'static str, Option<ParseErrorKind>),
    Text(String),
    Array(Vec<Document>),
    Object(Vec<(String, Document)>),
}

fn documents() -> impl Strategy<Value = Document> {
    use ParseErrorKind::{JsonNumber, JsonSurrogate};
    let leaf = prop_oneof![
        8 => any::<String>().prop_map(Document::Text),
        16 => prop::sample::select(vec!["0", "-1.5e3", "true", "false", "null", "9007199254740992"])
            .prop_map(|text| Document::Plain(text, None)),
        1 => prop::sample::select(vec!["9007199254740993", "1e-400", "1e400", "0.123456789012345678"])
            .prop_map(|text| Document::Plain(text, Some(JsonNumber))),
        1 => prop::sample::select(vec![r#""\ud800""#, r#""\udc00\ud800""#, r#""a\uDBFF\u0061""#])
            .prop_map(|text| Document::Plain(text, Some(JsonSurrogate))),
    ];
    leaf.prop_recursive(6, 48, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Document::Array),
            prop::collection::vec(("[a-z]{0,3}", inner.clone()), 0..5).prop_map(Document::Object),
            prop::collection::vec(("[a-z]{5}", inner), 0..20).prop_map(Document::Object),
        ]
    })
}

impl Document {
    fn write(&self, choices: &mut dyn Iterator<Item = u8>, text: &mut String) {
        let mut choices = choices;
        match self {
            Self::Plain(plain, _) => text.push_str(plain),
            Self::Text(content) => write_string_freely(content, &mut choices, text),
            Self::Array(elements) => {
                text.push('[');
                for (index, element) in elements.iter().enumerate() {
                    text.push_str(if index > 0 { ", " } else { "" });
                    element.write(choices, text);
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (index, (name, member)) in members.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "\n" });
                    write_string_freely(name, &mut choices, text);
                    text.push(':');
                    member.write(choices, text);
                }
                text.push('}');
            }
        }
    }

    /// The rules that are broken where containers may be nested `depth` deep.
    fn broken_rules(&self, depth: usize) -> Vec<ParseErrorKind> {
        let (children, twice): (Vec<&Self>, bool) = match self {
            Self::Plain(_, rule) => return rule.iter().copied().collect(),
            Self::Text(_) => return Vec::new(),
            Self::Array(elements) => (elements.iter().collect(), false),
            Self::Object(members) => {
                let mut names: Vec<_> = members.iter().map(|(name, _)| name).collect();
                names.sort();
                (
                    members.iter().map(|(_, member)| member).collect(),
                    names.windows(2).any(|pair| pair[0] == pair[1]),
                )
            }
        };
        let Some(depth) = depth.checked_sub(1) else { return vec![ParseErrorKind::JsonDepth] };
        let mut broken: Vec<_> = children.iter().flat_map(|child| child.broken_rules(depth)).collect();
        broken.extend(twice.then_some(ParseErrorKind::JsonDuplicateKey));
        broken
    }
}

/// A message around a value, written freely.
fn call(arguments: Value, id: Value, choices: Vec<u8>) -> (Value, String) {
    let message = json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "räport", "arguments": {"value": arguments}, "other": [1], "_meta": {"trace": "x"}},
    });
    let mut text = String::new();
    write_freely(&message, &mut choices.into_iter(), &mut text);
    (message, text)
}

proptest! {
    #[test]
    fn what_is_valid_is_read_as_serde_json_reads_it(
        arguments in values(),
        id in prop_oneof![(-(1_i64 << 53)..=1 << 53).prop_map(Value::from), any::<String>().prop_map(Value::from)],
        choices in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        prop_assume!(id.as_str().is_none_or(|id| id.len() <= 256));
        let (expected, text) = call(arguments, id, choices);
        let message = parse(&text).map_err(|error| TestCaseError::fail(format!("{error} in {text}")))?;
        let at = |span: &Option<std::ops::Range<usize>>| -> Value {
            serde_json::from_str(text.get(span.clone().unwrap()).unwrap()).unwrap()
        };
        prop_assert_eq!(at(&message.params), expected["params"].clone());
        prop_assert_eq!(at(&message.arguments), expected["params"]["arguments"].clone());
        prop_assert_eq!(message.name.as_deref(), Some("räport"));
        let id: Value = serde_json::from_str(&message.id.unwrap().to_json()).unwrap();
        prop_assert_eq!(&id, &expected["id"]);
        prop_assert_eq!(message.length, text.len());
    }

    #[test]
    fn a_damaged_message_is_refused_wherever_serde_json_refuses_it(
        arguments in values(),
        choices in prop::collection::vec(any::<u8>(), 0..100),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let (_, text) = call(arguments, json!(1), choices);
        let mut body = text.into_bytes();
        for (place, byte, how) in damage {
            let place = place.index(body.len());
            match how {
                0 => body[place] = byte,
                1 => body.insert(place, byte),
                2 => { body.remove(place); }
                _ => { let end = (place + usize::from(byte)).min(body.len()); body.extend_from_within(place..end); }
            }
            if body.is_empty() { break; }
        }
        let limits = generous();
        oracle::compare(&body, &limits, &airlock_mcp::parse(&body, &limits)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_valid_body_is_refused_for_a_rule_that_it_breaks_and_for_nothing_else(
        document in documents(),
        choices in prop::collection::vec(any::<u8>(), 0..600),
        depth in 3_usize..12,
    ) {
        let mut arguments = String::new();
        document.write(&mut choices.into_iter(), &mut arguments);
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{{"a":{arguments}}}}}}}"#
        );
        let limits = Limits { depth, ..Limits::default() };
        let verdict = airlock_mcp::parse(text.as_bytes(), &limits);
        let broken = document.broken_rules(depth - 3);
        match &verdict {
            Ok(_) => prop_assert_eq!(broken, vec![], "{}", text),
            Err(error) => prop_assert!(broken.contains(&error.kind), "{} in {}", error, text),
        }
        oracle::compare(text.as_bytes(), &limits, &verdict).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn a_number_passes_if_every_reader_takes_it_for_the_same(
        number in r"-?(0|[1-9][0-9]{0,20}0{0,3})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
    ) {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{number}}}}}"#);
        let refused = parse(&body).err().map(|error| error.kind);
        let expected = (!oracle::is_exact(&number)).then_some(ParseErrorKind::JsonNumber);
        prop_assert_eq!(refused, expected, "{}", number);
    }

    #[test]
    fn every_double_passes_as_it_is_printed(double in any::<f64>()) {
        prop_assume!(double.is_finite());
        for number in [format!("{double}"), format!("{double:e}"), json!(double).to_string()] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{number}}}}}"#);
            prop_assert!(parse(&body).is_ok(), "{}", number);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let refused = airlock_mcp::parse(&body, &Limits::default()).is_err();
        prop_assert!(refused || serde_json::from_slice::<Value>(&body).is_ok());
    }

    #[test]
    fn json_like_text_is_judged_as_by_serde_json(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"", "\\", "\\u0061", "\\ud83d", "\\ude00", "1", "-", "0", ".",
            "e", "E+", "true", "null", " ", "\n", "é", "\"\\n\"", "99", "\"method\"", "\"jsonrpc\":\"2.0\"", "\"id\":1",
        ]), 0..14),
    ) {
        let text = pieces.concat();
        let limits = generous();
        let verdict = airlock_mcp::parse(text.as_bytes(), &limits);
        oracle::compare(text.as_bytes(), &limits, &verdict).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn an_answer_is_json_whatever_it_quotes(message in any::<String>(), name in any::<String>(), value in any::<String>()) {
        let body = error_body(None, -32600, &message, &[(&name, &value)]);
        let body: Value = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(body["error"]["message"].as_str(), Some(message.as_str()));
        prop_assert_eq!(body["error"]["data"][&name].as_str(), Some(value.as_str()));
    }
}

/// Time per byte must not grow with the size of the input, whatever the input is.
#[test]
fn hostile_shapes_cost_no_more_per_byte_than_their_size() {
    let limits = Limits { members: 2_000_000, string_bytes: 16 << 20, ..Limits::default() };
    let names = |count: usize, prefix: &str| -> String {
        (0..count).map(|index| format!("\"{prefix}{index:06}\":0")).collect::<Vec<_>>().join(",")
    };
    type Members = Box<dyn Fn(usize) -> String>;
    let shapes: [(&str, Members); 4] = [
        ("many names", Box::new(move |size| names(size, ""))),
        ("long common prefixes", Box::new(move |size| names(size / 8, &"p".repeat(100)))),
        ("escaped names", Box::new(move |size| names(size / 2, "\\u0061"))),
        ("escapes in a string", Box::new(|size| format!("\"a\":\"{}\"", "\\n".repeat(size * 6)))),
    ];
    for (shape, members) in shapes {
        let seconds_per_byte = |size: usize| {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","arguments":{{{}}}}}}}"#,
                members(size)
            );
            let fastest = (0..5).map(|_| {
                let started = std::time::Instant::now();
                assert!(airlock_mcp::parse(body.as_bytes(), &limits).is_ok(), "{shape}");
                started.elapsed()
            });
            fastest.min().unwrap().as_secs_f64() / body.len() as f64
        };
        let growth = seconds_per_byte(80_000) / seconds_per_byte(5_000);
        // Linear is 1, n log n stays under 2, quadratic would be 16.
        assert!(growth < 8.0, "{shape}: {growth:.1} times the time per byte at 16 times the size");
    }
}
