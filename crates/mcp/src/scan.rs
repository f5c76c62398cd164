//! A strict, non-recursive JSON scanner (RFC 8259, with unique member names as in I-JSON, RFC 7493).
//!
//! The caller pulls: members of the objects that it understands, whole values of everything else. Either way each byte
//! is checked once, by the same code, against the same limits.

use crate::Limits;
use crate::error::{Fault, ParseErrorKind};
use crate::message::Span;
use crate::text::{Text, decode_into};

/// Reads one JSON text from its first byte to its last.
pub(crate) struct Scanner<'a> {
    body: &'a [u8],
    position: usize,
    limits: &'a Limits,
    members: usize,
    open: Vec<Container>,
    /// Names of the members of all open objects, innermost last.
    names: Vec<Name>,
    /// What names with escapes in them mean.
    decoded: Vec<u8>,
}

/// One value of the text.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) span: Span,
    pub(crate) form: Form,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Object,
    Array,
    Text(Text),
    Number,
    Boolean,
    Null,
}

struct Container {
    closing: u8,
    started: bool,
    first_name: usize,
    first_decoded: usize,
}

/// A member name: a range of the body, or of the decoded bytes when it was written with escapes.
#[derive(Clone, Copy)]
struct Name {
    start: usize,
    end: usize,
    escaped: bool,
    offset: usize,
}

/// Objects up to this size are compared name by name as they are read, larger ones sorted when they close.
const COMPARED_DIRECTLY: usize = 16;

/// Numbers that are shorter than this and have no exponent fit a double.
const SURELY_FINITE: usize = 300;

impl<'a> Scanner<'a> {
    pub(crate) fn new(body: &'a [u8], limits: &'a Limits) -> Self {
        Self {
            body,
            position: 0,
            limits,
            members: 0,
            open: Vec::with_capacity(limits.depth.min(16)),
            names: Vec::with_capacity(32),
            decoded: Vec::new(),
        }
    }

    /// Accepts numbers that a double cannot hold exactly.
    pub(crate) fn lenient_numbers(self) -> Self {
        self
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.body.get(self.position) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.position += 1,
                other => return other.copied(),
            }
        }
    }

    /// Enters the object or array that begins at the current byte.
    pub(crate) fn enter(&mut self) -> Result<(), Fault> {
        let closing = match self.byte() {
            Some(b'{') => b'}',
            Some(b'[') => b']',
            _ => return Err(self.fault(ParseErrorKind::JsonSyntax)),
        };
        if self.open.len() >= self.limits.depth {
            return Err(self.fault(ParseErrorKind::JsonDepth));
        }
        self.position += 1;
        self.open.push(Container {
            closing,
            started: false,
            first_name: self.names.len(),
            first_decoded: self.decoded.len(),
        });
        Ok(())
    }

    /// The name of the next member of the innermost container, which is an object; `None` once it has closed.
    ///
    /// The scanner then stands before the member's value.
    pub(crate) fn next_name(&mut self) -> Result<Option<Text>, Fault> {
        if !self.advance()? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.fault(ParseErrorKind::JsonSyntax));
        }
        let name = self.text()?;
        self.remember(name)?;
        if self.peek() != Some(b':') {
            return Err(self.fault(ParseErrorKind::JsonSyntax));
        }
        self.position += 1;
        Ok(Some(name))
    }

    /// Whether the innermost container, which is an array, has another element; the scanner then stands before it.
    pub(crate) fn next_element(&mut self) -> Result<bool, Fault> {
        self.advance()
    }

    /// Reads one whole value, whatever is inside.
    pub(crate) fn value(&mut self) -> Result<Value, Fault> {
        self.peek();
        let start = self.position;
        let outside = self.open.len();
        let form = self.head()?;
        while self.open.len() > outside {
            let more = match self.open.last() {
                Some(container) if container.closing == b'}' => self.next_name()?.is_some(),
                _ => self.advance()?,
            };
            if more {
                self.peek();
                self.head()?;
            }
        }
        Ok(Value { span: start..self.position, form })
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(ParseErrorKind::JsonTrailingBytes)),
        }
    }

    /// Reads a scalar, or enters a container.
    fn head(&mut self) -> Result<Form, Fault> {
        match self.byte() {
            Some(b'"') => self.text().map(Form::Text),
            Some(b'{') => self.enter().map(|()| Form::Object),
            Some(b'[') => self.enter().map(|()| Form::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Form::Number),
            Some(b't') => self.literal(b"true").map(|()| Form::Boolean),
            Some(b'f') => self.literal(b"false").map(|()| Form::Boolean),
            Some(b'n') => self.literal(b"null").map(|()| Form::Null),
            _ => Err(self.fault(ParseErrorKind::JsonSyntax)),
        }
    }

    /// Steps to the next member or element of the innermost container; `false` once it has closed.
    fn advance(&mut self) -> Result<bool, Fault> {
        let next = self.peek();
        let Some(container) = self.open.last_mut() else {
            return Err(self.fault(ParseErrorKind::JsonSyntax));
        };
        if next == Some(container.closing) {
            self.position += 1;
            return self.leave().map(|()| false);
        }
        if container.started {
            if next != Some(b',') {
                return Err(self.fault(ParseErrorKind::JsonSyntax));
            }
            self.position += 1;
        }
        container.started = true;
        self.members = self.members.saturating_add(1);
        if self.members > self.limits.members {
            return Err(self.fault(ParseErrorKind::JsonSize));
        }
        Ok(true)
    }

    fn leave(&mut self) -> Result<(), Fault> {
        let Some(container) = self.open.pop() else { return Ok(()) };
        let Self { body, names, decoded, .. } = self;
        let of_this_object = names.get_mut(container.first_name..).unwrap_or_default();
        if of_this_object.len() > COMPARED_DIRECTLY {
            // Sorting needs no randomness, and no choice of names makes it quadratic.
            of_this_object.sort_unstable_by_key(|name| {
                let bytes = name.bytes(body, decoded);
                (bytes.len(), bytes, name.offset)
            });
            let twice = of_this_object.windows(2).find_map(|pair| match pair {
                [one, other] if one.bytes(body, decoded) == other.bytes(body, decoded) => Some(other.offset),
                _ => None,
            });
            if let Some(offset) = twice {
                return Err(ParseErrorKind::JsonDuplicateKey.at(offset));
            }
        }
        self.names.truncate(container.first_name);
        self.decoded.truncate(container.first_decoded);
        Ok(())
    }

    /// Notes a member's name and, in a small object, compares it with those before it.
    fn remember(&mut self, text: Text) -> Result<(), Fault> {
        let mut name = Name {
            start: text.start,
            end: text.end,
            escaped: text.escaped,
            offset: text.start.saturating_sub(1),
        };
        if text.escaped {
            name.start = self.decoded.len();
            decode_into(text.raw(self.body), &mut self.decoded);
            name.end = self.decoded.len();
        }
        let first = self.open.last().map_or(0, |container| container.first_name);
        let before = self.names.get(first..).unwrap_or_default();
        if before.len() < COMPARED_DIRECTLY {
            let bytes = name.bytes(self.body, &self.decoded);
            let is_same = |other: &Name| {
                other.length() == bytes.len() && other.bytes(self.body, &self.decoded) == bytes
            };
            if before.iter().any(is_same) {
                return Err(ParseErrorKind::JsonDuplicateKey.at(name.offset));
            }
        }
        self.names.push(name);
        Ok(())
    }

    fn text(&mut self) -> Result<Text, Fault> {
        let text = Text::scan(self.body, self.position.saturating_add(1), self.limits.string_bytes)?;
        self.position = text.end.saturating_add(1);
        Ok(text)
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        let rest = self.body.get(self.position..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.fault(ParseErrorKind::JsonSyntax));
        }
        self.position = self.position.saturating_add(word.len());
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.position;
        if self.byte() == Some(b'-') {
            self.position += 1;
        }
        let leading_zero = self.byte() == Some(b'0');
        if self.digits()? > 1 && leading_zero {
            return Err(ParseErrorKind::JsonNumber.at(start));
        }
        if self.byte() == Some(b'.') {
            self.position += 1;
            self.digits()?;
        }
        let has_exponent = matches!(self.byte(), Some(b'e' | b'E'));
        if has_exponent {
            self.position += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.digits()?;
        }
        let written = self.body.get(start..self.position).unwrap_or_default();
        if (has_exponent || written.len() > SURELY_FINITE) && !is_finite(written) {
            return Err(ParseErrorKind::JsonNumber.at(start));
        }
        Ok(())
    }

    /// Skips one or more digits and counts them.
    fn digits(&mut self) -> Result<usize, Fault> {
        let rest = self.body.get(self.position..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.position = self.position.saturating_add(count);
        if count == 0 { Err(self.fault(ParseErrorKind::JsonNumber)) } else { Ok(count) }
    }

    fn byte(&self) -> Option<u8> {
        self.body.get(self.position).copied()
    }

    fn fault(&self, kind: ParseErrorKind) -> Fault {
        kind.at(self.position)
    }
}

impl Name {
    fn length(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    fn bytes<'b>(&self, body: &'b [u8], decoded: &'b [u8]) -> &'b [u8] {
        let source = if self.escaped { decoded } else { body };
        source.get(self.start..self.end).unwrap_or_default()
    }
}

fn is_finite(written: &[u8]) -> bool {
    std::str::from_utf8(written).is_ok_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite))
}
