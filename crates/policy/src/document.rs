use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::capability::Capabilities;

/// A policy as it is written: the fields of the document and nothing derived from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a policy document")]
pub struct Document {
    /// The version of the format; this build reads version 1.
    #[serde(deserialize_with = "version")]
    pub version: u32,
    /// Whether denials take effect.
    #[serde(default)]
    pub mode: Mode,
    /// The MCP servers that the policy is about. Calls to any other server are denied.
    pub servers: Vec<Server>,
    /// The rules; their order has no meaning.
    pub rules: Vec<Rule>,
}

/// Whether denials take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Denied calls are refused.
    #[default]
    Enforce,
    /// Calls are evaluated and the verdict is recorded, but nothing is refused.
    Observe,
}

/// An MCP server: where it is, and what is known of its tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a server")]
pub struct Server {
    /// The unique name by which rules and receipts call the server: `[a-z0-9][a-z0-9._-]{0,63}`.
    pub name: String,
    /// The path of the MCP endpoint, exact and without a query.
    #[serde(default = "default_path")]
    pub path: String,
    /// The host, with or without a port, compared without regard to case. Absent: any host.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The tools whose operation class is known. A tool that is not listed is a write.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Which capabilities pass between client and server. Absent: all.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
}

/// A tool of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a tool")]
pub struct Tool {
    /// The exact name.
    pub name: String,
    /// What a call of it does.
    #[serde(default)]
    pub operation: ToolOperation,
}

/// What calling a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolOperation {
    /// Changes nothing.
    Read,
    /// Changes something. The class of every tool of which nothing else is known.
    #[default]
    Write,
    /// Moves money or commits to moving it.
    Financial,
    /// Destroys something that cannot be brought back.
    Destructive,
}

/// What an MCP method other than `tools/call` does, as far as its name says. Which method is of which class is the
/// business of [`airlock_mcp::Class`]; what keeps a session going and what is not known has no class here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MethodClass {
    /// Lists what a server offers.
    ReadMeta,
    /// Reads data.
    ReadData,
    /// Changes something: what goes on with a task.
    Write,
    /// Opens or changes a standing flow of data.
    Stream,
    /// Asks something of the client: a server's to send.
    ServerPull,
}

/// A rule: what it selects, for whom, and what happens then.
///
/// A list that is absent does not narrow the rule. A list that is present has at least one entry, so that a
/// list emptied by mistake never widens a rule to everybody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rule")]
pub struct Rule {
    /// The unique name that decisions and receipts quote: `[a-z0-9][a-z0-9._-]{0,63}`.
    pub name: String,
    /// What happens to a call that the rule matches.
    pub effect: Effect,
    /// Names of servers. Absent: every server.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<String>>,
    /// Names of tools; `*` stands for any run of characters.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Operation classes of tools. With `tools`, a call must match both.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<ToolOperation>>,
    /// MCP methods other than `tools/call`; `*` stands for any run of characters.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// Classes of MCP methods other than `tools/call`. With `methods`, a message must match both.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub method_classes: Option<Vec<MethodClass>>,
    /// Scopes that the caller's token must all have.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Subjects, any one of which the caller must be.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Vec<String>>,
    /// OAuth clients, any one of which the caller must use.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<String>>,
    /// Groups, any one of which the caller must be in.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// What a user is told whom the rule denies.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The call passes.
    Allow,
    /// The call is refused.
    Deny,
}

fn default_path() -> String {
    "/mcp".to_owned()
}

/// Reads an optional field that must have a value when it is there.
///
/// Serde's own `Option` takes `null` for absent, and `subjects:` with nothing after it is `null` in YAML: a rule
/// for certain people would become a rule for everybody.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads `1`, which Envoy hands over as the double `1.0`.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    if number.as_f64() == Some(1.0) {
        return Ok(1);
    }
    Err(D::Error::custom(format_args!("version {number} is not supported, this build reads version 1")))
}
