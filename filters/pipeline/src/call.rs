//! What a stage fetches and keeps in order outside of exchanges.

/// What a stage wants of the proxy between requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// HTTP calls to make now; each comes back to [`crate::Stage::answered`] once.
    pub calls: Vec<OutgoingCall>,
    /// Whether requests that wait are to be asked again now.
    pub wake: bool,
    /// When to call [`crate::Stage::upkeep`] again at the latest, milliseconds from now. `None`: this stage needs no
    /// clock.
    pub again_ms: Option<u32>,
    /// What the operator should know, for the proxy's log: sentences without secrets.
    pub warnings: Vec<String>,
}

/// An HTTP call of a stage through a cluster of the proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingCall {
    /// By this the stage knows the answer.
    pub id: u32,
    /// Name of the proxy's cluster.
    pub cluster: String,
    /// HTTP method.
    pub method: &'static str,
    /// `:authority`.
    pub authority: String,
    /// `:path`, query included.
    pub path: String,
    /// Further header lines.
    pub headers: Vec<(&'static str, String)>,
    /// Body, if the call has one.
    pub body: Option<Vec<u8>>,
    /// How long to wait for the answer, milliseconds.
    pub timeout_ms: u32,
    /// As much of a body as is read; a longer answer counts as none.
    pub answer_bytes: usize,
}

impl std::fmt::Debug for OutgoingCall {
    /// Headers and body may hold credentials.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, cluster, method, path, .. } = self;
        write!(formatter, "OutgoingCall({id}: {method} {path} of {cluster})")
    }
}

/// The answer to an [`OutgoingCall`]. A proxy that reaches nobody answers too, with 503 or 504.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallAnswer {
    /// HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}
