use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::{Host, HostError, NEW};

/// A key for what the gateway seals and has to recognise as its own, such as session ids and nonces: of at least [`SealKey::BYTES`] bytes, in configuration base64url without padding. Its `Debug` shows nothing of it.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct SealKey(Vec<u8>);

impl SealKey {
    /// Shortest key, in bytes.
    pub const BYTES: usize = 16;

    /// The key that all workers of a proxy have agreed on under this name: drawn by the first that asks.
    ///
    /// # Errors
    /// [`HostError`] where the proxy does not share it, or has no source of secrets.
    pub fn drawn(host: &mut dyn Host, name: &str) -> Result<Self, HostError> {
        if host.shared(name)?.is_none() {
            let key = host.secret()?;
            // Where another worker was faster, its key is the one.
            let _ = host.share(name, &key, NEW);
        }
        let (key, _) = host.shared(name)?.ok_or(HostError)?;
        if key.len() < Self::BYTES { Err(HostError) } else { Ok(Self(key)) }
    }

    /// HMAC-SHA256 over the parts, each after its length: no two lists of parts are the same bytes. The first part
    /// names the purpose.
    ///
    /// # Errors
    /// [`HostError`] where there is no MAC under this key.
    pub fn mac(&self, parts: &[&[u8]]) -> Result<[u8; 32], HostError> {
        Ok(self.over(parts)?.finalize().into_bytes().into())
    }

    /// [`SealKey::mac`] of these parts, if `seal` begins it, compared in constant time.
    ///
    /// # Errors
    /// [`HostError`] where there is no MAC under this key.
    pub fn sealed(&self, parts: &[&[u8]], seal: &[u8]) -> Result<Option<[u8; 32]>, HostError> {
        let mac = self.over(parts)?;
        let begins = mac.clone().verify_truncated_left(seal).is_ok();
        Ok(begins.then(|| mac.finalize().into_bytes().into()))
    }

    fn over(&self, parts: &[&[u8]]) -> Result<Hmac<Sha256>, HostError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|_| HostError)?;
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        Ok(mac)
    }
}

impl TryFrom<String> for SealKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let key = URL_SAFE_NO_PAD.decode(text).map_err(|_| "not base64url without padding")?;
        if key.len() < Self::BYTES { Err("a key needs at least 16 bytes") } else { Ok(Self(key)) }
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealKey")
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::MemoryHost;

    use super::*;

    #[test]
    fn a_drawn_key_is_drawn_once_for_all_workers() {
        let mut host = MemoryHost::default();
        let first = SealKey::drawn(&mut host, "airlock.test").unwrap();
        let second = SealKey::drawn(&mut host, "airlock.test").unwrap();
        assert_eq!(first.0, second.0);
        assert_eq!(host.drawn, 1);
        let other = SealKey::drawn(&mut host, "airlock.other").unwrap();
        assert_ne!(first.0, other.0);
    }

    #[test]
    fn without_a_secret_or_a_place_to_share_it_there_is_no_key() {
        let mut host = MemoryHost::default();
        host.faults.secret = true;
        assert_eq!(SealKey::drawn(&mut host, "airlock.test").err(), Some(HostError));
        host.faults = Default::default();
        host.faults.shared = true;
        assert_eq!(SealKey::drawn(&mut host, "airlock.test").err(), Some(HostError));
        host.faults = Default::default();
        host.shared.insert("airlock.test".into(), (vec![0; 15], 1));
        assert_eq!(SealKey::drawn(&mut host, "airlock.test").err(), Some(HostError));
    }

    #[test]
    fn a_configured_key_is_long_enough_and_never_shown() {
        let key = |text: &str| SealKey::try_from(text.to_owned()).map(|key| key.0.len());
        assert_eq!(key("MDEyMzQ1Njc4OWFiY2RlZg"), Ok(16));
        assert_eq!(key("MDEyMzQ1Njc4OWFiY2Rl"), Err("a key needs at least 16 bytes"));
        for text in ["MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZh", "MDEy MzQ1Njc4OWFiY2RlZg", "+/"] {
            assert_eq!(key(text), Err("not base64url without padding"), "{text}");
        }
        assert_eq!(format!("{:?}", SealKey(vec![7; 32])), "SealKey");
    }

    #[test]
    fn parts_do_not_flow_into_one_another() {
        let key = SealKey(vec![7; 32]);
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
        assert_ne!(key.mac(&[b"abc"]), key.mac(&[b"abc", b""]));
        let mac = key.mac(&[b"abc"]).unwrap();
        assert_eq!(key.sealed(&[b"abc"], &mac[..16]), Ok(Some(mac)));
        assert_eq!(key.sealed(&[b"abd"], &mac[..16]), Ok(None));
        assert_eq!(key.sealed(&[b"abc"], b""), Ok(None));
    }
}
