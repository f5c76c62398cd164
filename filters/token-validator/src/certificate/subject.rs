//! The subject of a certificate in its written form, read strictly.

/// A distinguished name as [RFC 4514](https://www.rfc-editor.org/rfc/rfc4514) section 3 writes it, which is also what
/// BoringSSL prints with `XN_FLAG_RFC2253`. Only what rules ask for is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    common_names: Vec<Value>,
    organizational_units: Vec<Value>,
}

/// Value of an attribute; `None` where it is not text.
type Value = Option<String>;

/// Longest subject that is read, in bytes.
const BYTES: usize = 4_096;

/// Most attributes of one subject.
const ATTRIBUTES: usize = 64;

impl Subject {
    /// Reads a subject; an empty one names nothing.
    ///
    /// `None` for what the RFC does not allow: blanks around separators, quoted values (RFC 1779 had them), escapes of
    /// other characters; also for values that are not UTF-8 or have control characters, and for more than the limits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut subject = Self::default();
        if text.is_empty() {
            return Some(subject);
        }
        let mut rest = (text.len() <= BYTES).then_some(text.as_bytes())?;
        for _ in 0..ATTRIBUTES {
            let (kind, after) = split_type(rest)?;
            let (value, after) = split_value(after)?;
            match kind {
                b"CN" | b"2.5.4.3" => subject.common_names.push(value),
                b"OU" | b"2.5.4.11" => subject.organizational_units.push(value),
                _ if kind.eq_ignore_ascii_case(b"CN") => subject.common_names.push(value),
                _ if kind.eq_ignore_ascii_case(b"OU") => subject.organizational_units.push(value),
                _ => {}
            }
            match after.split_first() {
                None => return Some(subject),
                // Between the parts of a name, and between the attributes of one part: rules make no difference.
                Some((b',' | b'+', after)) => rest = after,
                Some(_) => return None,
            }
        }
        None
    }

    /// The common name, if there is exactly one and it is text.
    pub(super) fn common_name(&self) -> Option<&str> {
        match self.common_names.as_slice() {
            [Some(name)] => Some(name),
            _ => None,
        }
    }

    /// All organizational units that are text.
    pub(super) fn organizational_units(&self) -> impl Iterator<Item = &str> {
        self.organizational_units.iter().flatten().map(String::as_str)
    }
}

/// An attribute type up to its `=`: a name or a dotted number.
fn split_type(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'=')?;
    let (kind, after) = (text.get(..end)?, text.get(end + 1..)?);
    let is_name = |kind: &[u8]| {
        kind.first().is_some_and(u8::is_ascii_alphabetic)
            && kind.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    let is_number = |kind: &[u8]| {
        let arc = |arc: &[u8]| {
            arc.iter().all(u8::is_ascii_digit)
                && !arc.is_empty()
                && (arc.len() == 1 || !arc.starts_with(b"0"))
        };
        kind.contains(&b'.') && kind.split(|byte| *byte == b'.').all(arc)
    };
    (is_name(kind) || is_number(kind)).then_some((kind, after))
}

/// A value up to the separator that ends it.
fn split_value(text: &[u8]) -> Option<(Value, &[u8])> {
    match text.split_first() {
        Some((b'#', digits)) => {
            let end = digits.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(digits.len());
            let (digits, after) = digits.split_at_checked(end)?;
            (!digits.is_empty() && digits.len() % 2 == 0).then_some((None, after))
        }
        _ => split_text(text),
    }
}

fn split_text(text: &[u8]) -> Option<(Value, &[u8])> {
    let (mut value, mut rest, mut ends_in_blank) = (Vec::new(), text, false);
    loop {
        let (byte, after) = match rest.split_first() {
            None | Some((b',' | b'+', _)) => break,
            Some((byte, after)) => (*byte, after),
        };
        rest = after;
        ends_in_blank = byte == b' ';
        match byte {
            b' ' if value.is_empty() => return None,
            b'"' | b';' | b'<' | b'>' | 0 => return None,
            b'\\' => {
                let (byte, after) = escaped(rest)?;
                value.push(byte);
                rest = after;
            }
            byte => value.push(byte),
        }
    }
    let value = String::from_utf8(value).ok().filter(|_| !ends_in_blank)?;
    (!value.contains(char::is_control)).then_some((Some(value), rest))
}

/// What follows a backslash: a character that has a meaning, or two digits.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (first, after) = text.split_first()?;
    if matches!(first, b'\\' | b'"' | b'+' | b',' | b';' | b'<' | b'>' | b' ' | b'#' | b'=') {
        return Some((*first, after));
    }
    let (second, after) = after.split_first()?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(first)? << 4 | digit(second)?, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(text: &str) -> Option<Vec<String>> {
        Subject::parse(text).map(|subject| subject.organizational_units().map(str::to_owned).collect())
    }

    fn name(text: &str) -> Option<String> {
        Subject::parse(text).unwrap().common_name().map(str::to_owned)
    }

    #[test]
    fn names_are_read_as_they_are_printed() {
        for (text, expected) in [
            ("CN=agent-7,OU=agents,O=Example", "agent-7"),
            ("cn=agent-7", "agent-7"),
            ("2.5.4.3=agent-7", "agent-7"),
            ("O=Example,CN=agent-7+UID=7", "agent-7"),
            ("CN=James \\\"Jim\\\" Smith\\, III,DC=example,DC=net", "James \"Jim\" Smith, III"),
            ("CN=Before\\0DAfter\\5C", ""),
            ("CN=Lu\\C4\\8Di\\C4\\87", "Lučić"),
            ("CN=Lučić", "Lučić"),
            ("CN=a=b", "a=b"),
            ("CN=a\\=b#", "a=b#"),
            ("CN=\\ a\\ ", " a "),
            ("CN=\\#a", "#a"),
            ("1.3.6.1.4.1.1466.0=#04024869,CN=a", "a"),
            ("CN=a\\20", "a "),
        ] {
            let read = Subject::parse(text).and_then(|subject| subject.common_name().map(str::to_owned));
            assert_eq!(read.unwrap_or_default(), expected, "{text}");
        }
        assert_eq!(Subject::parse(""), Some(Subject::default()));
        assert_eq!(units("OU=a+OU=b,CN=c,OU=d").unwrap(), ["a", "b", "d"]);
        assert_eq!(name("CN="), Some(String::new()));
    }

    #[test]
    fn what_is_escaped_in_a_value_stays_in_it() {
        for text in [
            "CN=evil\\,OU=agents,O=Example",
            "CN=evil\\2COU=agents,O=Example",
            "CN=evil\\+OU\\=agents,O=Example",
            "CN=evil\\\\\\,OU=agents",
            "O=x\\,OU=agents,CN=evil",
        ] {
            assert_eq!(units(text), Some(Vec::new()), "{text}");
        }
        assert_eq!(name("CN=evil\\,OU=agents").unwrap(), "evil,OU=agents");
        assert_eq!(
            units("CN=good\\\\,OU=agents").unwrap(),
            ["agents"],
            "an escaped backslash escapes nothing"
        );
    }

    #[test]
    fn two_common_names_are_none() {
        for text in ["CN=a,CN=b", "CN=a+CN=a", "cn=a,2.5.4.3=b", "CN=#0401,CN=a", "CN=#0401", "O=a"] {
            assert_eq!(name(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_with_certainty_is_not_read() {
        for text in [
            " ",
            "CN",
            "=a",
            "CN=a,",
            ",CN=a",
            "CN=a,,OU=b",
            "CN=a, OU=b",
            "CN=a ,OU=b",
            "CN = a",
            "CN= a",
            "CN=a ",
            "CN=a;OU=b",
            "CN=\"a\"",
            "CN=\"a,OU=b\"",
            "CN=a\"b",
            "CN=<a>",
            "CN=a\\",
            "CN=a\\x",
            "CN=a\\4",
            "CN=a\\G0",
            "CN=a\\U0041",
            "CN=\\FF",
            "CN=\\C0\\80",
            "CN=a\\00b",
            "CN=a\\0Ab",
            "CN=a\0b",
            "CN=a\nb",
            "CN=a\u{85}b",
            "CN=#",
            "CN=#0",
            "CN=#040",
            "CN=#04 ,OU=a",
            "CN=#04g0",
            "C N=a",
            "Ä=a",
            "1CN=a",
            "2..5=a",
            "2.05=a",
            "25=a",
            ".2=a",
            "/CN=a/OU=b",
        ] {
            assert_eq!(Subject::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn length_and_number_of_attributes_are_bounded() {
        let subject = |attributes: usize| vec!["OU=a"; attributes].join(",");
        assert_eq!(units(&subject(64)).map(|units| units.len()), Some(64));
        assert_eq!(units(&subject(65)), None);
        assert!(Subject::parse(&format!("CN={}", "a".repeat(4_093))).is_some());
        assert!(Subject::parse(&format!("CN={}", "a".repeat(4_094))).is_none());
    }

    /// As BoringSSL writes a value with `ASN1_STRFLGS_RFC2253`.
    fn printed(value: &str) -> String {
        let last = value.len().saturating_sub(1);
        let escaped = value.bytes().enumerate().map(|(at, byte)| match byte {
            b' ' if at == 0 || at == last => "\\ ".to_owned(),
            b'#' if at == 0 => "\\#".to_owned(),
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => format!("\\{}", char::from(byte)),
            0..0x20 | 0x7f.. => format!("\\{byte:02X}"),
            byte => char::from(byte).to_string(),
        });
        escaped.collect()
    }

    proptest! {
        #[test]
        fn every_value_is_read_as_it_was_printed(
            name in "[a#,+\"\\\\<>;= é*]{1,12}",
            unit in "[a#,+\"\\\\<>;= é*]{1,12}",
            separator in "[,+]",
        ) {
            let text = format!("CN={}{separator}OU={}", printed(&name), printed(&unit));
            let subject = Subject::parse(&text).unwrap();
            prop_assert_eq!(subject.common_name(), Some(name.as_str()));
            prop_assert_eq!(subject.organizational_units().collect::<Vec<_>>(), [unit.as_str()]);
        }

        #[test]
        fn any_text_is_read_or_not(text in "(CN=|OU=|[ -~]|\\\\|,|\\+|é|\0){0,24}") {
            let _ = Subject::parse(&text);
        }
    }
}
