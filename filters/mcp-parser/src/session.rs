//! Session ids that only their caller can use, and only for a while.
//!
//! A server's session id is a bearer secret: whoever learns it can speak in the session ("Session Hijacking", MCP
//! Security Best Practices). The gateway hands it out sealed, `<the server's id>.<opened at>.<seal>`, where the seal is
//! an HMAC over the id, the time, the path and the caller. It remembers no session for that: gateways that share a key
//! accept each other's sessions (ADR 0009).

use airlock_mcp::transport;
use airlock_pipeline::{Caller, Denial, Facts, Host, HostError, SealKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::idle;

/// How sessions of the handshake era are guarded.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Key of the seal. Without one the proxy draws it at its start, and its sessions end with it.
    pub key: Option<SealKey>,
    /// Seconds without a request after which a session has ended.
    pub idle_seconds: u32,
    /// Seconds after which a session has ended in any case.
    pub lifetime_seconds: u32,
}

/// Name of the shared value that holds the drawn key.
const DRAWN_KEY: &str = "airlock.session_key";

/// Bytes of a seal: as hard to guess as a random session id.
const SEAL_BYTES: usize = 16;

/// JSON-RPC code for a session that has ended or never was: the client has to open another.
const NO_SESSION: i64 = -31404;

impl Default for Sessions {
    fn default() -> Self {
        Self { key: None, idle_seconds: 8 * 3_600, lifetime_seconds: 24 * 3_600 }
    }
}

impl Sessions {
    /// The server's own id, from the sealed one that a client sent.
    ///
    /// # Errors
    /// 404, upon which clients open a new session (MCP 2025-11-25, "Session Management"), for an id that the gateway
    /// has not given to this caller, and for one whose time is over.
    pub(crate) fn open(&self, sealed: &str, facts: &Facts, host: &mut dyn Host) -> Result<String, Denial> {
        let unknown = || ended("session_unknown", "there is no such session: open a new one");
        let mut parts = sealed.rsplitn(3, '.');
        let (Some(seal), Some(opened_at), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unknown());
        };
        let seal = URL_SAFE_NO_PAD.decode(seal).map_err(|_| unknown())?;
        if seal.len() != SEAL_BYTES {
            return Err(unknown());
        }
        let sealed = sealed_parts(id, opened_at, facts);
        let mac = self.key(host)?.sealed(&sealed.map(str::as_bytes), &seal)?.ok_or_else(unknown)?;
        let opened_at = u64::from_str_radix(opened_at, 16).map_err(|_| unknown())?;
        let now = seconds(host);
        if now.saturating_sub(opened_at) > u64::from(self.lifetime_seconds) {
            return Err(ended("session_expired", "the session is too old: open a new one"));
        }
        if idle::touch(host, &mac, opened_at, now, self.idle_seconds)? {
            return Err(ended("session_idle", "the session was not used for too long: open a new one"));
        }
        Ok(id.to_owned())
    }

    /// What the client gets in the place of the server's id.
    ///
    /// # Errors
    /// 502 for what is no session id.
    pub(crate) fn seal(&self, id: &str, facts: &Facts, host: &mut dyn Host) -> Result<String, Denial> {
        if !transport::is_session_id(id) {
            let message = "the server's session id is none";
            return Err(Denial::unreadable_answer("response_session_id", message));
        }
        let opened_at = format!("{:x}", seconds(host));
        let seal = self.key(host)?.mac(&sealed_parts(id, &opened_at, facts).map(str::as_bytes))?;
        let seal = URL_SAFE_NO_PAD.encode(seal.get(..SEAL_BYTES).unwrap_or_default());
        Ok(format!("{id}.{opened_at}.{seal}"))
    }

    /// The configured key, or the one that the workers of the proxy have agreed on.
    fn key(&self, host: &mut dyn Host) -> Result<SealKey, HostError> {
        match &self.key {
            Some(key) => Ok(key.clone()),
            None => SealKey::drawn(host, DRAWN_KEY),
        }
    }
}

/// What a seal is over.
fn sealed_parts<'a>(id: &'a str, opened_at: &'a str, facts: &'a Facts) -> [&'a str; 8] {
    let (kind, [issuer, subject, client]) = match &facts.caller {
        Caller::Unknown => ("unknown", ["", "", ""]),
        Caller::Anonymous => ("anonymous", ["", "", ""]),
        Caller::Known(claims) => {
            let client = claims.client.as_deref().unwrap_or_default();
            ("known", [claims.issuer.as_str(), claims.subject.as_str(), client])
        }
    };
    ["airlock session 1", id, opened_at, &facts.path, kind, issuer, subject, client]
}

fn seconds(host: &dyn Host) -> u64 {
    host.now_micros() / 1_000_000
}

fn ended(reason: &'static str, message: &str) -> Denial {
    Denial::new(404, NO_SESSION, reason, message)
}
