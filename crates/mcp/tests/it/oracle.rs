//! The rules by which this parser is stricter than `serde_json`, found again by slower and simpler means.
//!
//! The fuzz targets use this file too.

use std::collections::HashSet;
use std::fmt;

use airlock_mcp::{Limits, Message, ParseError, ParseErrorKind};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Compares what became of a body with what `serde_json` makes of it.
///
/// # Errors
///
/// What they do not agree on, in words.
pub(crate) fn compare(
    body: &[u8],
    limits: &Limits,
    verdict: &Result<Message, ParseError>,
) -> Result<(), String> {
    let reference = serde_json::from_slice::<Value>(body);
    match (verdict, reference) {
        (Ok(message), Ok(reference)) => compare_meaning(body, message, &reference),
        (Ok(_), Err(error)) => Err(format!("accepted, but {error}")),
        (Err(error), _) if error.offset > body.len() => Err(format!("{error}, which is not in the body")),
        (Err(error), Ok(_)) if error.code() == -32700 && !explains(error, body, limits) => {
            Err(format!("refused without such a reason: {error}"))
        }
        (Err(error), Err(reason)) if error.code() != -32700 => Err(format!("taken for JSON, but {reason}")),
        (Err(_), _) => Ok(()),
    }
}

fn compare_meaning(body: &[u8], message: &Message, reference: &Value) -> Result<(), String> {
    if serde_json::from_slice::<Unique>(body).is_err() {
        return Err("accepted with a name given twice".into());
    }
    if message.result.is_none()
        && let Some((_, number)) = numbers(body).find(|(_, number)| !is_exact(number))
    {
        return Err(format!("accepted with the number `{number}`"));
    }
    let parts = [
        (&message.params, &reference["params"]),
        (&message.arguments, &reference["params"]["arguments"]),
        (&message.result, &reference["result"]),
        (&message.error, &reference["error"]),
    ];
    for (span, expected) in parts {
        let part = span.clone().and_then(|span| body.get(span));
        let part =
            part.map(serde_json::from_slice::<Value>).transpose().map_err(|error| error.to_string())?;
        if part.is_some_and(|part| part != *expected) {
            return Err(format!("a span is not that of {expected}"));
        }
    }
    if message.method.as_deref() != reference["method"].as_str() {
        return Err("another method".into());
    }
    Ok(())
}

/// Whether the rule that an error names is broken at the place that it names.
fn explains(error: &ParseError, body: &[u8], limits: &Limits) -> bool {
    match error.kind {
        ParseErrorKind::JsonDuplicateKey => serde_json::from_slice::<Unique>(body).is_err(),
        ParseErrorKind::JsonNumber => {
            numbers(body).any(|(offset, number)| offset == error.offset && !is_exact(number))
        }
        ParseErrorKind::JsonDepth => depth_before(body, error.offset) == limits.depth,
        ParseErrorKind::JsonSize => body.len() > limits.string_bytes.min(limits.members),
        _ => false,
    }
}

/// Whether a number is the same to a reader that rounds to doubles and to one that does not.
pub(crate) fn is_exact(number: &str) -> bool {
    let Ok(double) = number.parse::<f64>() else { return false };
    if !number.contains(['.', 'e', 'E']) {
        return format!("{double}") == number;
    }
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_matches('0').len();
    significant <= 17 && double.is_finite() && (double != 0.0 || significant == 0)
}

/// The bytes outside of strings, in a body that is JSON.
fn outside_strings(body: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let (mut inside, mut escaped) = (false, false);
    body.iter().copied().enumerate().filter(move |&(_, byte)| {
        let was_inside = inside;
        inside = if inside { escaped || byte != b'"' } else { byte == b'"' };
        escaped = was_inside && !escaped && byte == b'\\';
        !was_inside && !inside
    })
}

fn numbers(body: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    let mut last_end = 0;
    outside_strings(body).filter_map(move |(start, byte)| {
        if start < last_end || !(byte == b'-' || byte.is_ascii_digit()) {
            return None;
        }
        let rest = body.get(start..)?;
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        last_end = start + rest.iter().take_while(is_part).count();
        std::str::from_utf8(body.get(start..last_end)?).ok().map(|number| (start, number))
    })
}

fn depth_before(body: &[u8], offset: usize) -> usize {
    outside_strings(body).take_while(|(at, _)| *at < offset).fold(0, |depth, (_, byte)| match byte {
        b'{' | b'[' => depth + 1,
        b'}' | b']' => depth - 1,
        _ => depth,
    })
}

/// Any value in which no object has two members of one name.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value without a name given twice")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = members.next_entry::<String, Self>()? {
            if !names.insert(name) {
                return Err(serde::de::Error::custom("a name is given twice"));
            }
        }
        Ok(Self)
    }
}
