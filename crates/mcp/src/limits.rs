use serde::{Deserialize, Serialize};

/// What one message may cost to read. A message beyond a limit is refused as a whole.
///
/// The length of the body itself is not here: whoever buffers it has to bound it before there is anything to parse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Containers inside one another, the outermost counted. Default 64.
    pub depth: usize,
    /// Object members and array elements of the whole message together. Default 100,000.
    pub members: usize,
    /// Bytes between the quotes of one string or member name, escapes counted as written. Default 1 MiB.
    pub string_bytes: usize,
    /// Bytes of a method, of a tool or prompt name, and of a protocol version, decoded. Default 256.
    pub name_bytes: usize,
    /// Bytes of a resource URI or task id, decoded. Default 8 KiB.
    pub uri_bytes: usize,
    /// Bytes of a request id, decoded. Default 256.
    pub id_bytes: usize,
    /// Messages of one batch. Default 50.
    pub batch: usize,
}

impl Limits {
    /// The limits for what a server answers to messages within these: sixteen times the depth and ten times the
    /// members.
    /// Strings may be as long as the answer, whose length whoever buffers it has to bound.
    pub fn for_answers(&self) -> Self {
        Self {
            depth: self.depth.saturating_mul(16),
            members: self.members.saturating_mul(10),
            string_bytes: usize::MAX,
            ..self.clone()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            members: 100_000,
            string_bytes: 1 << 20,
            name_bytes: 256,
            uri_bytes: 8 << 10,
            id_bytes: 256,
            batch: 50,
        }
    }
}
