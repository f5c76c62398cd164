//! Patterns of the names in certificates.

use std::{borrow::Cow, marker::PhantomData};

use serde::Deserialize;

/// A pattern of names of one kind: text that is compared as it is, and `*`, which stands for one character or more of
/// those that [`Kind::WILD`] accepts.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String", bound = "K: Kind")]
pub(super) struct Pattern<K> {
    text: String,
    kind: PhantomData<K>,
}

/// A kind of names.
pub(super) trait Kind {
    /// Whether `*` may stand for this character.
    const WILD: fn(char) -> bool;

    /// A name in the form in which it is compared; `None` if it is none of this kind.
    fn name(text: &str) -> Option<Cow<'_, str>>;

    /// The text of a pattern in that form.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    fn pattern(text: &str) -> Result<String, &'static str>;
}

/// A value of a subject's attribute, such as a common name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attribute {}

/// A DNS name.
#[derive(Clone, Copy, Debug)]
pub(super) enum DnsName {}

/// A URI, such as a SPIFFE id.
#[derive(Clone, Copy, Debug)]
pub(super) enum Uri {}

/// Longest pattern and longest name, in bytes.
const BYTES: usize = 2_048;

impl<K: Kind> Pattern<K> {
    /// Whether a name is one of these.
    pub(super) fn fits(&self, name: &str) -> bool {
        name.len() <= BYTES && K::name(name).is_some_and(|name| fits(&self.text, &name, K::WILD))
    }
}

impl Kind for Attribute {
    const WILD: fn(char) -> bool = |character| {
        !matches!(character, '.' | '/' | ':' | '@') && !character.is_whitespace() && !character.is_control()
    };

    fn name(text: &str) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(text))
    }

    fn pattern(text: &str) -> Result<String, &'static str> {
        Ok(text.to_owned())
    }
}

impl Kind for DnsName {
    const WILD: fn(char) -> bool = |character| character != '.';

    fn name(text: &str) -> Option<Cow<'_, str>> {
        is_dns_name(text, false).then(|| Cow::Owned(text.to_ascii_lowercase()))
    }

    fn pattern(text: &str) -> Result<String, &'static str> {
        let is_one = is_dns_name(text, true);
        if is_one { Ok(text.to_ascii_lowercase()) } else { Err("not a dns name with `*` in its labels") }
    }
}

impl Kind for Uri {
    const WILD: fn(char) -> bool =
        |character| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | '~');

    /// A dot segment would let what follows a `*` be about another place.
    fn name(text: &str) -> Option<Cow<'_, str>> {
        let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
        let dots = text.split(['/', '?', '#']).any(|segment| matches!(segment, "." | ".."));
        (graphic && !dots).then_some(Cow::Borrowed(text))
    }

    fn pattern(text: &str) -> Result<String, &'static str> {
        Self::name(text).ok_or("a uri has no blanks, no dot segments and only ascii")?;
        let (scheme, after) = text.split_once(':').ok_or("a uri begins with its scheme and `:`")?;
        let authority = after.strip_prefix("//").and_then(|after| after.split(['/', '?', '#']).next());
        if scheme.contains('*') || authority.is_some_and(|authority| authority.contains('*')) {
            return Err("`*` may stand after the authority only");
        }
        Ok(text.to_owned())
    }
}

impl<K: Kind> TryFrom<String> for Pattern<K> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let checked = match text.as_str() {
            "" => Err("a pattern is empty"),
            long if long.len() > BYTES => Err("a pattern is too long"),
            double if double.contains("**") => Err("`**` says no more than `*`"),
            text => K::pattern(text),
        };
        checked
            .map(|text| Self { text, kind: PhantomData })
            .map_err(|problem| format!("`{}`: {problem}", text.escape_debug()))
    }
}

impl<K> std::fmt::Debug for Pattern<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.text.fmt(formatter)
    }
}

fn is_dns_name(text: &str, with_wildcards: bool) -> bool {
    let label = |label: &str| {
        let character = |byte: u8| {
            byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (with_wildcards && byte == b'*')
        };
        (1..=63).contains(&label.len()) && label.bytes().all(character)
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Whether `name` is `pattern` with every `*` replaced by one wild character or more.
///
/// Only the last `*` is tried again, with one character more. That is enough: where an earlier one could reach further,
/// the text after it has wild characters only, and the later one can take them.
fn fits(pattern: &str, name: &str, wild: fn(char) -> bool) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut last_star = None;
    loop {
        let mut ahead = (pattern.clone(), name.clone());
        match (ahead.0.next(), ahead.1.next()) {
            (None, None) => return true,
            (Some('*'), Some(character)) if wild(character) => {
                last_star = Some(ahead.clone());
                (pattern, name) = ahead;
            }
            (Some(wanted), Some(character)) if wanted == character && wanted != '*' => {
                (pattern, name) = ahead
            }
            _ => {
                let Some((after_star, taken)) = last_star.as_mut() else { return false };
                if !taken.next().is_some_and(wild) {
                    return false;
                }
                (pattern, name) = (after_star.clone(), taken.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern<K: Kind>(text: &str) -> Result<Pattern<K>, String> {
        Pattern::try_from(text.to_owned())
    }

    fn check<K: Kind>(cases: &[(&str, &[&str], &[&str])]) {
        for (text, fitting, others) in cases {
            let pattern = pattern::<K>(text).unwrap();
            for name in *fitting {
                assert!(pattern.fits(name), "{text} {name}");
            }
            for name in *others {
                assert!(!pattern.fits(name), "{text} {name}");
            }
        }
    }

    #[test]
    fn a_common_name_fits_as_a_whole() {
        check::<Attribute>(&[
            ("agent-7", &["agent-7"], &["agent-70", "xagent-7", "Agent-7", "", "agent-7\0"]),
            (
                "agent-*",
                &["agent-7", "agent-payments-7", "agent-*", "agent-é"],
                &["agent-", "agent-7.evil.example.com", "agent-7@example.com", "agent-7 admin", "agent-a/b"],
            ),
            ("*.example.com", &["a.example.com"], &["a.b.example.com", ".example.com", "example.com"]),
            ("*a*b", &["xaxb", "aaab", "xaaxbb"], &["ab", "xab", "axb", "xaxbx"]),
        ]);
    }

    #[test]
    fn a_wildcard_stays_within_a_label() {
        check::<DnsName>(&[
            (
                "*.agents.example.com",
                &["a.agents.example.com", "A.Agents.Example.COM", "a_b-1.agents.example.com"],
                &[
                    "agents.example.com",
                    "a.b.agents.example.com",
                    ".agents.example.com",
                    "*.agents.example.com",
                    "a.agents.example.com.",
                    "a.agents.example.com.evil.org",
                    "a\0.agents.example.com",
                    "ä.agents.example.com",
                    "",
                ],
            ),
            (
                "agent-*.example.com",
                &["agent-7.example.com"],
                &["agent-.example.com", "agent-7.x.example.com"],
            ),
        ]);
        for text in ["", ".", "a..b", "a.", "*..a", "a b", "ä.example.com", "a.**.b", "a/b", &"a".repeat(64)]
        {
            assert!(pattern::<DnsName>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wildcard_stays_within_a_segment() {
        check::<Uri>(&[
            (
                "spiffe://example.org/ns/*/sa/agent-*",
                &["spiffe://example.org/ns/prod/sa/agent-7", "spiffe://example.org/ns/a.b_c~d-e/sa/agent-x"],
                &[
                    "spiffe://example.org/ns/prod/sa/agent-",
                    "spiffe://example.org/ns//sa/agent-7",
                    "spiffe://example.org/ns/a/b/sa/agent-7",
                    "spiffe://example.org/ns/../sa/agent-7",
                    "spiffe://example.org/ns/a%2Fb/sa/agent-7",
                    "spiffe://example.org/ns/prod/sa/agent-7/x",
                    "spiffe://example.org/ns/prod/sa/agent-7?x",
                    "spiffe://example.org/ns/prod/sa/agent-7#x",
                    "spiffe://EXAMPLE.org/ns/prod/sa/agent-7",
                    "spiffe://example.org.evil.org/ns/prod/sa/agent-7",
                    "spiffe://evil.org/spiffe://example.org/ns/prod/sa/agent-7",
                    "spiffe://example.org/ns/prod/sa/agent-é",
                ],
            ),
            (
                "urn:example:agent:*",
                &["urn:example:agent:7"],
                &["urn:example:agent:7:admin", "urn:example:agent:"],
            ),
        ]);
        for text in
            ["", "a", "*", "*://a/b", "s*://a/b", "https://*.example.com/a", "a://b/../c", "a:b c", "a:ä"]
        {
            assert!(pattern::<Uri>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_that_is_refused_is_shown() {
        assert_eq!(pattern::<DnsName>("a b").unwrap_err(), "`a b`: not a dns name with `*` in its labels");
        assert_eq!(pattern::<Attribute>("").unwrap_err(), "``: a pattern is empty");
        assert!(pattern::<Attribute>(&"a".repeat(BYTES + 1)).is_err());
    }

    #[test]
    fn hostile_names_do_not_take_long() {
        let pattern = pattern::<Attribute>(&"*a".repeat(1_024)).unwrap();
        let begun = std::time::Instant::now();
        assert!(!pattern.fits(&format!("{}b", "a".repeat(2_047))));
        assert!(begun.elapsed().as_secs() < 5);
    }

    /// The meaning, without regard to time.
    fn means(pattern: &[char], name: &[char], wild: fn(char) -> bool) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', pattern @ ..], [first, rest @ ..]) if wild(*first) => (0..=rest.len()).any(|taken| {
                rest[..taken].iter().all(|character| wild(*character)) && means(pattern, &rest[taken..], wild)
            }),
            (['*', ..], _) => false,
            ([wanted, pattern @ ..], [first, rest @ ..]) => wanted == first && means(pattern, rest, wild),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_it_says(pattern in "[a.*b]{0,8}", name in "[a.b*]{0,12}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = means(&characters(&pattern), &characters(&name), DnsName::WILD);
            prop_assert_eq!(fits(&pattern, &name, DnsName::WILD), expected);
        }
    }
}
