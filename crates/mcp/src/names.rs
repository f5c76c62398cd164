//! The names of an object's members: no two may be the same.

use crate::error::{Fault, ParseErrorKind};
use crate::text::{Text, decode_into};

/// Names of the members of all open objects, innermost last.
pub(crate) struct Names<'a> {
    body: &'a [u8],
    all: Vec<Name>,
    /// What names with escapes in them mean.
    decoded: Vec<u8>,
    /// The keys of a large object, while it closes.
    keys: Vec<u64>,
}

/// The names of one object: those behind this place, until it closes.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    first: usize,
    first_decoded: usize,
    /// A bit for each key, chosen by multiplication: a name whose bit is not there is new.
    seen: u64,
}

/// A member name: a range of the body, or of the decoded bytes when it was written with escapes.
#[derive(Clone, Copy)]
struct Name {
    /// Equal for equal names, and for few others.
    key: u64,
    start: usize,
    end: usize,
    escaped: bool,
    offset: usize,
}

/// Objects up to this size are compared name by name as they are read, larger ones sorted when they close.
const COMPARED_DIRECTLY: usize = 16;

/// An odd number without pattern: the golden ratio in 64 bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl<'a> Names<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, all: Vec::with_capacity(32), decoded: Vec::new(), keys: Vec::new() }
    }

    /// The names of an object that begins here.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Scope {
        Scope { first: self.all.len(), first_decoded: self.decoded.len(), seen: 0 }
    }

    /// Notes a member's name and, in a small object, compares it with those before it.
    #[inline(always)]
    pub(crate) fn add(&mut self, text: Text, scope: &mut Scope) -> Result<(), Fault> {
        let mut name = Name {
            key: 0,
            start: text.start,
            end: text.end,
            escaped: text.escaped,
            offset: text.start.saturating_sub(1),
        };
        if text.escaped {
            self.decode(text, &mut name);
        } else {
            name.key = key(self.body, name.start, name.end);
        }
        let bit = 1 << (name.key.wrapping_mul(SPREAD) >> 58);
        if scope.seen & bit != 0 && self.is_among_few(&name, scope) {
            return Err(ParseErrorKind::JsonDuplicateKey.at(name.offset));
        }
        scope.seen |= bit;
        self.all.push(name);
        Ok(())
    }

    /// Forgets the names of an object that closes, in which a large one finds out whether they differ.
    ///
    /// # Errors
    ///
    /// The first name that has been there before.
    #[inline(always)]
    pub(crate) fn leave(&mut self, scope: &Scope) -> Result<(), Fault> {
        if self.all.len().saturating_sub(scope.first) > COMPARED_DIRECTLY {
            self.compare_many(scope)?;
        }
        self.all.truncate(scope.first);
        self.decoded.truncate(scope.first_decoded);
        Ok(())
    }

    #[cold]
    fn decode(&mut self, text: Text, name: &mut Name) {
        name.start = self.decoded.len();
        decode_into(text.raw(self.body), &mut self.decoded);
        name.end = self.decoded.len();
        name.key = key(&self.decoded, name.start, name.end);
    }

    #[inline(never)]
    fn is_among_few(&self, name: &Name, scope: &Scope) -> bool {
        let before = self.all.get(scope.first..).unwrap_or_default();
        before.len() < COMPARED_DIRECTLY
            && before.iter().any(|other| {
                other.key == name.key
                    && other.bytes(self.body, &self.decoded) == name.bytes(self.body, &self.decoded)
            })
    }

    /// Sorting needs no randomness, and no choice of names makes it quadratic.
    #[inline(never)]
    fn compare_many(&mut self, scope: &Scope) -> Result<(), Fault> {
        let Self { body, all, decoded, keys } = self;
        let names = all.get_mut(scope.first..).unwrap_or_default();
        keys.clear();
        keys.extend(names.iter().map(|name| name.key));
        keys.sort_unstable();
        if !keys.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Ok(());
        }
        names.sort_unstable_by_key(|name| name.key);
        let mut first_twice: Option<usize> = None;
        for alike in names.chunk_by_mut(|one, other| one.key == other.key) {
            if alike.len() > 1 {
                alike.sort_unstable_by_key(|name| (name.bytes(body, decoded), name.offset));
                let twice = alike.windows(2).filter_map(|pair| match pair {
                    [one, other] if one.bytes(body, decoded) == other.bytes(body, decoded) => {
                        Some(other.offset)
                    }
                    _ => None,
                });
                first_twice = twice.chain(first_twice).min();
            }
        }
        first_twice.map_or(Ok(()), |offset| Err(ParseErrorKind::JsonDuplicateKey.at(offset)))
    }
}

impl Name {
    fn bytes<'b>(&self, body: &'b [u8], decoded: &'b [u8]) -> &'b [u8] {
        let source = if self.escaped { decoded } else { body };
        source.get(self.start..self.end).unwrap_or_default()
    }
}

/// The name's length, first and last eight bytes in one number.
#[inline(always)]
fn key(source: &[u8], start: usize, end: usize) -> u64 {
    let word = |at: usize| {
        source.get(at..).and_then(|rest| rest.first_chunk()).map(|word| u64::from_le_bytes(*word))
    };
    let length = end.wrapping_sub(start);
    if length >= 8 {
        let first = word(start).unwrap_or_default();
        let last = word(end.wrapping_sub(8)).unwrap_or_default();
        return first.wrapping_mul(SPREAD).rotate_left(29) ^ last ^ length as u64;
    }
    match word(start) {
        // Bytes behind the name are shifted out.
        Some(word) if length > 0 => word << (64 - 8 * length as u32),
        Some(_) => 0,
        None => short_key(source.get(start..end).unwrap_or_default()),
    }
}

/// The same for a short name that has fewer than eight bytes to read.
#[cold]
fn short_key(name: &[u8]) -> u64 {
    name.iter().rev().fold(0, |key, &byte| key << 8 | u64::from(byte)) << (64 - 8 * name.len().max(1) as u32)
}
