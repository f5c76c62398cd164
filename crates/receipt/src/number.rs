//! Integers that every JSON implementation reads exactly (RFC 8259, section 6).

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;

/// The largest integer that every JSON implementation reads exactly: 2^53 - 1.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A count of things, at most [`MAX_SAFE_INTEGER`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Count(u64);

/// An integer between -[`MAX_SAFE_INTEGER`] and [`MAX_SAFE_INTEGER`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SignedCount(i64);

/// An integer that is too large for JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an integer outside of plus or minus 2^53 - 1")]
pub struct NumberError;

impl Count {
    /// The count, or the largest one.
    pub const fn saturating(value: u64) -> Self {
        Self(if value > MAX_SAFE_INTEGER { MAX_SAFE_INTEGER } else { value })
    }

    /// The count as an integer.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl SignedCount {
    /// The integer, or the nearest one that fits.
    pub const fn saturating(value: i64) -> Self {
        let limit = MAX_SAFE_INTEGER as i64;
        Self(if value > limit {
            limit
        } else if value < -limit {
            -limit
        } else {
            value
        })
    }

    /// The integer itself.
    pub const fn value(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u64::deserialize(deserializer)?;
        if value > MAX_SAFE_INTEGER { Err(de::Error::custom(NumberError)) } else { Ok(Self(value)) }
    }
}

impl<'de> Deserialize<'de> for SignedCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        if value.unsigned_abs() > MAX_SAFE_INTEGER {
            Err(de::Error::custom(NumberError))
        } else {
            Ok(Self(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_lose_precision_elsewhere_are_refused() {
        for text in ["9007199254740992", "-1", "1.0", "1e3", "\"1\""] {
            assert!(serde_json::from_str::<Count>(text).is_err(), "{text}");
        }
        for text in ["9007199254740992", "-9007199254740992", "-9223372036854775808", "0.5"] {
            assert!(serde_json::from_str::<SignedCount>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Count>("9007199254740991").unwrap().value(), MAX_SAFE_INTEGER);
        assert_eq!(serde_json::from_str::<SignedCount>("-32601").unwrap().value(), -32601);
    }

    #[test]
    fn saturation_stops_at_the_limits() {
        assert_eq!(Count::saturating(u64::MAX).value(), MAX_SAFE_INTEGER);
        assert_eq!(SignedCount::saturating(i64::MIN).value(), -9_007_199_254_740_991);
        assert_eq!(SignedCount::saturating(i64::MAX).value(), 9_007_199_254_740_991);
    }
}
