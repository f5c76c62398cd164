//! Nonces that the gateway asks proofs for ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449) section 9).
//!
//! A nonce is the time at which it was first given out, under a seal: nothing is remembered, and gateways that share a
//! key accept each other's. All that are given out within one lifetime are the same.

use std::cell::OnceCell;

use airlock_pipeline::{Host, HostError, SealKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// Whether proofs must have a nonce of the gateway, and which.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Whether a proof without a current nonce is refused.
    pub required: bool,
    /// Key of the nonces' seal. Gateways that share it accept each other's; without one, a proxy draws its own.
    pub key: Option<SealKey>,
    /// Seconds for which a nonce is the current one. It is accepted for as long again.
    pub lifetime_seconds: u64,
}

/// The nonces of a gateway.
#[derive(Debug)]
pub(crate) struct Nonces {
    /// Where configuration has none, it is drawn when the first nonce is needed.
    key: OnceCell<SealKey>,
    lifetime_seconds: u64,
}

/// What a nonce is worth. All but [`Freshness::Fresh`] are answered with a new one (RFC 9449 section 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It is the current one.
    Fresh,
    /// It is accepted, and will not be for long.
    Aging,
    /// Its time is over, or no gateway with this key has given it out.
    Stale,
}

/// Name of the shared value that holds the drawn key.
const DRAWN_KEY: &str = "airlock.nonce_key";

/// Bytes of the time in a nonce, and of its seal.
const TIME: usize = 8;
const SEAL: usize = 16;

/// Characters of a nonce: base64url of both.
const LENGTH: usize = 32;

impl Default for Configuration {
    fn default() -> Self {
        Self { required: false, key: None, lifetime_seconds: 120 }
    }
}

impl Nonces {
    /// Shortest and longest lifetime that can be configured, seconds.
    pub(crate) const BOUNDS: std::ops::RangeInclusive<u64> = 5..=3_600;

    /// The nonces that this configuration asks for, if it asks for any.
    ///
    /// # Errors
    /// A sentence that names the field at fault.
    pub(crate) fn new(configuration: Configuration) -> Result<Option<Self>, String> {
        let Configuration { required, key, lifetime_seconds } = configuration;
        if !Self::BOUNDS.contains(&lifetime_seconds) {
            let (least, most) = (Self::BOUNDS.start(), Self::BOUNDS.end());
            return Err(format!("lifetime_seconds: must be from {least} to {most}"));
        }
        let key = key.map_or_else(OnceCell::new, OnceCell::from);
        Ok(required.then_some(Self { key, lifetime_seconds }))
    }

    /// The nonce that proofs should have now, for `DPoP-Nonce`.
    ///
    /// # Errors
    /// [`HostError`] where there is no key.
    pub(crate) fn current(&self, host: &mut dyn Host) -> Result<String, HostError> {
        let now = seconds(host);
        let begun_at = now.saturating_sub(now.checked_rem(self.lifetime_seconds).unwrap_or(0)).to_be_bytes();
        let seal = self.key(host)?.mac(&seal_of(&begun_at))?;
        let seal = seal.first_chunk::<SEAL>().ok_or(HostError)?;
        Ok(URL_SAFE_NO_PAD.encode([begun_at.as_slice(), seal].concat()))
    }

    /// What the nonce of a proof is worth. One that is ahead of the clock by less than a lifetime is fresh: the clocks
    /// of gateways that share a key are never quite the same.
    ///
    /// # Errors
    /// [`HostError`] where there is no key.
    pub(crate) fn check(&self, host: &mut dyn Host, nonce: &str) -> Result<Freshness, HostError> {
        let bytes = if nonce.len() == LENGTH { URL_SAFE_NO_PAD.decode(nonce).ok() } else { None };
        let Some((begun_at, seal)) = bytes.as_ref().and_then(|bytes| bytes.split_first_chunk::<TIME>())
        else {
            return Ok(Freshness::Stale);
        };
        if self.key(host)?.sealed(&seal_of(begun_at), seal)?.is_none() {
            return Ok(Freshness::Stale);
        }
        let (begun_at, now) = (u64::from_be_bytes(*begun_at), seconds(host));
        if begun_at.saturating_sub(now) >= self.lifetime_seconds {
            return Ok(Freshness::Stale);
        }
        Ok(match now.saturating_sub(begun_at) {
            age if age < self.lifetime_seconds => Freshness::Fresh,
            age if age < self.lifetime_seconds.saturating_mul(2) => Freshness::Aging,
            _ => Freshness::Stale,
        })
    }

    fn key(&self, host: &mut dyn Host) -> Result<&SealKey, HostError> {
        match self.key.get() {
            Some(key) => Ok(key),
            None => {
                let key = SealKey::drawn(host, DRAWN_KEY)?;
                Ok(self.key.get_or_init(|| key))
            }
        }
    }
}

fn seal_of(begun_at: &[u8; TIME]) -> [&[u8]; 2] {
    [b"airlock nonce 1", begun_at]
}

fn seconds(host: &dyn Host) -> u64 {
    host.now_micros() / 1_000_000
}

#[cfg(test)]
mod tests {
    use airlock_pipeline::memory::MemoryHost;
    use proptest::prelude::*;

    use super::*;

    /// A beginning of a lifetime.
    const BEGIN: u64 = 120 * 14_166_666;

    fn at(host: &mut MemoryHost, seconds: u64) -> &mut MemoryHost {
        host.now = seconds * 1_000_000;
        host
    }

    fn keyed(key: Option<SealKey>, lifetime_seconds: u64) -> Nonces {
        Nonces::new(Configuration { required: true, key, lifetime_seconds }).unwrap().unwrap()
    }

    fn nonces(lifetime_seconds: u64) -> Nonces {
        keyed(None, lifetime_seconds)
    }

    fn key(character: char) -> Option<SealKey> {
        Some(SealKey::try_from(character.to_string().repeat(32)).unwrap())
    }

    #[test]
    fn a_nonce_is_current_for_one_lifetime_and_accepted_for_another() {
        let (nonces, mut host) = (nonces(120), MemoryHost::default());
        let nonce = nonces.current(at(&mut host, BEGIN)).unwrap();
        assert_eq!(nonces.current(at(&mut host, BEGIN + 119)), Ok(nonce.clone()));
        assert_ne!(nonces.current(at(&mut host, BEGIN + 120)), Ok(nonce.clone()));
        for (after, freshness) in [
            (0, Freshness::Fresh),
            (119, Freshness::Fresh),
            (120, Freshness::Aging),
            (239, Freshness::Aging),
            (240, Freshness::Stale),
            (1_000_000, Freshness::Stale),
        ] {
            assert_eq!(nonces.check(at(&mut host, BEGIN + after), &nonce), Ok(freshness), "{after}");
        }
    }

    #[test]
    fn clocks_of_gateways_may_differ_by_less_than_a_lifetime() {
        let (nonces, mut host) = (nonces(120), MemoryHost::default());
        let nonce = nonces.current(at(&mut host, BEGIN)).unwrap();
        assert_eq!(nonces.check(at(&mut host, BEGIN - 119), &nonce), Ok(Freshness::Fresh));
        assert_eq!(nonces.check(at(&mut host, BEGIN - 120), &nonce), Ok(Freshness::Stale));
    }

    #[test]
    fn gateways_with_one_key_accept_each_others_and_nobody_elses() {
        let hosts = [&mut MemoryHost::default(), &mut MemoryHost { drawn: 9, ..MemoryHost::default() }];
        let [one, other] = hosts;
        let nonce = keyed(key('k'), 120).current(at(one, BEGIN)).unwrap();
        for (configured, freshness) in
            [(key('k'), Freshness::Fresh), (key('l'), Freshness::Stale), (None, Freshness::Stale)]
        {
            let nonces = keyed(configured, 120);
            assert_eq!(nonces.check(at(other, BEGIN), &nonce), Ok(freshness));
        }
    }

    #[test]
    fn a_change_of_configuration_keeps_the_drawn_key() {
        let mut host = MemoryHost::default();
        let nonce = nonces(120).current(at(&mut host, BEGIN)).unwrap();
        assert_eq!(nonces(120).check(&mut host, &nonce), Ok(Freshness::Fresh));
        assert_eq!(nonces(60).check(at(&mut host, BEGIN + 60), &nonce), Ok(Freshness::Aging));
        assert_eq!(nonces(3_600).check(at(&mut host, BEGIN + 600), &nonce), Ok(Freshness::Fresh));
    }

    #[test]
    fn what_is_no_nonce_is_stale() {
        let (nonces, mut host) = (nonces(120), MemoryHost::default());
        let nonce = nonces.current(at(&mut host, BEGIN)).unwrap();
        assert_eq!(nonce.len(), LENGTH);
        let (padded, cut) = (format!("{nonce}="), nonce.split_at(31).0.to_owned());
        for other in ["", "x", &padded, &cut, &nonce.to_uppercase(), &"A".repeat(32), &"é".repeat(16)] {
            assert_eq!(nonces.check(&mut host, other), Ok(Freshness::Stale), "{other}");
        }
    }

    #[test]
    fn without_a_key_there_is_no_nonce() {
        let (nonces, mut host) = (nonces(120), MemoryHost::default());
        host.faults.shared = true;
        assert_eq!(nonces.current(&mut host), Err(HostError));
        assert_eq!(nonces.check(&mut host, &"A".repeat(32)), Err(HostError));
    }

    #[test]
    fn configuration_says_whether_and_for_how_long() {
        let nonces = |json: &str| {
            let configuration: Configuration =
                serde_json::from_str(json).map_err(|error| error.to_string())?;
            Nonces::new(configuration).map(|nonces| nonces.map(|nonces| nonces.lifetime_seconds))
        };
        assert_eq!(nonces("{}"), Ok(None));
        assert_eq!(nonces(r#"{"required": true}"#), Ok(Some(120)));
        assert_eq!(nonces(r#"{"required": true, "lifetime_seconds": 5}"#), Ok(Some(5)));
        for lifetime in ["0", "4", "3601", "18446744073709551615"] {
            let refused = nonces(&format!(r#"{{"lifetime_seconds": {lifetime}}}"#));
            assert_eq!(refused, Err("lifetime_seconds: must be from 5 to 3600".to_owned()));
        }
        assert!(nonces(r#"{"key": "c2hvcnQ"}"#).unwrap_err().contains("at least 16 bytes"));
        assert!(nonces(r#"{"keys": ""}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_nonce_is_stale(place in 0_usize..32, replacement in "[A-Za-z0-9_-]") {
            let (nonces, mut host) = (nonces(120), MemoryHost::default());
            let nonce = nonces.current(at(&mut host, BEGIN)).unwrap();
            let mut changed = nonce.clone();
            changed.replace_range(place..=place, &replacement);
            if changed != nonce {
                prop_assert_eq!(nonces.check(&mut host, &changed), Ok(Freshness::Stale));
            }
        }
    }
}
