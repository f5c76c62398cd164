//! Numbers that every reader takes for the same value.
//!
//! JavaScript rounds every number to a double; Python and Rust keep long integers as they are. What a double does not
//! hold as written is two values to two readers.

use std::fmt::{self, Write};

use crate::error::{Fault, ParseErrorKind};

/// Which numbers pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Those that are one value to every reader.
    Exact,
    /// All whose size a double can hold; some readers round them.
    Rounded,
}

/// So many digits fit every double.
const SURELY_EXACT: usize = 15;

/// So many digits name one double; its shortest form never has more.
const SIGNIFICANT: usize = 17;

/// Numbers that are shorter than this and have no exponent are within the range of a double.
const SURELY_IN_RANGE: usize = 300;

/// Checks the number that begins at `start`, with its sign or first digit, and returns the place behind it.
#[inline(always)]
pub(crate) fn scan(body: &[u8], start: usize, numbers: Numbers) -> Result<usize, Fault> {
    let rest = body.get(start..).unwrap_or_default();
    let unsigned = rest.strip_prefix(b"-").unwrap_or(rest);
    let digits = digits(unsigned);
    let sign = rest.len().wrapping_sub(unsigned.len());
    let end = start.saturating_add(sign).saturating_add(digits);
    if digits == 0 {
        return Err(ParseErrorKind::JsonNumber.at(end));
    }
    if digits > 1 && unsigned.first() == Some(&b'0') {
        return Err(ParseErrorKind::JsonNumber.at(start));
    }
    if digits <= SURELY_EXACT && !matches!(body.get(end), Some(b'.' | b'e' | b'E')) {
        return Ok(end);
    }
    scan_long(body, start, end, numbers)
}

/// The rest of a number that is more than a short integer: `end` is behind its integer digits.
#[inline(never)]
fn scan_long(body: &[u8], start: usize, mut end: usize, numbers: Numbers) -> Result<usize, Fault> {
    let digits_behind = |at: usize| match digits(body.get(at..).unwrap_or_default()) {
        0 => Err(ParseErrorKind::JsonNumber.at(at)),
        count => Ok(at.saturating_add(count)),
    };
    let has_point = body.get(end) == Some(&b'.');
    if has_point {
        end = digits_behind(end.saturating_add(1))?;
    }
    let mantissa_end = end;
    if matches!(body.get(end), Some(b'e' | b'E')) {
        end = end.saturating_add(1);
        if matches!(body.get(end), Some(b'+' | b'-')) {
            end = end.saturating_add(1);
        }
        end = digits_behind(end)?;
    }
    let number = Number {
        written: body.get(start..end).unwrap_or_default(),
        mantissa: body.get(start..mantissa_end).unwrap_or_default(),
        has_point,
    };
    let passes = match numbers {
        Numbers::Exact => number.is_exact(),
        Numbers::Rounded => number.is_finite(),
    };
    if passes { Ok(end) } else { Err(ParseErrorKind::JsonNumber.at(start)) }
}

/// A number that is well-formed.
struct Number<'a> {
    written: &'a [u8],
    mantissa: &'a [u8],
    has_point: bool,
}

impl Number<'_> {
    fn is_exact(&self) -> bool {
        let has_exponent = self.written.len() > self.mantissa.len();
        let not_digits =
            usize::from(self.mantissa.starts_with(b"-")).saturating_add(usize::from(self.has_point));
        let mut significant = self.mantissa.len().saturating_sub(not_digits);
        if significant > SIGNIFICANT {
            significant = significant_digits(self.mantissa);
        }
        if significant > SIGNIFICANT {
            return false;
        }
        if self.has_point && !has_exponent && self.written.len() <= SURELY_IN_RANGE {
            return true;
        }
        match self.double() {
            Some(double) if !self.has_point && !has_exponent => self.is_printed_for(double),
            Some(double) => double.is_finite() && (double != 0.0 || significant_digits(self.mantissa) == 0),
            None => false,
        }
    }

    fn is_finite(&self) -> bool {
        let is_short = self.written.len() <= SURELY_IN_RANGE && self.written.len() == self.mantissa.len();
        is_short || self.double().is_some_and(f64::is_finite)
    }

    fn double(&self) -> Option<f64> {
        std::str::from_utf8(self.written).ok()?.parse().ok()
    }

    /// Whether what has been written is the shortest decimal form of a double. For integers up to 2^53 it always is.
    fn is_printed_for(&self, double: f64) -> bool {
        let mut left = Left(self.written);
        write!(left, "{double}").is_ok() && left.0.is_empty()
    }
}

/// Digits of a mantissa without the zeros before and behind them, in which only sign and point are no digits.
fn significant_digits(mantissa: &[u8]) -> usize {
    let digits = || mantissa.iter().filter(|byte| byte.is_ascii_digit());
    let before = digits().take_while(|digit| **digit == b'0').count();
    let behind = digits().rev().take_while(|digit| **digit == b'0').count();
    digits().count().saturating_sub(before.saturating_add(behind))
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Takes what is written to it away from its front; an error if something else stands there.
struct Left<'a>(&'a [u8]);

impl Write for Left<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text.as_bytes()).ok_or(fmt::Error)?;
        Ok(())
    }
}
