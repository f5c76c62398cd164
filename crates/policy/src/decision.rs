use airlock_mcp::Class;
use serde::{Deserialize, Serialize, Serializer};

use crate::document::{Effect, MethodClass, ToolOperation};

/// Who calls, as far as it has been proven.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The subject of the token; `None` for an anonymous caller.
    pub subject: Option<&'a str>,
    /// The OAuth client that the token was issued to.
    pub client: Option<&'a str>,
    /// The scopes of the token.
    pub scopes: &'a [String],
    /// The groups that the token names.
    pub groups: &'a [String],
}

/// What the caller wants.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A JSON-RPC request or notification.
    Message {
        /// The method, after JSON decoding.
        method: &'a str,
        /// What kind of method that is.
        class: Class,
        /// For `tools/call`, the name of the tool, after JSON decoding. Not looked at for any other method.
        tool: Option<&'a str>,
    },
    /// A JSON-RPC response: the client answers a request of the server.
    Answer,
    /// The server asks something of the caller: a JSON-RPC request in its answer or in a stream, or one that is embedded
    /// in a result.
    ServerRequest {
        /// The method, after JSON decoding.
        method: &'a str,
    },
    /// The GET that opens a stream of server messages.
    Stream,
    /// The DELETE that ends a session.
    EndSession,
}

/// A call to decide on.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The authority of the request, with or without a port.
    pub host: &'a str,
    /// The path of the request. A query, where there is one, plays no part.
    pub path: &'a str,
    /// Who calls.
    pub caller: Caller<'a>,
    /// What the caller wants.
    pub target: Target<'a>,
}

/// The verdict on a call, with everything that explains it.
///
/// It is the same in every mode: whether a denial takes effect is for whoever asked, see [`crate::Policy::mode`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Whether the call may pass.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, or whose scopes are missing. Of several that match, the first by name.
    pub rule: Option<String>,
    /// The server that the call is for.
    pub server: Option<String>,
    /// What the call does.
    pub operation: Operation,
    /// What the deciding deny rule says to the user.
    pub message: Option<String>,
    /// For [`Reason::PolicyScope`], every scope that the token must have, sorted; empty otherwise.
    pub scopes: Vec<String>,
}

/// What a call does: the class of its tool, or the kind of its method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Reads data.
    Read,
    /// Changes something; every tool of which nothing else is known.
    Write,
    /// Moves money.
    Financial,
    /// Destroys something.
    Destructive,
    /// Keeps a session going.
    Session,
    /// Lists what a server offers.
    List,
    /// Receives messages of the server.
    Stream,
    /// Asks something of the client.
    ServerPull,
    /// A method that this version does not know.
    Unknown,
}

impl Operation {
    /// The word for it, as it is serialised.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Financial => "financial",
            Self::Destructive => "destructive",
            Self::Session => "session",
            Self::List => "list",
            Self::Stream => "stream",
            Self::ServerPull => "server-pull",
            Self::Unknown => "unknown",
        }
    }
}

impl From<ToolOperation> for Operation {
    fn from(operation: ToolOperation) -> Self {
        match operation {
            ToolOperation::Read => Self::Read,
            ToolOperation::Write => Self::Write,
            ToolOperation::Financial => Self::Financial,
            ToolOperation::Destructive => Self::Destructive,
        }
    }
}

impl From<Class> for Operation {
    fn from(class: Class) -> Self {
        match class {
            Class::Session => Self::Session,
            Class::ReadMeta => Self::List,
            Class::ReadData => Self::Read,
            Class::Stream => Self::Stream,
            Class::Write => Self::Write,
            Class::ServerPull => Self::ServerPull,
            Class::Unknown => Self::Unknown,
        }
    }
}

impl From<MethodClass> for Class {
    fn from(class: MethodClass) -> Self {
        match class {
            MethodClass::ReadMeta => Self::ReadMeta,
            MethodClass::ReadData => Self::ReadData,
            MethodClass::Write => Self::Write,
            MethodClass::Stream => Self::Stream,
            MethodClass::ServerPull => Self::ServerPull,
        }
    }
}

/// Why a call was allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A rule allows it.
    Allowed,
    /// No rule allows it.
    PolicyDefault,
    /// A rule denies it.
    PolicyRule,
    /// A rule would allow it if the token had more scopes.
    PolicyScope,
    /// It belongs to a capability that the policy does not let pass on this server.
    PolicyCapability,
    /// The policy knows no server at this host and path.
    UnknownServer,
}

impl Reason {
    /// The stable name of the reason, for logs, metrics and receipts.
    pub fn code(self) -> &'static str {
        match self {
            Self::Allowed => "policy_allowed",
            Self::PolicyDefault => "policy_default",
            Self::PolicyRule => "policy_denied",
            Self::PolicyScope => "policy_scope",
            Self::PolicyCapability => "policy_capability",
            Self::UnknownServer => "unknown_server",
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
