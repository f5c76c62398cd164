//! What is found, what is not, and the laws that hold for every input.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cards;
mod documents;
mod emails;
mod hostile;
mod laws;

use airlock_redact::{Class, Redactor};

fn both() -> Redactor {
    Redactor::new(&[Class::Email, Class::Card])
}

/// The text after cleaning, whether or not something was found.
fn cleaned(text: &str) -> String {
    let redacted = both().text(text.as_bytes());
    redacted.output.map_or_else(|| text.to_owned(), |output| String::from_utf8(output).unwrap())
}

fn assert_cleaned(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(&cleaned(text), expected, "`{text}`");
    }
}

fn assert_untouched(table: &[&str]) {
    for text in table {
        let redacted = both().text(text.as_bytes());
        assert_eq!(redacted.output, None, "`{text}` became `{}`", cleaned(text));
        assert!(redacted.findings.is_empty(), "`{text}`");
    }
}
