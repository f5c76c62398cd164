use std::ops::Range;

use memchr::memchr2;
use thiserror::Error;

/// The input is not one JSON value. The caller has validated it, so this is a bug or a cut in the wrong place.
#[derive(Error, Clone, Copy, PartialEq, Eq, Debug)]
#[error("not a JSON value")]
pub struct NotJson;

/// A value that can hold personal data, by its place in the document.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Leaf {
    /// The inside of a string, without its quotes.
    String { inside: Range<usize>, is_escaped: bool },
    /// A number without sign, fraction and exponent.
    Integer(Range<usize>),
}

/// Walks over the strings and integers of one JSON value (RFC 8259), in order; object keys are passed over.
///
/// The structure is checked, so that a key is never taken for a value; the inside of strings (control characters,
/// UTF-8) is not. Nesting costs one byte a level and no stack.
pub(crate) struct Leaves<'a> {
    json: &'a [u8],
    position: usize,
    containers: Vec<Container>,
    expected: Expected,
}

#[derive(Clone, Copy)]
enum Container {
    Array,
    Object,
}

#[derive(Clone, Copy)]
enum Expected {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
}

impl<'a> Leaves<'a> {
    pub(crate) fn new(json: &'a [u8]) -> Self {
        Self { json, position: 0, containers: Vec::new(), expected: Expected::Value }
    }

    /// The next leaf, or `None` at the end of the document.
    pub(crate) fn next(&mut self) -> Result<Option<Leaf>, NotJson> {
        loop {
            self.skip_whitespace();
            let Some(byte) = self.peek() else { return self.finish() };
            match (self.expected, byte) {
                (Expected::Value | Expected::ValueOrEnd, _) if byte != b']' => {
                    if let Some(leaf) = self.value(byte)? {
                        return Ok(Some(leaf));
                    }
                }
                (Expected::Key | Expected::KeyOrEnd, b'"') => self.key()?,
                (Expected::CommaOrEnd, b',') => {
                    self.position += 1;
                    self.expected = match self.containers.last().ok_or(NotJson)? {
                        Container::Array => Expected::Value,
                        Container::Object => Expected::Key,
                    };
                }
                (Expected::CommaOrEnd | Expected::ValueOrEnd, b']') => match self.containers.pop() {
                    Some(Container::Array) => self.end_value(1),
                    _ => return Err(NotJson),
                },
                (Expected::CommaOrEnd | Expected::KeyOrEnd, b'}') => match self.containers.pop() {
                    Some(Container::Object) => self.end_value(1),
                    _ => return Err(NotJson),
                },
                _ => return Err(NotJson),
            }
        }
    }

    fn finish(&self) -> Result<Option<Leaf>, NotJson> {
        match self.expected {
            Expected::CommaOrEnd if self.containers.is_empty() => Ok(None),
            _ => Err(NotJson),
        }
    }

    fn value(&mut self, first: u8) -> Result<Option<Leaf>, NotJson> {
        match first {
            b'{' => self.open(Container::Object, Expected::KeyOrEnd),
            b'[' => self.open(Container::Array, Expected::ValueOrEnd),
            b'"' => {
                let leaf = self.string()?;
                self.expected = Expected::CommaOrEnd;
                return Ok(Some(leaf));
            }
            b'-' | b'0'..=b'9' => return self.number(),
            _ => {
                let rest = self.json.get(self.position..).unwrap_or_default();
                let literals: [&[u8]; 3] = [b"true", b"false", b"null"];
                let literal =
                    literals.into_iter().find(|literal| rest.starts_with(literal)).ok_or(NotJson)?;
                self.end_value(literal.len());
            }
        }
        Ok(None)
    }

    fn open(&mut self, container: Container, expected: Expected) {
        self.position += 1;
        self.containers.push(container);
        self.expected = expected;
    }

    fn end_value(&mut self, length: usize) {
        self.position += length;
        self.expected = Expected::CommaOrEnd;
    }

    fn key(&mut self) -> Result<(), NotJson> {
        self.string()?;
        self.skip_whitespace();
        if self.peek() != Some(b':') {
            return Err(NotJson);
        }
        self.position += 1;
        self.expected = Expected::Value;
        Ok(())
    }

    fn string(&mut self) -> Result<Leaf, NotJson> {
        let start = self.position + 1;
        let mut end = start;
        let mut is_escaped = false;
        loop {
            end += memchr2(b'"', b'\\', self.json.get(end..).ok_or(NotJson)?).ok_or(NotJson)?;
            if self.json.get(end) == Some(&b'"') {
                self.position = end + 1;
                return Ok(Leaf::String { inside: start..end, is_escaped });
            }
            is_escaped = true;
            end += 2;
        }
    }

    fn number(&mut self) -> Result<Option<Leaf>, NotJson> {
        let start = self.position;
        self.skip_if(|byte| byte == b'-');
        let whole = self.position;
        let digits = self.skip_digits()?;
        if digits > 1 && self.json.get(whole) == Some(&b'0') {
            return Err(NotJson);
        }
        let end = self.position;
        if self.skip_if(|byte| byte == b'.') {
            self.skip_digits()?;
        }
        if self.skip_if(|byte| matches!(byte, b'e' | b'E')) {
            self.skip_if(|byte| matches!(byte, b'+' | b'-'));
            self.skip_digits()?;
        }
        self.expected = Expected::CommaOrEnd;
        let is_plain = start == whole && end == self.position;
        Ok(is_plain.then_some(Leaf::Integer(start..end)))
    }

    fn skip_digits(&mut self) -> Result<usize, NotJson> {
        let start = self.position;
        while self.skip_if(|byte| byte.is_ascii_digit()) {}
        let digits = self.position - start;
        if digits == 0 { Err(NotJson) } else { Ok(digits) }
    }

    fn skip_whitespace(&mut self) {
        while self.skip_if(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {}
    }

    fn skip_if(&mut self, is_wanted: impl Fn(u8) -> bool) -> bool {
        let is_there = self.peek().is_some_and(is_wanted);
        self.position += usize::from(is_there);
        is_there
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.position).copied()
    }
}
