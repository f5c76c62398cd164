//! JSON with one meaning: no duplicate member at any depth, bounded depth and size.
//!
//! RFC 8259 leaves it open what a duplicate name means, and readers differ: one takes the first, one the
//! last. A token that two readers understand differently is an attack (RFC 7515 section 4 and RFC 7519
//! section 4 let a reader refuse it). Names are compared after their escapes are resolved.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits;

/// The input is not one JSON value, has a duplicate member, or exceeds a limit.
///
/// It says no more, because the input may be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not valid json, or a duplicate member, or larger or deeper than allowed")]
pub struct InvalidJson;

/// Reads one JSON value of at most `max_bytes` bytes and [`limits::JSON_DEPTH`] levels.
///
/// # Errors
/// [`InvalidJson`] for anything else, also for bytes after the value and for text that is not UTF-8.
pub fn value(bytes: &[u8], max_bytes: usize) -> Result<Value, InvalidJson> {
    if bytes.len() > max_bytes {
        return Err(InvalidJson);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value =
        Strict { levels_left: limits::JSON_DEPTH }.deserialize(&mut deserializer).map_err(|_| InvalidJson)?;
    deserializer.end().map_err(|_| InvalidJson)?;
    Ok(value)
}

/// Reads one JSON object as [`value`] does.
///
/// # Errors
/// [`InvalidJson`], also for a value that is not an object.
pub fn object(bytes: &[u8], max_bytes: usize) -> Result<Map<String, Value>, InvalidJson> {
    match value(bytes, max_bytes)? {
        Value::Object(members) => Ok(members),
        _ => Err(InvalidJson),
    }
}

/// Reads a value that may have this many levels of objects and arrays.
#[derive(Clone, Copy)]
struct Strict {
    levels_left: usize,
}

impl Strict {
    fn descend<E: Error>(self) -> Result<Self, E> {
        let levels_left = self.levels_left.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { levels_left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a json value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.descend()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.descend()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1024;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn a_second_member_of_the_same_name_is_refused() {
        for refused in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"/":1,"\/":2}"#,
            r#"{"😀":1,"\ud83d\ude00":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":1,"\u0061":2}]]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(value(refused.as_bytes(), MAX), Err(InvalidJson), "{refused}");
        }
        let accepted = br#"{"a":{"a":1},"b":[{"a":1},{"a":2}],"A":3}"#;
        assert!(value(accepted, MAX).is_ok());
    }

    #[test]
    fn what_is_not_one_json_text_is_refused() {
        for refused in [
            &b""[..],
            b" ",
            b"{} {}",
            b"{}x",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"{\"a\":NaN}",
            b"{\"a\":1e999}",
            b"{\"a\":01}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\xc0\x80\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\n\"}",
            b"\xef\xbb\xbf{}",
            b"{}\0",
            b"// c\n{}",
        ] {
            assert_eq!(value(refused, MAX), Err(InvalidJson), "{}", refused.escape_ascii());
        }
    }

    #[test]
    fn limits_hold_at_the_boundary() {
        assert!(value(nested(limits::JSON_DEPTH).as_bytes(), MAX).is_ok());
        assert_eq!(value(nested(limits::JSON_DEPTH + 1).as_bytes(), MAX), Err(InvalidJson));
        assert_eq!(value("[".repeat(MAX).as_bytes(), MAX), Err(InvalidJson));
        assert!(value(b"[1]", 3).is_ok());
        assert_eq!(value(b"[1]", 2), Err(InvalidJson));
        assert_eq!(object(b"[1]", MAX), Err(InvalidJson));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_serde_json_reads_them_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Ok(read) = value(&bytes, MAX) {
                prop_assert_eq!(Some(read), serde_json::from_slice::<Value>(&bytes).ok());
            }
        }
    }
}
