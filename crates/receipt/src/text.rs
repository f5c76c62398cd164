//! Text of bounded length and known characters.
//!
//! Much of what a record says was chosen by a client. A bound that merely rejects would let a client escape
//! evidence by sending a long tool name, so every form has a [`Text::clamped`] that cannot fail.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Which characters a [`Text`] may hold.
pub trait Form {
    /// What the form permits, for messages.
    const EXPECTED: &'static str;
    /// Stands in for a character that the form does not permit, and for text that may not be empty.
    const SUBSTITUTE: char;
    /// Ends a text that was cut.
    const CUT: char;
    /// Whether the empty text is permitted.
    const MAY_BE_EMPTY: bool;

    /// Whether the form permits this character.
    fn permits(character: char) -> bool;

    /// The part of a foreign text that may be kept at all.
    fn relevant(text: &str) -> &str {
        text
    }
}

/// The forms of [`Text`].
pub mod form {
    /// Any characters but control characters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Printable {}
    /// As [`Printable`], and not empty.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Name {}
    /// A request path without query and fragment, which may carry payload and secrets.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Path {}
    /// Lower-case letters, digits, `_`, `-`, `.`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Code {}
    /// A scope token (RFC 6749, section 3.3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Scope {}
}

/// Text of at most `MAX` bytes of UTF-8, in the form `F`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize, F> {
    text: String,
    form: PhantomData<F>,
}

/// Text without control characters.
pub type Printable<const MAX: usize> = Text<MAX, form::Printable>;
/// Text without control characters that is not empty.
pub type Name<const MAX: usize> = Text<MAX, form::Name>;
/// A request path without query and fragment.
pub type PathText = Text<1024, form::Path>;
/// A stable code such as `rule_denied`.
pub type Code = Text<64, form::Code>;
/// One scope of an access token.
pub type ScopeToken = Text<128, form::Scope>;

/// Why a text was refused. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// More bytes than the field holds.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The field's limit in bytes of UTF-8.
        limit: usize,
    },
    /// A character that the form does not permit.
    #[error("a character that is not permitted, expected {expected}")]
    Character {
        /// What the form permits.
        expected: &'static str,
    },
    /// Nothing where something is needed.
    #[error("empty, expected {expected}")]
    Empty {
        /// What the form permits.
        expected: &'static str,
    },
}

impl<const MAX: usize, F: Form> Text<MAX, F> {
    /// The text that fits: characters that the form does not permit are replaced, what is too long is cut and ends
    /// with a mark.
    pub fn clamped(text: &str) -> Self {
        let relevant = F::relevant(text);
        let mut clamped = String::with_capacity(relevant.len().min(MAX));
        // Where the text has to end if a mark must follow.
        let mut last_cut = 0;
        for character in relevant.chars() {
            let character = if F::permits(character) { character } else { F::SUBSTITUTE };
            if clamped.len() + character.len_utf8() > MAX {
                clamped.truncate(last_cut);
                clamped.push(F::CUT);
                break;
            }
            clamped.push(character);
            if clamped.len() + F::CUT.len_utf8() <= MAX {
                last_cut = clamped.len();
            }
        }
        if clamped.is_empty() && !F::MAY_BE_EMPTY {
            clamped.push(F::SUBSTITUTE);
        }
        Self { text: clamped, form: PhantomData }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn check(text: &str) -> Result<(), TextError> {
        if text.is_empty() && !F::MAY_BE_EMPTY {
            return Err(TextError::Empty { expected: F::EXPECTED });
        }
        if text.len() > MAX {
            return Err(TextError::TooLong { limit: MAX });
        }
        if !text.chars().all(F::permits) {
            return Err(TextError::Character { expected: F::EXPECTED });
        }
        Ok(())
    }
}

impl<const MAX: usize, F: Form> TryFrom<&str> for Text<MAX, F> {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Self, TextError> {
        Self::check(text)?;
        Ok(Self { text: text.to_owned(), form: PhantomData })
    }
}

impl<const MAX: usize, F> fmt::Debug for Text<MAX, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(formatter)
    }
}

impl<const MAX: usize, F> fmt::Display for Text<MAX, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(formatter)
    }
}

impl<const MAX: usize, F> Serialize for Text<MAX, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, const MAX: usize, F: Form> Deserialize<'de> for Text<MAX, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::check(&text).map_err(de::Error::custom)?;
        Ok(Self { text, form: PhantomData })
    }
}

impl Form for form::Printable {
    const EXPECTED: &'static str = "text without control characters";
    const SUBSTITUTE: char = char::REPLACEMENT_CHARACTER;
    const CUT: char = '…';
    const MAY_BE_EMPTY: bool = true;

    fn permits(character: char) -> bool {
        !character.is_control()
    }
}

impl Form for form::Name {
    const EXPECTED: &'static str = "text without control characters that is not empty";
    const SUBSTITUTE: char = char::REPLACEMENT_CHARACTER;
    const CUT: char = '…';
    const MAY_BE_EMPTY: bool = false;

    fn permits(character: char) -> bool {
        !character.is_control()
    }
}

impl Form for form::Path {
    const EXPECTED: &'static str = "a path without query, fragment and control characters";
    const SUBSTITUTE: char = char::REPLACEMENT_CHARACTER;
    const CUT: char = '…';
    const MAY_BE_EMPTY: bool = true;

    fn permits(character: char) -> bool {
        !character.is_control() && character != '?' && character != '#'
    }

    fn relevant(text: &str) -> &str {
        text.split(['?', '#']).next().unwrap_or_default()
    }
}

impl Form for form::Code {
    const EXPECTED: &'static str = "lower-case letters, digits, `_`, `-` and `.`";
    const SUBSTITUTE: char = '_';
    const CUT: char = '_';
    const MAY_BE_EMPTY: bool = false;

    fn permits(character: char) -> bool {
        matches!(character, 'a'..='z' | '0'..='9' | '_' | '-' | '.')
    }
}

impl Form for form::Scope {
    const EXPECTED: &'static str = "a scope token (RFC 6749, section 3.3)";
    const SUBSTITUTE: char = '_';
    const CUT: char = '_';
    const MAY_BE_EMPTY: bool = false;

    fn permits(character: char) -> bool {
        matches!(character, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clamping_keeps_what_fits_and_marks_what_does_not() {
        assert_eq!(Printable::<8>::clamped("read").as_str(), "read");
        assert_eq!(Printable::<8>::clamped("12345678").as_str(), "12345678");
        assert_eq!(Printable::<8>::clamped("123456789").as_str(), "12345…");
        assert_eq!(Printable::<8>::clamped("a\nb").as_str(), "a\u{fffd}b");
        assert_eq!(PathText::clamped("/mcp?key=1#part").as_str(), "/mcp");
        assert_eq!(Code::clamped("Rule Denied").as_str(), "_ule__enied");
        assert_eq!(Code::clamped("").as_str(), "_");
        assert_eq!(ScopeToken::clamped("a\"b").as_str(), "a_b");
    }

    #[test]
    fn refusals_say_why_without_repeating_the_text() {
        assert_eq!(Printable::<4>::try_from("12345"), Err(TextError::TooLong { limit: 4 }));
        assert!(matches!(Name::<4>::try_from(""), Err(TextError::Empty { .. })));
        let error = serde_json::from_str::<Name<64>>(r#""hunter2\u0007""#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    fn clamped_is_accepted<const MAX: usize, F: Form>(text: &str) -> bool {
        let clamped = Text::<MAX, F>::clamped(text);
        Text::<MAX, F>::check(clamped.as_str()).is_ok()
            && (Text::<MAX, F>::check(text).is_err() || clamped.as_str() == text)
    }

    proptest! {
        #[test]
        fn clamped_text_is_always_accepted_and_good_text_is_unchanged(text in ".{0,40}|[\\x00-\\x7f]{0,40}") {
            prop_assert!(clamped_is_accepted::<16, form::Printable>(&text));
            prop_assert!(clamped_is_accepted::<16, form::Name>(&text));
            prop_assert!(clamped_is_accepted::<16, form::Path>(&text));
            prop_assert!(clamped_is_accepted::<16, form::Code>(&text));
            prop_assert!(clamped_is_accepted::<16, form::Scope>(&text));
        }
    }
}
