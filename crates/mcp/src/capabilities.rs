//! Takes capabilities out of the object in which a client or a server declares them.
//!
//! What is not taken out stays as it was written, byte for byte.

use crate::error::Fault;
use crate::message::Span;
use crate::number::Numbers;
use crate::scan::Scanner;
use crate::text::Text;
use crate::{Limits, ParseErrorKind};

/// What becomes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// It stays as it is.
    Whole,
    /// It stays if it is an object, and its own members are asked about. Within such an object the same as
    /// [`Passes::Whole`]: nothing is defined deeper than that.
    Partly,
    /// It is taken out.
    Not,
}

/// The body without the members of `object` that do not pass; `None` if all of them do.
///
/// `object` is the span of an object in `body`, as in [`crate::Message::capabilities`]. `passes` is asked about each
/// member, once and in order, by the name of the member that it stands in, if any, and its own, both decoded.
///
/// # Errors
/// What is wrong with the bytes of the span if they are not one object within `limits`, as when the span was read from
/// another body.
pub fn without(
    body: &[u8],
    object: &Span,
    limits: &Limits,
    mut passes: impl FnMut(Option<&str>, &str) -> Passes,
) -> Result<Option<Vec<u8>>, ParseErrorKind> {
    let written = body.get(object.clone()).ok_or(ParseErrorKind::JsonSyntax)?;
    let mut scanner = Scanner::new(written, limits).accepting(Numbers::Rounded);
    if scanner.peek() != Some(b'{') {
        return Err(ParseErrorKind::JsonSyntax);
    }
    let mut members = Members { written, cuts: Vec::new(), passes: &mut passes };
    members.read(&mut scanner, None).and_then(|()| scanner.finish()).map_err(|fault| fault.kind)?;
    if members.cuts.is_empty() {
        return Ok(None);
    }
    let mut left = Vec::with_capacity(body.len());
    left.extend_from_slice(body.get(..object.start).unwrap_or_default());
    let mut copied = 0;
    for cut in members.cuts {
        left.extend_from_slice(written.get(copied..cut.start).unwrap_or_default());
        copied = cut.end;
    }
    left.extend_from_slice(written.get(copied..).unwrap_or_default());
    left.extend_from_slice(body.get(object.end..).unwrap_or_default());
    Ok(Some(left))
}

/// The members of an object while they are read.
struct Members<'a, P> {
    written: &'a [u8],
    /// What is left out, in order and without overlaps.
    cuts: Vec<Span>,
    passes: &'a mut P,
}

impl<P: FnMut(Option<&str>, &str) -> Passes> Members<'_, P> {
    /// Reads an object. Never more than one object within another.
    fn read(&mut self, scanner: &mut Scanner<'_>, within: Option<&str>) -> Result<(), Fault> {
        scanner.enter()?;
        // Where the member before ended, once one stays: a cut from there takes the comma before a member along.
        let mut behind = None;
        // What is left out while none stays yet: such a cut takes the comma after a member along.
        let mut leading: Option<Span> = None;
        while let Some(name) = scanner.next_name()? {
            let is_object = scanner.peek() == Some(b'{');
            let start = name.start.saturating_sub(1);
            if let Some(cut) = leading.take() {
                self.cuts.push(cut.start..start);
            }
            let passes = self.ask(within, name);
            if passes == Passes::Partly && within.is_none() && is_object {
                let outer = name.decoded(self.written);
                self.read(scanner, Some(&String::from_utf8_lossy(&outer)))?;
                behind = Some(scanner.position());
                continue;
            }
            let end = scanner.value()?.span.end;
            let stays = passes == Passes::Whole || passes == Passes::Partly && within.is_some();
            match behind {
                _ if stays => behind = Some(end),
                Some(from) => {
                    self.cuts.push(from..end);
                    behind = Some(end);
                }
                None => leading = Some(start..end),
            }
        }
        self.cuts.extend(leading);
        Ok(())
    }

    fn ask(&mut self, within: Option<&str>, name: Text) -> Passes {
        (self.passes)(within, &String::from_utf8_lossy(&name.decoded(self.written)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    /// Lets everything pass but names in `closed`; of `part`, the members that are not in `closed`.
    fn filtered(body: &str, object: Span, closed: &[&str], part: &str) -> Option<String> {
        let passes = |_: Option<&str>, name: &str| match name {
            _ if closed.contains(&name) => Passes::Not,
            _ if name == part => Passes::Partly,
            _ => Passes::Whole,
        };
        let left = without(body.as_bytes(), &object, &Limits::default(), passes).unwrap();
        left.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn nothing_but_the_members_and_one_comma_each_is_taken_out() {
        let cases = [
            (r#"{"a":1}"#, None),
            ("{ }", None),
            (r#"{"x":{}}"#, Some("{}")),
            (r#"{ "x" : {} , "a" : 1 }"#, Some(r#"{ "a" : 1 }"#)),
            (r#"{ "a" : 1 , "x" : {} }"#, Some(r#"{ "a" : 1 }"#)),
            (r#"{"a":1, "x":[{}] , "b":2}"#, Some(r#"{"a":1 , "b":2}"#)),
            (r#"{"x":1, "y":2, "a":3}"#, Some(r#"{"a":3}"#)),
            (r#"{"a":1,"x":1,"y":2}"#, Some(r#"{"a":1}"#)),
            ("{\n\"x\":1,\n\"y\":2\n}", Some("{\n\n}")),
            (r#"{"\u0078":1,"a":"}{,\""}"#, Some(r#"{"a":"}{,\""}"#)),
            (r#"{"part":{"x":1,"a":2},"b":{"x":1}}"#, Some(r#"{"part":{"a":2},"b":{"x":1}}"#)),
            (r#"{"x":0,"part":{"x":1},"y":0}"#, Some(r#"{"part":{}}"#)),
            (r#"{"part":[],"a":18446744073709551615}"#, Some(r#"{"a":18446744073709551615}"#)),
            (r#"{"part":{"part":{"x":1},"a":2}}"#, None),
        ];
        for (object, expected) in cases {
            let body = format!("[{object}, 1]");
            let left = filtered(&body, 1..1 + object.len(), &["x", "y"], "part");
            let expected = expected.map(|object| format!("[{object}, 1]"));
            assert_eq!(left, expected, "{object}");
        }
    }

    #[test]
    fn what_is_not_one_object_is_an_error() {
        for (written, kind) in [
            ("", ParseErrorKind::JsonSyntax),
            ("[]", ParseErrorKind::JsonSyntax),
            (r#"{"a":1"#, ParseErrorKind::JsonSyntax),
            (r#"{"a":1,"a":2}"#, ParseErrorKind::JsonDuplicateKey),
            ("{}{}", ParseErrorKind::JsonTrailingBytes),
        ] {
            let span = 0..written.len();
            let found = without(written.as_bytes(), &span, &Limits::default(), |_, _| Passes::Not);
            assert_eq!(found, Err(kind), "{written}");
        }
    }

    fn document() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ -~]{0,4}".prop_map(Value::from),
            "\\PC{0,3}".prop_map(Value::from),
        ];
        scalar.prop_recursive(2, 12, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                btree_map("[a-d\"\\\\]{1,2}", inner, 0..4).prop_map(|members| json!(members)),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        btree_map("[a-f]", document(), 0..6).prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_rest_is_the_document_without_these_members(
            object in object(), closed in proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..=5), pretty: bool,
        ) {
            let json = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
            let json = json.unwrap();
            let body = format!("{{\"in\":{json}}}");
            let mut expected = object.clone();
            expected.retain(|name, value| !closed.contains(&name.as_str()) && (name != "f" || value.is_object()));
            if let Some(Value::Object(part)) = expected.get_mut("f") {
                part.retain(|name, _| !closed.contains(&name.as_str()));
            }
            let left = filtered(&body, 6..6 + json.len(), &closed, "f");
            prop_assert_eq!(left.is_none(), expected == object);
            let left: Value = serde_json::from_str(left.as_deref().unwrap_or(&body)).unwrap();
            prop_assert_eq!(left, json!({ "in": expected }));
        }

        #[test]
        fn no_span_and_no_bytes_break_it(
            body in prop_oneof!["[{}\\[\\]\",:ax ]{0,40}".prop_map(String::into_bytes), vec(any::<u8>(), 0..40)],
            start in 0..50_usize, end in 0..50_usize, verdicts in vec(0..3_u8, 1..8),
        ) {
            let mut next = verdicts.into_iter().cycle();
            let passes = |_: Option<&str>, _: &str| match next.next() {
                Some(0) => Passes::Not,
                Some(1) => Passes::Partly,
                _ => Passes::Whole,
            };
            let span = start..end;
            if let Ok(Some(left)) = without(&body, &span, &Limits::default(), passes) {
                let inside = left.get(start..left.len() - (body.len() - end)).unwrap();
                prop_assert!(crate::scan::Scanner::new(inside, &Limits::default()).value().is_ok());
            }
        }
    }
}
