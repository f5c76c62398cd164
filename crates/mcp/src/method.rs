use serde::{Deserialize, Serialize};

use crate::transport::ProtocolVersion::{self, V2024_10_07, V2025_06_18, V2025_11_25, V2026_07_28};

/// What a method does, as far as a rule has to know before it looks at names and arguments.
///
/// Anything not listed here is [`Class::Unknown`], which a policy must treat as the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Keeps the conversation going and touches no data: `initialize`, `ping`, notifications, and answers to what the
    /// other side asked.
    Session,
    /// Reads what a server says about itself: `server/discover` and the lists.
    ReadMeta,
    /// Reads data, or makes the server disclose more of it (`logging/setLevel`).
    ReadData,
    /// Opens or changes a standing flow of data.
    Stream,
    /// Acts, unless more is known about the tool: `tools/call`, `tasks/update`, `tasks/cancel`.
    Write,
    /// A server's request that acts on the client: its user, its model, its files.
    ServerPull,
    /// Not a method that a client sends in any released version.
    Unknown,
}

/// Who sends a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Clients only.
    Client,
    /// Servers only.
    Server,
    /// Either side.
    Both,
}

/// What is known of a method: one row for every request and notification of every released version, and of the
/// extensions `io.modelcontextprotocol/tasks` and `io.modelcontextprotocol/skills`.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// The exact name.
    pub name: &'static str,
    /// What it does.
    pub class: Class,
    /// Who sends it.
    pub sender: Sender,
    /// The first version that has it.
    pub since: ProtocolVersion,
    /// The last version that has it; `None` while the newest does.
    pub until: Option<ProtocolVersion>,
}

/// What the parameters of a method name, and by which member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Nothing,
    /// `params.name`, of a tool or prompt; `params.arguments` goes with it.
    Name,
    /// `params.uri`, of a resource.
    Uri,
    /// `params.taskId`.
    Task,
}

const fn row(
    name: &'static str,
    class: Class,
    sender: Sender,
    since: ProtocolVersion,
    until: Option<ProtocolVersion>,
) -> Method {
    Method { name, class, sender, since, until }
}

impl Method {
    /// Every known method: requests of clients, of servers, then notifications.
    #[rustfmt::skip]
    pub const ALL: &[Self] = {
        use Class::{ReadData, ReadMeta, ServerPull, Session, Stream, Write};
        use Sender::{Both, Client, Server};
        const LAST_WITH_HANDSHAKE: Option<ProtocolVersion> = Some(V2025_11_25);
        &[
            row("initialize", Session, Client, V2024_10_07, LAST_WITH_HANDSHAKE),
            row("ping", Session, Both, V2024_10_07, LAST_WITH_HANDSHAKE),
            row("server/discover", ReadMeta, Client, V2026_07_28, None),
            row("tools/list", ReadMeta, Client, V2024_10_07, None),
            row("prompts/list", ReadMeta, Client, V2024_10_07, None),
            row("resources/list", ReadMeta, Client, V2024_10_07, None),
            row("resources/templates/list", ReadMeta, Client, V2024_10_07, None),
            row("resources/read", ReadData, Client, V2024_10_07, None),
            row("resources/directory/read", ReadData, Client, V2026_07_28, None),
            row("prompts/get", ReadData, Client, V2024_10_07, None),
            row("completion/complete", ReadData, Client, V2024_10_07, None),
            row("logging/setLevel", ReadData, Client, V2024_10_07, LAST_WITH_HANDSHAKE),
            row("resources/subscribe", Stream, Client, V2024_10_07, LAST_WITH_HANDSHAKE),
            row("resources/unsubscribe", Stream, Client, V2024_10_07, LAST_WITH_HANDSHAKE),
            row("subscriptions/listen", Stream, Client, V2026_07_28, None),
            row("tools/call", Write, Client, V2024_10_07, None),
            row("tasks/list", ReadMeta, Both, V2025_11_25, LAST_WITH_HANDSHAKE),
            row("tasks/get", ReadData, Both, V2025_11_25, None),
            row("tasks/result", ReadData, Both, V2025_11_25, LAST_WITH_HANDSHAKE),
            row("tasks/update", Write, Client, V2026_07_28, None),
            row("tasks/cancel", Write, Both, V2025_11_25, None),
            row("skills/list", ReadMeta, Client, V2026_07_28, None),
            row("skills/get", ReadData, Client, V2026_07_28, None),

            row("sampling/createMessage", ServerPull, Server, V2024_10_07, None),
            row("elicitation/create", ServerPull, Server, V2025_06_18, None),
            row("roots/list", ServerPull, Server, V2024_10_07, None),

            row("notifications/initialized", Session, Client, V2024_10_07, LAST_WITH_HANDSHAKE),
            row("notifications/roots/list_changed", Session, Client, V2024_10_07, LAST_WITH_HANDSHAKE),
            row("notifications/cancelled", Session, Both, V2024_10_07, None),
            row("notifications/progress", Session, Both, V2024_10_07, None),
            row("notifications/tasks/status", Session, Both, V2025_11_25, LAST_WITH_HANDSHAKE),
            row("notifications/message", Session, Server, V2024_10_07, None),
            row("notifications/resources/updated", Session, Server, V2024_10_07, None),
            row("notifications/resources/list_changed", Session, Server, V2024_10_07, None),
            row("notifications/tools/list_changed", Session, Server, V2024_10_07, None),
            row("notifications/prompts/list_changed", Session, Server, V2024_10_07, None),
            row("notifications/elicitation/complete", Session, Server, V2025_11_25, LAST_WITH_HANDSHAKE),
            row("notifications/subscriptions/acknowledged", Session, Server, V2026_07_28, None),
            row("notifications/tasks", Session, Server, V2026_07_28, None),
        ]
    };

    /// The method with exactly this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|method| method.name == name)
    }
}

impl Class {
    /// The class of a method that a client sends, by its exact name. What only servers send is [`Class::ServerPull`]
    /// or [`Class::Unknown`].
    pub fn of(method: &str) -> Self {
        match Method::of(method) {
            Some(Method { sender: Sender::Server, class, .. }) if *class != Self::ServerPull => Self::Unknown,
            Some(method) => method.class,
            None => Self::Unknown,
        }
    }

    /// The word for this class in policies, receipts and properties.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::ReadMeta => "read-meta",
            Self::ReadData => "read-data",
            Self::Stream => "stream",
            Self::Write => "write",
            Self::ServerPull => "server-pull",
            Self::Unknown => "unknown",
        }
    }
}

impl Names {
    pub(crate) fn of(method: &str) -> Self {
        match method {
            "tools/call" | "prompts/get" => Self::Name,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Self::Uri,
            "tasks/get" | "tasks/result" | "tasks/update" | "tasks/cancel" => Self::Task,
            _ => Self::Nothing,
        }
    }
}
