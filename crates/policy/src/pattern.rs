use crate::limits;

/// A name in which `*` stands for any run of characters, the empty run included.
///
/// Matching takes time linear in the name and the pattern: the parts between the stars are found from left to
/// right, each at its first occurrence, and nothing is ever tried twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    prefix: Box<str>,
    middle: Box<[Box<str>]>,
    suffix: Box<str>,
}

impl Pattern {
    /// The pattern in `text`, or `None` if it has no star and is an exact name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once('*')?;
        let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle = middle.split('*').filter(|part| !part.is_empty()).map(Box::from).collect();
        Some(Self { prefix: prefix.into(), middle, suffix: suffix.into() })
    }

    /// The pattern that matches every name.
    pub(crate) fn any() -> Self {
        Self { prefix: "".into(), middle: Box::default(), suffix: "".into() }
    }

    /// Whether the pattern matches every name.
    pub(crate) fn is_any(&self) -> bool {
        self.prefix.is_empty() && self.middle.is_empty() && self.suffix.is_empty()
    }

    /// Whether the pattern matches the whole of `name`.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let inner = name.strip_prefix(&*self.prefix).and_then(|rest| rest.strip_suffix(&*self.suffix));
        let Some(inner) = inner else { return false };
        let mut parts = self.middle.iter();
        parts.try_fold(inner, |rest, part| rest.split_once(&**part).map(|(_, after)| after)).is_some()
    }
}

/// Whether a rule could name this tool or method: printable ASCII of limited length.
///
/// A name with control characters or letters outside ASCII matches nothing, not even `*`, so that a name which
/// only looks like an allowed one, or breaks out of a log line, is denied by default.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::NAME_BYTES
        && name.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The meaning of a star, tried out in every way there is.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skipped| naive(rest, &name[skipped..])),
            Some((first, rest)) => {
                name.split_first().is_some_and(|(n, after)| n == first && naive(rest, after))
            }
        }
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        let cases = [
            ("*", "", true),
            ("*", "anything", true),
            ("get-*", "get-", true),
            ("get-*", "get-sum", true),
            ("get-*", "forget-sum", false),
            ("*-sum", "get-sum", true),
            ("*-sum", "get-sum-all", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a**b", "ab", true),
            ("get-*", "GET-sum", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_name_without_a_star_is_exact() {
        assert_eq!(Pattern::parse("echo"), None);
        assert!(Pattern::parse("**").unwrap().is_any() && Pattern::any().is_any());
        assert!(!Pattern::parse("*a*").unwrap().is_any());
    }

    #[test]
    fn names_that_are_not_printable_ascii_are_not_plain() {
        for name in ["", "ec\u{0}ho", "echo\n", "\u{435}cho", "echo\u{200b}", "e\u{301}cho", "\u{7f}"] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(!is_plain(&"a".repeat(limits::NAME_BYTES + 1)));
        assert!(is_plain(&"a".repeat(limits::NAME_BYTES)) && is_plain("Get Weather"));
    }

    proptest! {
        #[test]
        fn matching_equals_its_meaning(pattern in "[ab]{0,3}\\*[ab*]{0,6}", name in "[ab]{0,10}") {
            let compiled = Pattern::parse(&pattern).unwrap();
            prop_assert_eq!(compiled.matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
