use memchr::memchr2_iter;

use crate::{Class, detectors::Match};

/// RFC 5321, 4.5.3.1.1.
const LONGEST_LOCAL_PART: usize = 64;

/// RFC 1035, 2.3.4, less the length octets that text does not show.
const LONGEST_DOMAIN: usize = 253;

/// Names of image files that look like addresses (`logo@2x.png`); none is a top-level domain.
const NOT_TOP_LEVEL: [&[u8]; 6] = [b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp"];

/// Appends the addresses in `text`, in order, their positions moved by `offset`; those that overlap become one.
///
/// An address is found from its `@` (or `%40`): a domain with a dot and a top-level domain of letters on the right,
/// then a dot-atom (RFC 5322, 3.2.3) on the left. Atoms are taken without the marks that surround addresses in
/// prose, Markdown and URLs: of `to=bob@example.com`, `to=` stays.
///
/// The password of `https://user:password@example.com` is taken for a local part, and hidden. The login
/// `git@` of a repository (`git@example.com:org/repo`) names nobody and stays.
pub(crate) fn find(text: &[u8], offset: usize, matches: &mut Vec<Match>) {
    let first = matches.len();
    let mut taken = 0;
    for at in memchr2_iter(b'@', b'%', text) {
        let Some((start, end)) = address_around(text, at, taken) else { continue };
        match matches.get_mut(first..).and_then(<[Match]>::last_mut) {
            Some(last) if start < taken => last.end = last.end.max(end + offset),
            _ => matches.push(Match { start: start + offset, end: end + offset, class: Class::Email }),
        }
        taken = taken.max(end);
    }
}

/// The address whose `@` is at `at`. Text before `taken` belongs to another: an address that reaches into it
/// begins before `taken`, no matter where.
fn address_around(text: &[u8], at: usize, taken: usize) -> Option<(usize, usize)> {
    let sign = match text.get(at..)? {
        [b'@', ..] => 1,
        [b'%', b'4', b'0', ..] => 3,
        _ => return None,
    };
    let domain_start = at + sign;
    let end = domain_start + domain_length(text.get(domain_start..)?)?;
    let start = local_part_start(text, at, taken)?;
    let is_repository_login = text.get(start..at)? == b"git" && matches!(text.get(end), Some(b':' | b'/'));
    (!is_repository_login).then_some((start, end))
}

/// The length of the longest domain name that `text` begins with. It ends in a letter.
fn domain_length(text: &[u8]) -> Option<usize> {
    let run = domain_run(text);
    if is_version(run) {
        return None;
    }
    let mut length = None;
    let mut label_start = 0;
    for label in run.split(|byte| *byte == b'.') {
        if label.is_empty() || label.starts_with(b"-") {
            break;
        }
        if label_start > 0
            && let Some(top_level) = top_level_length(label)
        {
            length = Some(label_start + top_level);
        }
        if label.ends_with(b"-") {
            break;
        }
        label_start += label.len() + 1;
    }
    length
}

/// The longest run of characters of a domain name at the start of `text`, cut to the longest name there is.
fn domain_run(text: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some(character) = char_at(text, end) {
        let next = end + character.len_utf8();
        if !(is_letter_or_digit(character) || matches!(character, '.' | '-' | '_')) || next > LONGEST_DOMAIN {
            break;
        }
        end = next;
    }
    text.get(..end).unwrap_or_default()
}

/// Whether what follows the `@` is a semantic version with a suffix, as in `package@1.2.3-beta.rc`.
fn is_version(run: &[u8]) -> bool {
    let mut labels = run.split(|byte| *byte == b'.');
    let is_number = |label: &[u8]| !label.is_empty() && label.iter().all(u8::is_ascii_digit);
    labels.next().is_some_and(is_number)
        && labels.next().is_some_and(is_number)
        && labels.next().is_some_and(|label| {
            label.split(|byte| *byte == b'-').next().is_some_and(is_number) && label.contains(&b'-')
        })
}

/// The length of the top-level domain that `label` begins with: letters, and then nothing that could belong to them.
///
/// A change between ASCII and other letters ends it: text in Chinese or Japanese goes on without a space.
fn top_level_length(label: &[u8]) -> Option<usize> {
    if label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"xn--")) {
        let is_whole = label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        return (is_whole && label.last()?.is_ascii_alphabetic()).then_some(label.len());
    }
    let is_ascii = label.first()?.is_ascii();
    let mut end = 0;
    let mut letters = 0;
    let mut next = char_at(label, end);
    while let Some(character) = next.filter(|next| next.is_ascii() == is_ascii && is_letter(*next)) {
        end += character.len_utf8();
        letters += 1;
        next = char_at(label, end);
    }
    let goes_on = next.is_some_and(|next| next.is_ascii() == is_ascii && is_letter_or_digit(next));
    let is_file = NOT_TOP_LEVEL
        .iter()
        .any(|suffix| label.get(..end).is_some_and(|name| name.eq_ignore_ascii_case(suffix)));
    (letters >= 2 && !goes_on && !is_file).then_some(end)
}

/// Where the local part that ends at `at` begins.
fn local_part_start(text: &[u8], at: usize, taken: usize) -> Option<usize> {
    let mut start = at;
    let mut is_longer = false;
    while let Some(character) = char_before(text, start) {
        let is_double_dot = character == '.' && text.get(start) == Some(&b'.');
        if !is_in_local_part(character) || is_double_dot {
            break;
        }
        let next = start - character.len_utf8();
        if at - next > LONGEST_LOCAL_PART {
            is_longer = true;
            break;
        }
        start = next;
        if start < taken {
            return Some(start);
        }
    }
    if is_longer {
        start = (start..at).find(|start| may_be_cut(text, *start))?;
    }
    start = without_leading_marks(text, start);
    if start > 0 && text.get(start - 1) == Some(&b'\\') {
        start = without_leading_marks(text, start + escape_length(text.get(start..)?));
    }
    (start < at).then_some(start)
}

/// Whether a run that is longer than a local part can be taken apart before `start`: where a word ends.
///
/// Never among digits or after a dot: what is left could then be a card number that it was not before.
fn may_be_cut(text: &[u8], start: usize) -> bool {
    char_at(text, start).is_some_and(is_letter_or_digit)
        && char_before(text, start).is_some_and(|before| match before {
            '.' => false,
            before if before.is_ascii() => !before.is_ascii_alphanumeric(),
            before => is_letter(before),
        })
}

fn without_leading_marks(text: &[u8], mut start: usize) -> usize {
    while text.get(start).is_some_and(|byte| {
        is_in_local_part(char::from(*byte))
            && !byte.is_ascii_alphanumeric()
            && byte.is_ascii()
            && *byte != b'_'
    }) {
        start += 1;
    }
    start
}

/// The length of what a backslash before `text` makes a JSON escape of: strings often hold JSON themselves, and
/// a label must not swallow the `n` of its `\n`.
fn escape_length(text: &[u8]) -> usize {
    match text {
        [b'n' | b'r' | b't' | b'b' | b'f', ..] => 1,
        [b'u', digits @ ..] if digits.iter().take(4).filter(|byte| byte.is_ascii_hexdigit()).count() == 4 => {
            5
        }
        _ => 0,
    }
}

fn is_in_local_part(character: char) -> bool {
    is_letter_or_digit(character)
        || matches!(character, '.' | '_' | '%' | '+' | '-' | '~' | '\'' | '!' | '#' | '$')
}

fn is_letter_or_digit(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || (!character.is_ascii() && (is_letter(character) || character.is_numeric()))
}

/// Letters, and the accents that follow them in decomposed text.
fn is_letter(character: char) -> bool {
    character.is_ascii_alphabetic()
        || (!character.is_ascii()
            && (character.is_alphabetic() || matches!(character, '\u{300}'..='\u{36F}')))
}

/// The character at `position`, or `None` at the end and where `text` is not UTF-8.
fn char_at(text: &[u8], position: usize) -> Option<char> {
    let first = *text.get(position)?;
    let length = match first {
        0..0x80 => return Some(char::from(first)),
        0xC2..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    };
    let bytes = text.get(position..position.checked_add(length)?)?;
    str::from_utf8(bytes).ok()?.chars().next()
}

/// The character that ends at `position`, or `None` at the start and where `text` is not UTF-8.
fn char_before(text: &[u8], position: usize) -> Option<char> {
    let last = *text.get(position.checked_sub(1)?)?;
    if last.is_ascii() {
        return Some(char::from(last));
    }
    (2..=4)
        .filter_map(|length| position.checked_sub(length).map(|start| (start, length)))
        .find(|(start, _)| text.get(*start).is_some_and(|byte| !matches!(byte, 0x80..0xC0)))
        .and_then(|(start, length)| char_at(text, start).filter(|character| character.len_utf8() == length))
}
