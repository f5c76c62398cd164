//! Finds e-mail addresses and payment card numbers in JSON and in text, and puts labels in their place.
//!
//! A [`Redactor`] searches the *meaning* of a JSON document: strings are unescaped first, so that
//! `a\u0040b.com` hides nothing. What it does not change stays identical, byte for byte. Object keys are left
//! alone: they are names that programs look up, and renaming one breaks the reader.
//!
//! Detection goes by shape, in time linear in the input, and errs towards redacting. What it does not see:
//! quoted local parts (`"a b"@example.com`), addresses at hosts without a dot, digits that are spelt out,
//! spaced one by one or spread over several JSON values, invisible characters in the middle, and anything
//! encoded further (base64, percent-encoding other than `%40`). What it takes for a card although it is none:
//! a number of the right length that begins like a card and passes the Luhn check, one in ten of those.

mod card;
mod class;
mod detectors;
mod email;
mod escape;
mod leaves;
mod redactor;
mod splice;

pub use class::{Class, Findings};
pub use leaves::NotJson;
pub use redactor::{Redacted, Redactor};
