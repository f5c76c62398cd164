use prost::Message;
use prost_types::{ListValue, Struct, Value as ProtobufValue, value::Kind};
use serde_json::{Map, Number, Value};

/// Largest magnitude of an integer that a double holds exactly, 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The JSON object that a serialised `google.protobuf.Struct` stands for; `None` if the bytes are none.
///
/// A `Struct` knows doubles only: whole numbers come back as the integers that they were in YAML.
pub(crate) fn decode(bytes: &[u8]) -> Option<Map<String, Value>> {
    // The decoder itself limits nesting to 100 levels.
    object(Struct::decode(bytes).ok()?)
}

fn object(structure: Struct) -> Option<Map<String, Value>> {
    structure.fields.into_iter().map(|(name, member)| Some((name, value(member)?))).collect()
}

fn value(protobuf: ProtobufValue) -> Option<Value> {
    Some(match protobuf.kind? {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(value) => Value::Bool(value),
        Kind::NumberValue(value) => Value::Number(number(value)?),
        Kind::StringValue(value) => Value::String(value),
        Kind::StructValue(structure) => Value::Object(object(structure)?),
        Kind::ListValue(ListValue { values }) => values.into_iter().map(value).collect::<Option<_>>()?,
    })
}

fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked above")]
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn protobuf(json: &Value) -> ProtobufValue {
        let kind = match json {
            Value::Null => Kind::NullValue(0),
            Value::Bool(value) => Kind::BoolValue(*value),
            Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap()),
            Value::String(value) => Kind::StringValue(value.clone()),
            Value::Array(values) => {
                Kind::ListValue(ListValue { values: values.iter().map(protobuf).collect() })
            }
            Value::Object(members) => Kind::StructValue(structure(members)),
        };
        ProtobufValue { kind: Some(kind) }
    }

    fn structure(members: &Map<String, Value>) -> Struct {
        let fields: BTreeMap<_, _> =
            members.iter().map(|(name, value)| (name.clone(), protobuf(value))).collect();
        Struct { fields }
    }

    #[test]
    fn a_structure_comes_back_as_the_json_that_it_was() {
        let json = json!({
            "version": 1, "ratio": 0.5, "negative": -7, "large": 9007199254740992_i64, "none": null,
            "yes": true, "text": "ä", "list": [1, "two", { "three": [] }], "empty": {}
        });
        let bytes = structure(json.as_object().unwrap()).encode_to_vec();
        assert_eq!(decode(&bytes).map(Value::Object), Some(json));
    }

    #[test]
    fn what_is_no_structure_is_refused() {
        let absent = Struct { fields: BTreeMap::from([("a".to_owned(), ProtobufValue { kind: None })]) };
        let infinite = ProtobufValue { kind: Some(Kind::NumberValue(f64::INFINITY)) };
        let infinite = Struct { fields: BTreeMap::from([("a".to_owned(), infinite)]) };
        for bytes in [b"{".to_vec(), b"\n\xff\xff".to_vec(), absent.encode_to_vec(), infinite.encode_to_vec()]
        {
            assert_eq!(decode(&bytes), None, "{bytes:?}");
        }
    }
}
