use serde::{Deserialize, Serialize};

/// What a method does, as far as a rule has to know before it looks at names and arguments.
///
/// Anything not listed here is [`Class::Unknown`], which a policy must treat as the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Keeps the conversation going and touches no data: `initialize`, `ping`, `server/discover`, the notifications
    /// that clients send, and answers to what a server asked.
    Session,
    /// Reads descriptions: `tools/list`, `prompts/list`, `resources/list`, `resources/templates/list`, `tasks/list`,
    /// `skills/list`.
    List,
    /// Reads data, or makes the server disclose more of it (`logging/setLevel`).
    Read,
    /// Opens or changes a standing flow of data.
    Stream,
    /// Acts, unless more is known about the tool: `tools/call`, `tasks/update`, `tasks/cancel`.
    Write,
    /// Not a method that a client sends in any released version.
    Unknown,
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

impl Class {
    /// The class of a client's method, by its exact name.
    pub fn of(method: &str) -> Self {
        match method {
            "initialize"
            | "ping"
            | "server/discover"
            | "notifications/initialized"
            | "notifications/cancelled"
            | "notifications/progress"
            | "notifications/roots/list_changed" => Self::Session,
            "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "tasks/list"
            | "skills/list" => Self::List,
            "resources/read"
            | "resources/directory/read"
            | "prompts/get"
            | "completion/complete"
            | "skills/get"
            | "tasks/get"
            | "tasks/result"
            | "logging/setLevel" => Self::Read,
            "subscriptions/listen" | "resources/subscribe" | "resources/unsubscribe" => Self::Stream,
            "tools/call" | "tasks/update" | "tasks/cancel" => Self::Write,
            _ => Self::Unknown,
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
