//! A strict, non-recursive JSON scanner (RFC 8259, with unique member names as in I-JSON, RFC 7493).
//!
//! The caller pulls: members of the objects that it understands, whole values of everything else. Either way each byte
//! is checked once, by the same code, against the same limits.

use crate::Limits;
use crate::error::{Fault, ParseErrorKind};
use crate::message::Span;
use crate::names::{Names, Scope};
use crate::number::{self, Numbers};
use crate::text::Text;

/// Reads one JSON text from its first byte to its last.
pub(crate) struct Scanner<'a> {
    cursor: Cursor<'a>,
    limits: &'a Limits,
    numbers: Numbers,
    members: usize,
    open: Vec<Container>,
    names: Names<'a>,
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

#[derive(Clone, Copy)]
struct Container {
    closing: u8,
    started: bool,
    names: Scope,
}

/// A place in the text. It is copied into loops, where it costs nothing.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    body: &'a [u8],
    position: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(body: &'a [u8], limits: &'a Limits) -> Self {
        Self {
            cursor: Cursor { body, position: 0 },
            limits,
            numbers: Numbers::Exact,
            members: 0,
            open: Vec::with_capacity(limits.depth.min(16)),
            names: Names::new(body),
        }
    }

    /// The same with other numbers than [`Numbers::Exact`] accepted.
    pub(crate) fn accepting(self, numbers: Numbers) -> Self {
        Self { numbers, ..self }
    }

    pub(crate) fn position(&self) -> usize {
        self.cursor.position
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.cursor.peek()
    }

    /// Enters the object or array that begins at the current byte.
    pub(crate) fn enter(&mut self) -> Result<(), Fault> {
        let container = self.begin(&self.cursor, self.open.len())?;
        self.cursor.step();
        self.open.push(container);
        Ok(())
    }

    /// The name of the next member of the innermost container, which is an object; `None` once it has closed.
    ///
    /// The scanner then stands before the member's value.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    pub(crate) fn next_name(&mut self) -> Result<Option<Text>, Fault> {
        let mut cursor = self.cursor;
        let Some(mut container) = self.open.pop() else {
            return Err(cursor.fault(ParseErrorKind::JsonSyntax));
        };
        if !self.advance(&mut cursor, &mut container)? {
            self.cursor = cursor;
            return Ok(None);
        }
        let name = self.name(&mut cursor, &mut container)?;
        self.cursor = cursor;
        self.open.push(container);
        Ok(Some(name))
    }

    /// Whether the innermost container, which is an array, has another element; the scanner then stands before it.
    pub(crate) fn next_element(&mut self) -> Result<bool, Fault> {
        let mut cursor = self.cursor;
        let Some(mut container) = self.open.pop() else {
            return Err(cursor.fault(ParseErrorKind::JsonSyntax));
        };
        let more = self.advance(&mut cursor, &mut container)?;
        self.cursor = cursor;
        if more {
            self.open.push(container);
        }
        Ok(more)
    }

    /// Reads one whole value, whatever is inside.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    pub(crate) fn value(&mut self) -> Result<Value, Fault> {
        let mut cursor = self.cursor;
        let first = cursor.peek();
        let start = cursor.position;
        let form = match first {
            Some(b'{') => self.container(&mut cursor).map(|()| Form::Object)?,
            Some(b'[') => self.container(&mut cursor).map(|()| Form::Array)?,
            Some(b'"') => cursor.text(self.limits.string_bytes).map(Form::Text)?,
            _ => self.scalar(&mut cursor, first)?,
        };
        self.cursor = cursor;
        Ok(Value { span: start..cursor.position, form })
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.cursor.fault(ParseErrorKind::JsonTrailingBytes)),
        }
    }

    /// Reads a whole container. The loop through which every member of every value goes.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn container(&mut self, outer: &mut Cursor<'a>) -> Result<(), Fault> {
        let outside = self.open.len();
        let mut cursor = *outer;
        let mut inner = self.begin(&cursor, outside)?;
        cursor.step();
        loop {
            if !self.advance(&mut cursor, &mut inner)? {
                if self.open.len() <= outside {
                    break;
                }
                let Some(around) = self.open.pop() else { break };
                inner = around;
                continue;
            }
            if inner.closing == b'}' {
                self.name(&mut cursor, &mut inner)?;
            }
            match cursor.peek() {
                Some(b'{' | b'[') => {
                    let within = self.begin(&cursor, self.open.len().saturating_add(1))?;
                    cursor.step();
                    self.open.push(inner);
                    inner = within;
                }
                Some(b'"') => {
                    cursor.text(self.limits.string_bytes)?;
                }
                first => {
                    self.scalar(&mut cursor, first)?;
                }
            }
        }
        *outer = cursor;
        Ok(())
    }

    /// The container that begins at the current byte, inside of `depth` others.
    #[inline(always)]
    fn begin(&self, cursor: &Cursor<'a>, depth: usize) -> Result<Container, Fault> {
        let closing = match cursor.byte() {
            Some(b'{') => b'}',
            Some(b'[') => b']',
            _ => return Err(cursor.fault(ParseErrorKind::JsonSyntax)),
        };
        if depth >= self.limits.depth {
            return Err(cursor.fault(ParseErrorKind::JsonDepth));
        }
        Ok(Container { closing, started: false, names: self.names.enter() })
    }

    /// Steps to the next member or element of a container; `false` once it has closed.
    #[inline(always)]
    fn advance(&mut self, cursor: &mut Cursor<'a>, container: &mut Container) -> Result<bool, Fault> {
        let next = cursor.peek();
        if next == Some(container.closing) {
            cursor.step();
            return self.names.leave(&container.names).map(|()| false);
        }
        if container.started {
            if next != Some(b',') {
                return Err(cursor.fault(ParseErrorKind::JsonSyntax));
            }
            cursor.step();
        }
        container.started = true;
        self.members = self.members.saturating_add(1);
        if self.members > self.limits.members {
            return Err(cursor.fault(ParseErrorKind::JsonSize));
        }
        Ok(true)
    }

    /// Reads a member's name and the colon behind it.
    #[inline(always)]
    fn name(&mut self, cursor: &mut Cursor<'a>, container: &mut Container) -> Result<Text, Fault> {
        if cursor.peek() != Some(b'"') {
            return Err(cursor.fault(ParseErrorKind::JsonSyntax));
        }
        let name = cursor.text(self.limits.string_bytes)?;
        self.names.add(name, &mut container.names)?;
        if cursor.peek() != Some(b':') {
            return Err(cursor.fault(ParseErrorKind::JsonSyntax));
        }
        cursor.step();
        Ok(name)
    }

    /// Reads the value that begins with `first` and is neither a container nor a string.
    #[inline(always)]
    fn scalar(&mut self, cursor: &mut Cursor<'a>, first: Option<u8>) -> Result<Form, Fault> {
        match first {
            Some(b'-' | b'0'..=b'9') => {
                cursor.position = number::scan(cursor.body, cursor.position, self.numbers)?;
                Ok(Form::Number)
            }
            Some(b't') => cursor.literal(b"true").map(|()| Form::Boolean),
            Some(b'f') => cursor.literal(b"false").map(|()| Form::Boolean),
            Some(b'n') => cursor.literal(b"null").map(|()| Form::Null),
            _ => Err(cursor.fault(ParseErrorKind::JsonSyntax)),
        }
    }
}

impl Cursor<'_> {
    #[inline(always)]
    fn byte(&self) -> Option<u8> {
        self.body.get(self.position).copied()
    }

    /// Steps over a byte that is there.
    #[inline(always)]
    fn step(&mut self) {
        self.position = self.position.saturating_add(1);
    }

    /// The next byte that is not white space.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.step(),
                other => return other,
            }
        }
    }

    /// Reads the string that begins at the current byte.
    #[inline(always)]
    fn text(&mut self, limit: usize) -> Result<Text, Fault> {
        let text = Text::scan(self.body, self.position.saturating_add(1), limit)?;
        self.position = text.end.saturating_add(1);
        Ok(text)
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.body.get(self.position..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.fault(ParseErrorKind::JsonSyntax));
        }
        self.position = self.position.saturating_add(word.len());
        Ok(())
    }

    #[inline(always)]
    fn fault(&self, kind: ParseErrorKind) -> Fault {
        kind.at(self.position)
    }
}
