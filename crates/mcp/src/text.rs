//! JSON strings: finding their end, checking their escapes, decoding them.

use std::borrow::Cow;

use crate::block::{self, BLOCK};
use crate::error::{Fault, ParseErrorKind};

/// The inside of a JSON string that has been checked, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) escaped: bool,
}

impl Text {
    /// Checks the string whose content begins at `start`, right after the opening quote.
    #[inline(always)]
    pub(crate) fn scan(body: &[u8], start: usize, limit: usize) -> Result<Self, Fault> {
        // Most strings are short and plain. This much is worth having in the loop that calls it.
        if let Some(block) = body.get(start..).and_then(|rest| rest.first_chunk()) {
            let plain = block::plain(block);
            let end = start.saturating_add(plain.length);
            if plain.ascii && body.get(end) == Some(&b'"') && plain.length <= limit {
                return Ok(Self { start, end, escaped: false });
            }
        }
        Self::scan_any(body, start, limit)
    }

    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    #[inline(never)]
    fn scan_any(body: &[u8], start: usize, limit: usize) -> Result<Self, Fault> {
        let mut at = start;
        let mut escaped = false;
        let mut high = false;
        loop {
            at = plain_end(body, at, &mut high);
            match body.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = skip_escape(body, at)?;
                }
                _ => return Err(ParseErrorKind::JsonSyntax.at(at)),
            }
        }
        if at.wrapping_sub(start) > limit {
            return Err(ParseErrorKind::JsonSize.at(start));
        }
        if high {
            check_utf8(body, start, at)?;
        }
        Ok(Self { start, end: at, escaped })
    }

    /// The bytes as written.
    pub(crate) fn raw<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        body.get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes as meant: escapes decoded, always UTF-8.
    pub(crate) fn decoded<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let raw = self.raw(body);
        if !self.escaped {
            return Cow::Borrowed(raw);
        }
        let mut decoded = Vec::with_capacity(raw.len());
        decode_into(raw, &mut decoded);
        Cow::Owned(decoded)
    }
}

/// Appends the content of a checked string with its escapes decoded.
pub(crate) fn decode_into(mut raw: &[u8], decoded: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', raw) {
        let (plain, escape) = raw.split_at_checked(at).unwrap_or((raw, &[]));
        decoded.extend_from_slice(plain);
        let (character, length) = decode_escape(escape);
        let mut buffer = [0; 4];
        decoded.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        raw = escape.get(length..).unwrap_or_default();
    }
    decoded.extend_from_slice(raw);
}

/// Whether two member names are one to a parser that ignores case.
///
/// Go's `encoding/json` folds by Unicode: the long s (U+017F) equals `s`, and the Kelvin sign (U+212A) equals `k`.
pub(crate) fn differs_in_case_only(name: &[u8], known: &str) -> bool {
    if name.is_ascii() {
        return name != known.as_bytes() && name.eq_ignore_ascii_case(known.as_bytes());
    }
    let Ok(name) = std::str::from_utf8(name) else { return false };
    name != known
        && name
            .chars()
            .map(|character| match character {
                '\u{17f}' => 's',
                '\u{212a}' => 'k',
                other => other.to_ascii_lowercase(),
            })
            .eq(known.chars().map(|character| character.to_ascii_lowercase()))
}

/// The place of the first quote, backslash or control character from `at` on, or the end of the body. Notes whether
/// there are bytes before it that are not ASCII: a string of ASCII only needs no UTF-8 check.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline]
fn plain_end(body: &[u8], mut at: usize, high: &mut bool) -> usize {
    let mut rest = body.get(at..).unwrap_or_default();
    while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
        let plain = block::plain(block);
        *high |= !plain.ascii;
        at = at.saturating_add(plain.length);
        if plain.length < BLOCK {
            return at;
        }
        rest = behind;
    }
    for &byte in rest {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        *high |= byte >= 0x80;
        at = at.saturating_add(1);
    }
    at
}

#[cold]
fn not_utf8(content: &[u8], start: usize) -> Fault {
    let valid = std::str::from_utf8(content).map_or_else(|error| error.valid_up_to(), str::len);
    ParseErrorKind::JsonInvalidUtf8.at(start.saturating_add(valid))
}

fn check_utf8(body: &[u8], start: usize, end: usize) -> Result<(), Fault> {
    let content = body.get(start..end).unwrap_or_default();
    if block::is_utf8(content) { Ok(()) } else { Err(not_utf8(content, start)) }
}

/// The bytes that make an escape of two bytes. In a table, because a processor cannot guess which of them comes next.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it, and refuses an index that is out of bounds"
)]
const SHORT_ESCAPES: [bool; 256] = {
    let mut table = [false; 256];
    let mut bytes = b"\"\\/bfnrt".as_slice();
    while let [byte, rest @ ..] = bytes {
        table[*byte as usize] = true;
        bytes = rest;
    }
    table
};

/// Checks the escape that begins at `at` and returns the place behind it.
fn skip_escape(body: &[u8], at: usize) -> Result<usize, Fault> {
    let behind = |length: usize| at.saturating_add(length);
    match body.get(behind(1)) {
        Some(&byte) if SHORT_ESCAPES.get(usize::from(byte)) == Some(&true) => Ok(behind(2)),
        Some(b'u') => {
            let unit =
                hexadecimal(body.get(behind(2)..behind(6))).ok_or(ParseErrorKind::JsonSyntax.at(at))?;
            if !is_surrogate(unit) {
                return Ok(behind(6));
            }
            let lone = ParseErrorKind::JsonSurrogate.at(at);
            let (b"\\u", digits) = body.get(behind(6)..behind(12)).ok_or(lone)?.split_at(2) else {
                return Err(lone);
            };
            let low = hexadecimal(Some(digits)).ok_or(lone)?;
            pair(unit, low).map(|_| behind(12)).ok_or(lone)
        }
        _ => Err(ParseErrorKind::JsonSyntax.at(at)),
    }
}

/// The character of a checked escape and the escape's length.
fn decode_escape(escape: &[u8]) -> (char, usize) {
    match escape.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => {
            let unit = hexadecimal(escape.get(2..6)).unwrap_or(0xFFFD);
            match char::from_u32(unit) {
                Some(character) => (character, 6),
                None => {
                    let low = hexadecimal(escape.get(8..12)).unwrap_or(0);
                    (pair(unit, low).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
            }
        }
        Some(&other) => (char::from(other), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

fn hexadecimal(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |value: u32, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

fn is_surrogate(unit: u32) -> bool {
    (0xD800..0xE000).contains(&unit)
}

fn pair(high: u32, low: u32) -> Option<char> {
    let in_range = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    in_range.then(|| char::from_u32(0x1_0000 + ((high & 0x3FF) << 10 | low & 0x3FF))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_stops_a_run_is_found_at_every_alignment() {
        for stop in [b'"', b'\\', 0, 0x1F, b'\n'] {
            for length in 0..40 {
                let mut text = vec![b'!'; length];
                text.push(stop);
                text.extend_from_slice(b"\"\x01\\ behind it");
                assert_eq!(plain_end(&text, 0, &mut false), length, "stop {stop:#x}");
            }
        }
    }

    #[test]
    fn bytes_next_to_the_stopping_ones_do_not_stop_a_run() {
        let text: Vec<u8> = (0x20..=0xFF_u8)
            .filter(|byte| !matches!(byte, b'"' | b'\\'))
            .flat_map(|byte| [byte; 9])
            .collect();
        assert_eq!(plain_end(&text, 0, &mut false), text.len());
    }

    #[test]
    fn names_are_folded_as_lenient_parsers_do() {
        for (name, known, expected) in [
            ("Method", "method", true),
            ("METHOD", "method", true),
            ("method", "method", false),
            ("methods", "method", false),
            ("param\u{17f}", "params", true),
            ("ta\u{17f}\u{212a}id", "taskId", true),
            ("taskid", "taskId", true),
            ("ìd", "id", false),
        ] {
            assert_eq!(differs_in_case_only(name.as_bytes(), known), expected, "{name}");
        }
    }
}
