//! The Airlock policy: one document that says who may do what with which MCP server.
//!
//! A document is read once, checked in full and compiled ([`Policy::from_json`], [`Policy::from_value`]);
//! after that a decision ([`Policy::decide`]) cannot fail. Everything is denied that no rule allows.
//!
//! The same document reaches this crate as the configuration of an Envoy filter, as Istio's `pluginConfig`
//! and from the command line. Envoy hands a filter its configuration as JSON in which every number is a
//! double, so that `version: 1` may arrive as `1.0`; both mean the same here and have the same digest.

mod capability;
mod compile;
mod decision;
mod document;
mod error;
mod evaluate;
mod index;
mod lint;
mod pattern;
mod policy;
mod principals;
mod server;
mod validate;

pub use crate::capability::{Capabilities, Capability, ClientCapability, ServerCapability, Side};
pub use crate::decision::{Call, Caller, Decision, Operation, Reason, Target};
pub use crate::document::{Document, Effect, MethodClass, Mode, Rule, Server, Tool, ToolOperation};
pub use crate::error::PolicyError;
pub use crate::lint::{Warning, lint};
pub use crate::policy::Policy;

/// The limits that a document must keep, each refused with its path when it is exceeded.
pub mod limits {
    /// Bytes of the document in canonical form (RFC 8785), which is the same for YAML, Envoy and Istio.
    pub const DOCUMENT_BYTES: usize = 1 << 20;
    /// Bytes of JSON that are read at all: white space and escapes may make a document larger than its canonical form.
    pub const INPUT_BYTES: usize = 4 << 20;
    /// Rules in a document.
    pub const RULES: usize = 10_000;
    /// Servers in a document.
    pub const SERVERS: usize = 10_000;
    /// Tools listed for one server.
    pub const TOOLS_PER_SERVER: usize = 10_000;
    /// Entries in one list of one rule (`tools`, `subjects`, ...).
    pub const ENTRIES_PER_LIST: usize = 256;
    /// Scopes that one rule may ask for.
    pub const SCOPES_PER_RULE: usize = 32;
    /// Bytes in a tool name, a method name or a pattern for either.
    pub const NAME_BYTES: usize = 256;
    /// Bytes in a subject, client, group or scope.
    pub const PRINCIPAL_BYTES: usize = 512;
    /// Bytes in the path of a server.
    pub const PATH_BYTES: usize = 1024;
    /// Bytes in the host of a server, port included.
    pub const HOST_BYTES: usize = 261;
    /// Characters in the `reason` of a rule.
    pub const REASON_CHARS: usize = 256;
    /// Entries of the compiled index: for each rule, servers times (tools plus methods), summed.
    pub const INDEX_ENTRIES: usize = 1 << 18;
}
