//! Fixed-length bytes that are written as lower-case hexadecimal.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// `N` bytes, written as `2 * N` lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>([u8; N]);

/// Names one call. Chosen at random by the gateway; the signer stores an id once.
pub type RecordId = Hex<16>;

/// A SHA-256 or HMAC-SHA-256 value.
pub type Hash = Hex<32>;

/// Text that is not the expected number of lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected {digits} lower-case hexadecimal digits")]
pub struct HexError {
    digits: usize,
}

impl<const N: usize> Hex<N> {
    /// All bits zero: the `prev` of the first receipt in a chain.
    pub const ZERO: Self = Self([0; N]);

    /// Wraps the bytes.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> TryFrom<&str> for Hex<N> {
    type Error = HexError;

    fn try_from(text: &str) -> Result<Self, HexError> {
        let error = HexError { digits: N.saturating_mul(2) };
        if text.len() != error.digits {
            return Err(error);
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let &[high, low] = pair else { return Err(error) };
            *byte = (nibble(high).ok_or(error)? << 4) | nibble(low).ok_or(error)?;
        }
        Ok(Self(bytes))
    }
}

impl<const N: usize> TryFrom<&[u8]> for Hex<N> {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.digits())
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.digits())
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.digits())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_from(text.as_str()).map_err(de::Error::custom)
    }
}

impl<const N: usize> Hex<N> {
    fn digits(&self) -> String {
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
    }
}

fn digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_spellings_are_refused() {
        for text in ["", "00", "0", "0g0g", "ABCD", "0x00", "00000", "é00"] {
            assert!(Hex::<2>::try_from(text).is_err(), "{text}");
        }
        assert_eq!(Hex::<2>::try_from("0af9").map(|hex| *hex.as_bytes()), Ok([0x0a, 0xf9]));
    }

    proptest! {
        #[test]
        fn writing_and_reading_agree(bytes: [u8; 32]) {
            let hash = Hash::new(bytes);
            prop_assert_eq!(Hash::try_from(hash.to_string().as_str()), Ok(hash));
        }
    }
}
