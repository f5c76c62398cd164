use airlock_mcp::{
    Limits,
    origin::{HostPattern, OriginPattern},
};
use serde::Deserialize;

use crate::Sessions;

/// Configuration of the stage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Limits within which a message is read.
    pub limits: Limits,
    /// Web pages that may call. A request with any other `Origin` is refused; one without comes from no web page.
    pub origins: Vec<OriginPattern>,
    /// Names that the gateway serves. Empty: the proxy's own routes decide.
    pub hosts: Vec<HostPattern>,
    /// How sessions are guarded.
    pub sessions: Sessions,
}
