use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Reads a JSON value, and refuses one in which an object names a member twice: of two rules or keys of the same name,
/// one would be dropped in silence.
pub(crate) fn decode(json: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = Distinct.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// A value whose objects have distinct members. The reader itself limits nesting to 128 levels.
struct Distinct;

impl<'de> DeserializeSeed<'de> for Distinct {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element_seed(Self)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(Self)?;
            if members.contains_key(&name) {
                return Err(de::Error::custom(format_args!("the member `{name}` stands twice")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_any_other_reader_would() {
        let json = br#" {"a":[1,-2,0.5,null,true,"x",{}],"b":{"c":{"a":18446744073709551615}}} "#;
        assert_eq!(decode(json).unwrap(), serde_json::from_slice::<Value>(json).unwrap());
    }

    #[test]
    fn what_is_not_one_value_of_one_meaning_is_refused() {
        let cases = [
            (r#"{"a":1,"a":1}"#, "the member `a` stands twice"),
            (r#"{"rules":[{"x":{"b":1,"\u0062":2}}]}"#, "the member `b` stands twice"),
            ("{} {}", "trailing characters"),
            ("{", "EOF"),
            ("", "EOF"),
        ];
        for (json, problem) in cases {
            let error = decode(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem), "{json}: {error}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(decode(deep.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
    }
}
