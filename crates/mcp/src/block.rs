//! Sixteen bytes at a time: where a string stops being plain, and whether bytes are UTF-8.
//!
//! In V8 this decides the speed of the whole scanner, so what V8 runs is written for its vectors. The functions that
//! carry `simd128` need no flag of the build, and a module that uses them is refused by a host without vectors before
//! it starts.

/// Bytes in one step.
pub(crate) const BLOCK: usize = 16;

/// The bytes of a block before the first quote, backslash or control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// How many they are; [`BLOCK`] if nothing stops them.
    pub(crate) length: usize,
    /// Whether all of them are ASCII.
    pub(crate) ascii: bool,
}

#[cfg(target_arch = "wasm32")]
#[inline]
#[target_feature(enable = "simd128")]
pub(crate) fn plain(block: &[u8; BLOCK]) -> Plain {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128_or};

    let [low, high] = halves(block);
    let bytes = u64x2(low, high);
    let marks = v128_or(u8x16_eq(bytes, u8x16_splat(b'"')), u8x16_eq(bytes, u8x16_splat(b'\\')));
    let stops = u32::from(u8x16_bitmask(v128_or(marks, u8x16_lt(bytes, u8x16_splat(b' ')))));
    let beyond_the_last = 1 << BLOCK;
    let length = (stops | beyond_the_last).trailing_zeros();
    let ascii = u32::from(u8x16_bitmask(bytes)) << (31 - length) << 1 == 0;
    Plain { length: length as usize, ascii }
}

#[cfg(not(target_arch = "wasm32"))]
#[inline]
pub(crate) fn plain(block: &[u8; BLOCK]) -> Plain {
    let [low, high] = halves(block);
    let (length, ascii) = plain_of_word(low);
    if length < 8 {
        return Plain { length, ascii };
    }
    let (more, also_ascii) = plain_of_word(high);
    Plain { length: length + more, ascii: ascii && also_ascii }
}

/// How many of eight bytes are plain, and whether these are ASCII.
#[cfg(not(target_arch = "wasm32"))]
#[inline]
fn plain_of_word(word: u64) -> (usize, bool) {
    // The high bit of every byte that is zero. Bytes above the lowest hit may be marked wrongly; the lowest never is.
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let stops = zero_bytes(word ^ (ONES * b'"' as u64))
        | zero_bytes(word ^ (ONES * b'\\' as u64))
        | (word.wrapping_sub(ONES * b' ' as u64) & !word & HIGH);
    let below_the_first = stops.wrapping_sub(1) & !stops;
    (stops.trailing_zeros() as usize / 8, word & HIGH & below_the_first == 0)
}

#[cfg(not(target_arch = "wasm32"))]
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

#[inline(always)]
fn halves(block: &[u8; BLOCK]) -> [u64; 2] {
    match block.as_chunks::<8>().0 {
        [low, high] => [u64::from_le_bytes(*low), u64::from_le_bytes(*high)],
        _ => [0, 0],
    }
}

/// Whether these bytes are UTF-8 (RFC 3629), by the rules of what may stand before each byte.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    let mut wrong = [0; BLOCK];
    let (first, _) = bytes.split_at_checked(BLOCK).unwrap_or((bytes, &[]));
    note_wrong(&padded(&[], first), &mut wrong);
    let mut rest = bytes;
    // Each window begins with the three bytes before its block, which may have begun a character.
    while let Some(wide) = rest.get(BLOCK - BEFORE..).and_then(|rest| rest.first_chunk::<{ BEFORE + WIDE }>())
    {
        if !is_ascii(wide) {
            for start in [0, BLOCK, 2 * BLOCK, 3 * BLOCK] {
                if let Some(window) = wide.get(start..).and_then(|rest| rest.first_chunk()) {
                    note_wrong(window, &mut wrong);
                }
            }
        }
        rest = rest.get(WIDE..).unwrap_or_default();
    }
    while let Some(window) = rest.get(BLOCK - BEFORE..).and_then(|rest| rest.first_chunk()) {
        note_wrong(window, &mut wrong);
        rest = rest.get(BLOCK..).unwrap_or_default();
    }
    if let Some((before, last)) = rest.split_at_checked(BLOCK) {
        let (_, before) = before.split_at_checked(BLOCK - BEFORE).unwrap_or_default();
        // The zeros behind the end find a character that has been cut off.
        note_wrong(&padded(before, last), &mut wrong);
    }
    wrong == [0; BLOCK]
}

const BEFORE: usize = 3;
const WINDOW: usize = BEFORE + BLOCK;
/// Bytes that are passed over in one step if they are all ASCII, with those before them.
const WIDE: usize = 4 * BLOCK;

#[inline(always)]
fn is_ascii(window: &[u8; BEFORE + WIDE]) -> bool {
    let (words, last) = window.as_chunks::<8>();
    let high = words.iter().fold(0, |high, word| high | u64::from_le_bytes(*word));
    last.iter().fold(high, |high, &byte| high | u64::from(byte)) & HIGH == 0
}

fn padded(before: &[u8], block: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    let (head, tail) = window.split_at_mut(BEFORE);
    for (to, from) in head.iter_mut().zip(before).chain(tail.iter_mut().zip(block)) {
        *to = *from;
    }
    window
}

/// Marks the bytes of a block that cannot stand where they stand. Written so that a compiler makes vectors of it.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline]
fn note_wrong(window: &[u8; WINDOW], wrong: &mut [u8; BLOCK]) {
    let [third, second, first, block] = [0, 1, 2, 3].map(|at| lanes(window, at));
    let before = first.into_iter().zip(second).zip(third);
    for ((wrong, byte), ((first, second), third)) in wrong.iter_mut().zip(block).zip(before) {
        let continues = byte & 0xC0 == 0x80;
        let must_continue = (first >= 0xC0) | (second >= 0xE0) | (third >= 0xF0);
        let never = (byte == 0xC0) | (byte == 0xC1) | (byte >= 0xF5);
        let overlong = (first == 0xE0) & (byte < 0xA0) | (first == 0xF0) & (byte < 0x90);
        let surrogate = (first == 0xED) & (byte >= 0xA0);
        let beyond = (first == 0xF4) & (byte >= 0x90);
        *wrong |= u8::from((continues != must_continue) | never | overlong | surrogate | beyond);
    }
}

#[inline(always)]
fn lanes(window: &[u8; WINDOW], at: usize) -> [u8; BLOCK] {
    window.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_that_stops_a_run_is_found_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                let mut block = [b'x'; BLOCK];
                block[place] = byte;
                let stops = byte < 0x20 || byte == b'"' || byte == b'\\';
                let expected = Plain { length: if stops { place } else { BLOCK }, ascii: byte < 0x80 };
                assert_eq!(plain(&block), expected, "{byte:#x} at {place}");
                block[place..].fill(0xFF);
                block[place] = b'"';
                assert_eq!(
                    plain(&block),
                    Plain { length: place, ascii: true },
                    "what is behind is not looked at"
                );
            }
        }
    }

    #[test]
    fn utf8_is_what_the_standard_library_takes_for_it_after_each_two_bytes() {
        let behind: [&[u8]; 4] = [b"", b"\x80", b"\x80\x80", b"a"];
        for pair in 0..=u16::MAX {
            for (behind, padding) in behind.iter().zip([0, 12, 14, 29]) {
                let text = [&vec![b'x'; padding], pair.to_be_bytes().as_slice(), behind].concat();
                assert_eq!(is_utf8(&text), std::str::from_utf8(&text).is_ok(), "{text:x?}");
            }
        }
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => any::<char>().prop_map(|character| character.to_string().into_bytes()),
            4 => Just(b"plain text".to_vec()),
            1 => prop::collection::vec(any::<u8>(), 1..3),
        ];
        prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn utf8_is_what_the_standard_library_takes_for_it(text in pieces(), cut in any::<prop::sample::Index>()) {
            prop_assert_eq!(is_utf8(&text), std::str::from_utf8(&text).is_ok());
            let (text, _) = text.split_at(cut.index(text.len() + 1));
            prop_assert_eq!(is_utf8(text), std::str::from_utf8(text).is_ok());
        }
    }
}
