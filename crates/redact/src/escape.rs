use memchr::memchr;

use crate::leaves::NotJson;

/// Replaces the content of `text` by the meaning of `raw`, the inside of a JSON string (RFC 8259, section 7).
///
/// A surrogate without its other half, which JSON can say and UTF-8 cannot, becomes three bytes in the manner
/// of UTF-8; [`escape`] knows them.
pub(crate) fn unescape(raw: &[u8], text: &mut Vec<u8>) -> Result<(), NotJson> {
    text.clear();
    let mut rest = raw;
    while let Some(backslash) = memchr(b'\\', rest) {
        let (plain, escaped) = rest.split_at_checked(backslash).ok_or(NotJson)?;
        text.extend_from_slice(plain);
        rest = match escaped {
            [_, b'u', rest @ ..] => unescape_unicode(rest, text)?,
            [_, letter, rest @ ..] => {
                text.push(match letter {
                    b'"' | b'\\' | b'/' => *letter,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'f' => 0x0C,
                    _ => return Err(NotJson),
                });
                rest
            }
            _ => return Err(NotJson),
        };
    }
    text.extend_from_slice(rest);
    Ok(())
}

/// Appends `text` as the inside of a JSON string, escaping only what must be.
pub(crate) fn escape(text: &[u8], output: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(special) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\' | 0xED)) {
        let Some((plain, tail)) = rest.split_at_checked(special) else { break };
        output.extend_from_slice(plain);
        rest = match tail {
            [0xED, second @ 0xA0..0xC0, third @ 0x80..0xC0, tail @ ..] => {
                push_unicode(0xD000 | (u16::from(second & 0x3F) << 6) | u16::from(third & 0x3F), output);
                tail
            }
            [byte, tail @ ..] => {
                push_escaped(*byte, output);
                tail
            }
            [] => break,
        };
    }
    output.extend_from_slice(rest);
}

/// Reads the four hexadecimal digits after `\u`, and the second half of a pair; returns what follows.
fn unescape_unicode<'a>(digits: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], NotJson> {
    let (unit, rest) = code_unit(digits)?;
    let mut encoded = [0; 4];
    if let Some(character) = char::from_u32(unit) {
        text.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes());
        return Ok(rest);
    }
    if unit < 0xDC00
        && let Some(second) = rest.strip_prefix(br"\u")
        && let (low @ 0xDC00..0xE000, after) = code_unit(second)?
        && let Some(character) = char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    {
        text.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes());
        return Ok(after);
    }
    let low_bits = |shift: u32| (unit >> shift & 0x3F) as u8;
    text.extend_from_slice(&[0xED, 0x80 | low_bits(6), 0x80 | low_bits(0)]);
    Ok(rest)
}

fn code_unit(text: &[u8]) -> Result<(u32, &[u8]), NotJson> {
    let (digits, rest) = text.split_at_checked(4).ok_or(NotJson)?;
    let unit = digits.iter().try_fold(0, |unit, digit| {
        char::from(*digit).to_digit(16).map(|digit| unit << 4 | digit).ok_or(NotJson)
    })?;
    Ok((unit, rest))
}

fn push_escaped(byte: u8, output: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => output.extend_from_slice(&[b'\\', byte]),
        b'\n' => output.extend_from_slice(br"\n"),
        b'\r' => output.extend_from_slice(br"\r"),
        b'\t' => output.extend_from_slice(br"\t"),
        0x08 => output.extend_from_slice(br"\b"),
        0x0C => output.extend_from_slice(br"\f"),
        0..0x20 => push_unicode(u16::from(byte), output),
        _ => output.push(byte),
    }
}

fn push_unicode(unit: u16, output: &mut Vec<u8>) {
    output.extend_from_slice(br"\u");
    for shift in [12, 8, 4, 0] {
        let digit = (unit >> shift & 0xF) as u8;
        output.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_lose_nothing() {
        for (raw, again) in [
            (r"plain", r"plain"),
            (r#"\"\\\/\b\f\n\r\t"#, r#"\"\\/\b\f\n\r\t"#),
            (r"\u0041\u00e9\u20AC\ud83d\ude00", "Aé€😀"),
            (r"\u0000\u001F", r"\u0000\u001f"),
            (r"\ud83d", r"\ud83d"),
            (r"\uDE00\ud83dx", r"\ude00\ud83dx"),
            (r"\ud83d\ud83d\ude00", r"\ud83d😀"),
            (r"\ud83d\u0041", r"\ud83dA"),
            ("\u{d000}\u{d7ff}", "\u{d000}\u{d7ff}"),
        ] {
            let mut text = Vec::new();
            unescape(raw.as_bytes(), &mut text).unwrap();
            let mut output = Vec::new();
            escape(&text, &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), again, "{raw}");
        }
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for raw in [r"\", r"\x", r"\u", r"\u12", r"\u12g4", r"\u+123", r"\ud83d\u12"] {
            assert_eq!(unescape(raw.as_bytes(), &mut Vec::new()), Err(NotJson), "{raw}");
        }
    }
}
