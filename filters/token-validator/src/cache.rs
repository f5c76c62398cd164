//! Verified access tokens, so that only the first of many calls pays for a signature.

use std::{cell::OnceCell, collections::BTreeMap, rc::Rc};

use airlock_jose::{Claims, PublicKey};

use crate::configuration::CacheConfiguration;

/// SHA-256.
pub(crate) type Digest = [u8; 32];

/// A token that was found good, and under which circumstances.
#[derive(Debug)]
pub(crate) struct Verified {
    /// What it says.
    pub(crate) claims: Rc<Claims>,
    /// Digest of the issuer's configuration at that time.
    pub(crate) issuer: Digest,
    /// Revision of the issuer's keys at that time.
    pub(crate) keys: u64,
    /// The key that the token is bound to, once a proof has shown it.
    pub(crate) proof_key: OnceCell<PublicKey>,
    /// Bytes of the token, which bound those of its claims.
    size: usize,
}

/// Verified tokens by their digest. What has expired is found out by whoever asks.
///
/// There are two generations. When the younger is full it becomes the older, and what the older held is forgotten
/// unless it was asked for since: nothing has to be kept in order, and neither can grow past its half. Only tokens that
/// verified come in, so that strangers cannot push others out.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    tokens: BTreeMap<Digest, Rc<Verified>>,
    bytes: usize,
}

impl Verified {
    pub(crate) fn new(claims: Claims, issuer: Digest, keys: u64, size: usize) -> Self {
        Self { claims: Rc::new(claims), issuer, keys, proof_key: OnceCell::new(), size }
    }
}

impl Cache {
    /// The token of this digest.
    pub(crate) fn find(&mut self, digest: &Digest, limits: CacheConfiguration) -> Option<Rc<Verified>> {
        if let Some(token) = self.young.tokens.get(digest) {
            return Some(Rc::clone(token));
        }
        let token = self.old.remove(digest)?;
        self.keep(*digest, Rc::clone(&token), limits);
        Some(token)
    }

    /// Remembers a token.
    pub(crate) fn keep(&mut self, digest: Digest, token: Rc<Verified>, limits: CacheConfiguration) {
        let (entries, bytes) = (limits.entries / 2, limits.bytes / 2);
        if entries == 0 || token.size > bytes {
            return;
        }
        let has_room =
            self.young.tokens.len() < entries && self.young.bytes.saturating_add(token.size) <= bytes;
        if !has_room {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, token);
    }

    /// Forgets a token.
    pub(crate) fn forget(&mut self, digest: &Digest) {
        self.young.remove(digest);
        self.old.remove(digest);
    }

    /// Tokens that are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.tokens.len() + self.old.tokens.len()
    }
}

impl Generation {
    fn insert(&mut self, digest: Digest, token: Rc<Verified>) {
        self.bytes = self.bytes.saturating_add(token.size);
        if let Some(replaced) = self.tokens.insert(digest, token) {
            self.bytes = self.bytes.saturating_sub(replaced.size);
        }
    }

    fn remove(&mut self, digest: &Digest) -> Option<Rc<Verified>> {
        let token = self.tokens.remove(digest)?;
        self.bytes = self.bytes.saturating_sub(token.size);
        Some(token)
    }
}
