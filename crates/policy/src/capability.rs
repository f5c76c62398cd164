use airlock_mcp::Class;
use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, Error, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits;
use crate::pattern::is_plain;

/// The capability that holds extensions, each under its own id.
const EXTENSIONS: &str = "extensions";

/// Tasks are a capability of their own in MCP 2025-11-25 and this extension since 2026-07-28.
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

const SKILLS_EXTENSION: &str = "io.modelcontextprotocol/skills";

/// Which capabilities client and server may tell each other of, and so may use.
///
/// A side that is absent is not narrowed. Here an empty list means what it says: nothing passes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "capabilities")]
pub struct Capabilities {
    /// What the server may know of the client, and ask it for.
    #[serde(default, deserialize_with = "crate::document::present", skip_serializing_if = "Option::is_none")]
    pub client: Option<Vec<Capability<ClientCapability>>>,
    /// What the client may know of the server, and use.
    #[serde(default, deserialize_with = "crate::document::present", skip_serializing_if = "Option::is_none")]
    pub server: Option<Vec<Capability<ServerCapability>>>,
}

/// A capability that passes: one that MCP defines, or an extension by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Capability<T> {
    /// One that a version of MCP defines.
    Defined(T),
    /// An extension by its id, such as `io.modelcontextprotocol/tasks`. An id has a slash, and a defined name has none.
    Extension(String),
}

/// What a client can declare, in any version of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCapability {
    /// It tells the directories that the server may work in.
    Roots,
    /// It lets the server use its language model.
    Sampling,
    /// It lets the server ask the user.
    Elicitation,
    /// It runs requests of the server as tasks (2025-11-25).
    Tasks,
    /// Anything outside of the specification.
    Experimental,
    /// Every extension.
    Extensions,
}

/// What a server can declare, in any version of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerCapability {
    /// Tools.
    Tools,
    /// Prompts.
    Prompts,
    /// Resources.
    Resources,
    /// Completion of arguments.
    Completions,
    /// Log messages to the client.
    Logging,
    /// Requests of the client run as tasks (2025-11-25).
    Tasks,
    /// Anything outside of the specification.
    Experimental,
    /// Every extension.
    Extensions,
}

/// Whose capability it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client's: what it lets a server ask for.
    Client,
    /// The server's: what it offers.
    Server,
}

impl Capabilities {
    /// Whether everything of that side passes.
    pub fn passes_all(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client.is_none(),
            Side::Server => self.server.is_none(),
        }
    }

    /// Whether the member `name` of a capabilities object passes, as a whole. `within` is the member that it stands in,
    /// where it is no capability itself but an extension in `extensions`.
    pub fn pass(&self, side: Side, within: Option<&str>, name: &str) -> bool {
        match within {
            None => self.names(side, name),
            Some(outer) => self.names(side, outer) || outer == EXTENSIONS && self.names(side, name),
        }
    }

    /// Whether some member of the member `name` passes although `name` as a whole does not.
    pub fn pass_part(&self, side: Side, name: &str) -> bool {
        fn any<T>(list: &Option<Vec<Capability<T>>>) -> bool {
            list.iter().flatten().any(|entry| matches!(entry, Capability::Extension(_)))
        }
        let any = match side {
            Side::Client => any(&self.client),
            Side::Server => any(&self.server),
        };
        name == EXTENSIONS && any
    }

    /// Whether a method may be used, whoever sends it.
    pub(crate) fn admit(&self, method: &str) -> bool {
        match Class::of(method) {
            Class::ServerPull => self.admit_server_request(method),
            _ => self.admit_request(method),
        }
    }

    /// Whether a method may be used that clients send.
    pub(crate) fn admit_request(&self, method: &str) -> bool {
        let needed: &[&str] = match method.split_once('/') {
            Some(("tools", _)) => &["tools"],
            Some(("prompts", _)) => &["prompts"],
            Some(("resources", _)) => &["resources"],
            Some(("completion", _)) => &["completions"],
            Some(("logging", _)) => &["logging"],
            Some(("tasks", _)) => &["tasks", TASKS_EXTENSION],
            Some(("skills", _)) => &[SKILLS_EXTENSION],
            _ => return true,
        };
        self.admit_any(Side::Server, needed)
    }

    /// Whether a method may be used by which servers ask something of a client.
    pub(crate) fn admit_server_request(&self, method: &str) -> bool {
        let needed: &[&str] = match method.split_once('/') {
            Some(("roots", _)) => &["roots"],
            Some(("sampling", _)) => &["sampling"],
            Some(("elicitation", _)) => &["elicitation"],
            Some(("tasks", _)) => &["tasks"],
            _ => return true,
        };
        self.admit_any(Side::Client, needed)
    }

    fn admit_any(&self, side: Side, needed: &[&str]) -> bool {
        needed.iter().any(|name| self.names(side, name) || name.contains('/') && self.names(side, EXTENSIONS))
    }

    fn names(&self, side: Side, name: &str) -> bool {
        fn has<T>(
            list: &Option<Vec<Capability<T>>>,
            name: &str,
            written: impl Fn(&T) -> &'static str,
        ) -> bool {
            list.as_ref().is_none_or(|list| {
                list.iter().any(|entry| match entry {
                    Capability::Defined(defined) => written(defined) == name,
                    Capability::Extension(id) => id == name,
                })
            })
        }
        match side {
            Side::Client => has(&self.client, name, |capability| capability.name()),
            Side::Server => has(&self.server, name, |capability| capability.name()),
        }
    }
}

impl ClientCapability {
    fn name(self) -> &'static str {
        match self {
            Self::Roots => "roots",
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
            Self::Tasks => "tasks",
            Self::Experimental => "experimental",
            Self::Extensions => EXTENSIONS,
        }
    }
}

impl ServerCapability {
    fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Completions => "completions",
            Self::Logging => "logging",
            Self::Tasks => "tasks",
            Self::Experimental => "experimental",
            Self::Extensions => EXTENSIONS,
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Capability<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if !name.contains('/') {
            let name: StringDeserializer<D::Error> = name.into_deserializer();
            return T::deserialize(name).map(Self::Defined);
        }
        if is_plain(&name) && !name.contains(['*', ' ']) {
            return Ok(Self::Extension(name));
        }
        let limit = limits::NAME_BYTES;
        Err(D::Error::custom(format_args!(
            "an extension is named by its id, like `{TASKS_EXTENSION}`: printable ASCII without space or `*`, at most {limit} bytes"
        )))
    }
}
