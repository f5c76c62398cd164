use airlock_pipeline::Mode;
use airlock_receipt::{DigestKey, Name};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::QueueLimits;

/// Configuration of [`crate::ReceiptEmitter`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Whether calls are refused when their evidence cannot be kept, or only recorded as such.
    #[serde(default)]
    pub mode: Mode,
    /// Name of this gateway in its receipts.
    pub gateway: String,
    /// Where records go.
    pub signer: Signer,
    /// How bodies are digested.
    pub digests: Digests,
    /// Bounds of what waits for the signer.
    #[serde(default)]
    pub queue: QueueLimits,
}

/// Where records go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// Envoy cluster of the signer.
    pub cluster: String,
    /// `:authority` of deliveries.
    #[serde(default = "default_authority")]
    pub authority: String,
    /// `:path` of deliveries.
    #[serde(default = "default_path")]
    pub path: String,
    /// Bearer token that the signer wants from gateways, if any.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Pause between two looks at the queue, milliseconds.
    #[serde(default = "default_interval_ms")]
    pub interval_ms: u32,
}

/// A text that no `Debug` output shows.
#[derive(Clone, Deserialize)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("…")
    }
}

/// How bodies are digested. There is no default: whether a digest can be guessed is a choice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// Key of HMAC-SHA-256, base64url without padding, at least 16 bytes. A short argument could be guessed from a
    /// plain digest.
    #[serde(default)]
    pub key: Option<Secret>,
    /// Name of the key, in every receipt.
    #[serde(default)]
    pub key_id: Option<String>,
    /// Plain SHA-256, for third parties that must match a digest without a key.
    #[serde(default)]
    pub plain: bool,
}

fn default_authority() -> String {
    "airlock-signer".to_owned()
}

fn default_path() -> String {
    "/v1/receipts".to_owned()
}

fn default_interval_ms() -> u32 {
    100
}

/// Records that the signer takes in one delivery. More would be refused each time, and nothing would ever arrive.
const MAX_BATCH: usize = 1_000;

/// Where and how a queue is delivered.
#[derive(Clone)]
pub struct Delivery {
    /// Envoy cluster of the signer.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// Value of `authorization`, if the signer wants one.
    pub authorization: Option<String>,
    /// Pause between two looks at the queue, milliseconds.
    pub interval_ms: u32,
    /// Time limit of one delivery, milliseconds.
    pub timeout_ms: u32,
    /// Bounds of the queue, for [`crate::Queue::configure`] once the whole configuration is accepted.
    pub queue: QueueLimits,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Delivery").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Delivery {
    pub(crate) fn new(configuration: &Configuration) -> Result<Self, String> {
        let Signer { cluster, authority, path, token, interval_ms } = configuration.signer.clone();
        let queue = configuration.queue;
        if interval_ms == 0
            || queue.batch == 0
            || queue.records == 0
            || queue.bytes == 0
            || queue.timeout_ms == 0
        {
            return Err("signer and queue: intervals, sizes and time limits must be at least 1".to_owned());
        }
        if queue.batch > MAX_BATCH {
            return Err(format!("queue.batch: the signer takes at most {MAX_BATCH} records at once"));
        }
        let printable = |token: &Secret| token.0.bytes().all(|byte| byte.is_ascii_graphic());
        if !token.as_ref().is_none_or(printable) {
            return Err("signer.token: must be visible ASCII without spaces".to_owned());
        }
        Ok(Self {
            cluster,
            authority,
            path,
            authorization: token.map(|Secret(token)| format!("Bearer {token}")),
            interval_ms,
            timeout_ms: queue.timeout_ms,
            queue,
        })
    }
}

/// How bodies are digested, checked.
pub(crate) enum Digesting {
    Plain,
    Keyed(DigestKey),
}

impl Digesting {
    pub(crate) fn new(digests: &Digests) -> Result<Self, String> {
        match (&digests.key, &digests.key_id, digests.plain) {
            (None, None, true) => Ok(Self::Plain),
            (Some(Secret(key)), Some(id), false) => {
                let id = Name::try_from(id.as_str()).map_err(|error| format!("digests.key_id: {error}"))?;
                let key = URL_SAFE_NO_PAD
                    .decode(key)
                    .map_err(|_| "digests.key: must be base64url without padding".to_owned())?;
                DigestKey::new(id, &key).map(Self::Keyed).map_err(|error| format!("digests.key: {error}"))
            }
            _ => Err("digests: give `key` and `key_id`, or `plain: true`".to_owned()),
        }
    }
}
