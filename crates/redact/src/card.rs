use crate::{Class, detectors::Match};

const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// All groups of a card number but the last have at least so many digits. Shorter groups are telephone numbers,
/// dates and columns of figures; and four digits in a row let the search take four bytes at a step.
const GROUP: usize = 4;

/// How far letters are followed that could join digits to more digits, as in a hash.
const JOINING_LETTERS: usize = 16;

/// Appends the card numbers in `text`, in order; those that overlap become one match.
///
/// A number is 13 to 19 digits in groups with single separators. It may stand among other groups: of
/// `4111 1111 1111 1111 2027-05` every group is tried as the first one and the longest number that is a card is
/// taken, so an expiry date stays, and a security code goes if the number is valid with it.
pub(crate) fn find(text: &[u8], matches: &mut Vec<Match>) {
    let mut position = 0;
    while let Some(start) = next_run(text, position) {
        let mut end = start;
        while let Some((_, length)) = digit_at(text, end) {
            end += length;
        }
        if let Some(card_end) = card_at(text, start) {
            match matches.last_mut() {
                Some(last) if start < last.end => last.end = last.end.max(card_end),
                _ => matches.push(Match { start, end: card_end, class: Class::Card }),
            }
        }
        position = end;
    }
}

/// Whether `text` is a card number in ASCII digits without separators.
pub(crate) fn is_card_number(text: &[u8]) -> bool {
    let mut digits = Digits::default();
    text.iter().all(|byte| byte.is_ascii_digit() && digits.push(byte - b'0')) && digits.is_card()
}

/// The start of the next run of digits at or after `from`, where a digit does not stand right before `from`.
/// Runs of fewer than four digits may be passed over.
fn next_run(text: &[u8], from: usize) -> Option<usize> {
    let mut position = from;
    loop {
        let mut probe = position.checked_add(GROUP - 1)?;
        while !may_be_in_digit(*text.get(probe)?) {
            probe += GROUP;
        }
        let mut start = probe;
        while start > position && text.get(start - 1).copied().is_some_and(may_be_in_digit) {
            start -= 1;
        }
        while start <= probe {
            if digit_at(text, start).is_some() {
                return Some(start);
            }
            start += 1;
        }
        position = start;
    }
}

/// Whether a byte occurs in the encoding of an ASCII or a full-width digit (`EF BC 90` to `EF BC 99`).
fn may_be_in_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | 0xEF | 0xBC | 0x90..=0x99)
}

/// The end of the longest card number whose first group begins at `start`.
fn card_at(text: &[u8], start: usize) -> Option<usize> {
    let (first, _) = digit_at(text, start)?;
    if !(2..=6).contains(&first) || is_joined_before(text, start) {
        return None;
    }
    let mut digits = Digits::default();
    let mut position = start;
    let mut card_end = None;
    loop {
        let before = digits.count;
        while let Some((digit, length)) = digit_at(text, position) {
            if !digits.push(digit) {
                return card_end;
            }
            position += length;
        }
        if digits.count == before {
            return card_end;
        }
        if digits.is_card() && !is_joined_after(text, position) {
            card_end = Some(position);
        }
        let separator = separator_at(text, position);
        if digits.count - before < GROUP || separator == 0 {
            return card_end;
        }
        position += separator;
    }
}

/// Whether the digits at `start` go on from others: a fraction (`0.4111`), a hash (`9ac4111`); or follow the `+`
/// of a telephone number.
///
/// This and [`is_joined_after`] mirror each other, so that of two joined runs neither is a card. Otherwise
/// the label in place of one would turn the other into a card when the output is searched again.
fn is_joined_before(text: &[u8], start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    match before.last() {
        Some(b'+') => true,
        Some(b'.') => digit_ends(before, 1),
        _ => {
            let letters = before.iter().rev().take(JOINING_LETTERS).take_while(|byte| is_hex_letter(**byte));
            let letters = letters.count();
            letters > 0 && digit_ends(before, letters)
        }
    }
}

/// Whether the digits that end at `end` go on: a number with a fraction, a hash.
fn is_joined_after(text: &[u8], end: usize) -> bool {
    let after = text.get(end..).unwrap_or_default();
    match after.first() {
        Some(b'.') => digit_at(after, 1).is_some(),
        _ => {
            let letters = after.iter().take(JOINING_LETTERS).take_while(|byte| is_hex_letter(**byte)).count();
            letters > 0 && digit_at(after, letters).is_some()
        }
    }
}

fn is_hex_letter(byte: u8) -> bool {
    matches!(byte, b'a'..=b'f' | b'A'..=b'F')
}

/// Whether a digit stands at the end of `text`, once `skipped` bytes are taken off.
fn digit_ends(text: &[u8], skipped: usize) -> bool {
    let end = text.len().saturating_sub(skipped);
    let text = text.get(..end).unwrap_or_default();
    let ascii = text.last().is_some_and(u8::is_ascii_digit);
    ascii || text.len().checked_sub(3).is_some_and(|start| matches!(digit_at(text, start), Some((_, 3))))
}

/// The ASCII or full-width digit at `position`, and its length in bytes.
fn digit_at(text: &[u8], position: usize) -> Option<(u8, usize)> {
    match *text.get(position)? {
        ascii @ b'0'..=b'9' => Some((ascii - b'0', 1)),
        0xEF => match text.get(position..)? {
            [_, 0xBC, last @ 0x90..=0x99, ..] => Some((last - 0x90, 3)),
            _ => None,
        },
        _ => None,
    }
}

/// The length of the separator between two groups at `position`: space, hyphen, no-break space (U+00A0), narrow
/// no-break space (U+202F), figure dash (U+2012), en dash (U+2013). Zero if there is none.
fn separator_at(text: &[u8], position: usize) -> usize {
    match text.get(position..).unwrap_or_default() {
        [b' ' | b'-', ..] => 1,
        [0xC2, 0xA0, ..] => 2,
        [0xE2, 0x80, 0xAF | 0x92 | 0x93, ..] => 3,
        _ => 0,
    }
}

/// The digits of a candidate.
#[derive(Default)]
struct Digits {
    values: [u8; LONGEST],
    count: usize,
}

impl Digits {
    /// Adds a digit; `false` if there are too many for a card.
    fn push(&mut self, digit: u8) -> bool {
        let Some(place) = self.values.get_mut(self.count) else { return false };
        *place = digit;
        self.count += 1;
        true
    }

    fn is_card(&self) -> bool {
        let digits = self.values.get(..self.count).unwrap_or_default();
        self.count >= SHORTEST
            && is_issued(digits)
            && digits.iter().any(|digit| Some(digit) != digits.first())
            && passes_luhn(digits)
    }
}

/// Whether an issuer uses this prefix with this length (ISO/IEC 7812 ranges as the card schemes publish them).
fn is_issued(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0, |prefix, digit| prefix * 10 + u32::from(*digit));
    let length = digits.len();
    match prefix {
        // Visa
        4000..=4999 => matches!(length, 13 | 16 | 19),
        // Mastercard
        5100..=5599 | 2221..=2720 => length == 16,
        // American Express
        3400..=3499 | 3700..=3799 => length == 15,
        // Diners Club
        3000..=3059 | 3600..=3699 | 3800..=3899 => matches!(length, 14 | 16..=19),
        // JCB
        3528..=3589 => matches!(length, 16..=19),
        // Maestro; Discover (6011, 644 to 649, 65) and UnionPay (62) lie within, with 16 to 19 digits
        5000..=5099 | 5600..=6999 => matches!(length, SHORTEST..=LONGEST),
        _ => false,
    }
}

/// The Luhn check (ISO/IEC 7812-1, annex B).
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
