use crate::Id;

/// Why a body is not one acceptable message, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Byte of the body at which it was noticed; the body's length when something is missing at its end.
    pub offset: usize,
    /// The request's id, when it was read before the error: the answer should carry it.
    ///
    /// Absent when the id itself is at fault or given twice.
    pub id: Option<Id>,
}

/// The ways in which a body fails to be one acceptable message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseErrorKind {
    /// Not JSON (RFC 8259), or cut off.
    #[error("the body is not valid JSON")]
    JsonSyntax,
    /// An object names a member twice, once escapes are decoded. Parsers differ in which one they take.
    #[error("an object has two members of the same name")]
    JsonDuplicateKey,
    /// A string holds bytes that are not UTF-8.
    #[error("a string is not valid UTF-8")]
    JsonInvalidUtf8,
    /// Containers are nested deeper than [`crate::Limits::depth`].
    #[error("containers are nested too deep")]
    JsonDepth,
    /// More members than [`crate::Limits::members`], or a string longer than [`crate::Limits::string_bytes`].
    #[error("the body has too many members or too long a string")]
    JsonSize,
    /// A number with a form that JSON does not have, or one that readers who use doubles would round.
    #[error("a number is malformed or out of range")]
    JsonNumber,
    /// A `\u` escape of one half of a surrogate pair.
    #[error("a string escapes a lone surrogate")]
    JsonSurrogate,
    /// The body starts with a byte-order mark, which RFC 8259 section 8.1 forbids.
    #[error("the body starts with a byte-order mark")]
    JsonByteOrderMark,
    /// Something other than white space follows the value.
    #[error("bytes follow the message")]
    JsonTrailingBytes,
    /// `jsonrpc` is absent or not exactly `"2.0"`.
    #[error("`jsonrpc` is not \"2.0\"")]
    RpcVersion,
    /// `id` is neither a string nor an integer, too long, or absent where an answer needs one.
    #[error("the id is not a string or an integer")]
    RpcId,
    /// The body is an array, where the protocol version has no batches, or one of more messages than
    /// [`crate::Limits::batch`].
    #[error("the body is a batch where none is accepted, or too large a one")]
    RpcBatch,
    /// The members are not those of exactly one request, notification, result or error.
    #[error("the members are not those of one JSON-RPC message")]
    RpcShape,
    /// A top-level member differs from a known one in case only. Some servers would read it as the known one.
    #[error("a member differs from a known one in case only")]
    RpcMemberCase,
    /// `method` is not a string, empty, too long, or holds control characters.
    #[error("the method is not usable")]
    RpcMethod,
    /// `params`, or a member of it that the method defines, is missing or has the wrong type.
    #[error("the parameters do not have the shape that the method needs")]
    ParamsShape,
    /// What the call names (tool, prompt, URI, task) is empty, too long, or holds control characters.
    #[error("the name in the parameters is not usable")]
    ParamsName,
    /// A parameter differs from a known one in case only.
    #[error("a parameter differs from a known one in case only")]
    ParamsMemberCase,
}

/// A problem at a place, before it is known which request it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ParseErrorKind,
    pub(crate) offset: usize,
}

impl ParseError {
    /// The JSON-RPC 2.0 error code (section 5.1): -32700 for text that cannot be read as JSON with one meaning, -32600
    /// for JSON that is not one JSON-RPC message, -32602 for parameters that do not fit the method.
    pub fn code(&self) -> i64 {
        self.kind.code()
    }

    /// A stable word for records, metrics and answers.
    pub fn reason(&self) -> &'static str {
        self.kind.reason()
    }
}

impl ParseErrorKind {
    /// See [`ParseError::code`].
    pub fn code(self) -> i64 {
        match self {
            Self::JsonSyntax
            | Self::JsonDuplicateKey
            | Self::JsonInvalidUtf8
            | Self::JsonDepth
            | Self::JsonSize
            | Self::JsonNumber
            | Self::JsonSurrogate
            | Self::JsonByteOrderMark
            | Self::JsonTrailingBytes => -32700,
            Self::RpcVersion
            | Self::RpcId
            | Self::RpcBatch
            | Self::RpcShape
            | Self::RpcMemberCase
            | Self::RpcMethod => -32600,
            Self::ParamsShape | Self::ParamsName | Self::ParamsMemberCase => -32602,
        }
    }

    /// See [`ParseError::reason`].
    pub fn reason(self) -> &'static str {
        match self {
            Self::JsonSyntax => "json_syntax",
            Self::JsonDuplicateKey => "json_duplicate_key",
            Self::JsonInvalidUtf8 => "json_invalid_utf8",
            Self::JsonDepth => "json_depth",
            Self::JsonSize => "json_size",
            Self::JsonNumber => "json_number",
            Self::JsonSurrogate => "json_surrogate",
            Self::JsonByteOrderMark => "json_byte_order_mark",
            Self::JsonTrailingBytes => "json_trailing_bytes",
            Self::RpcVersion => "rpc_version",
            Self::RpcId => "rpc_id",
            Self::RpcBatch => "rpc_batch",
            Self::RpcShape => "rpc_shape",
            Self::RpcMemberCase => "rpc_member_case",
            Self::RpcMethod => "rpc_method",
            Self::ParamsShape => "params_shape",
            Self::ParamsName => "params_name",
            Self::ParamsMemberCase => "params_member_case",
        }
    }

    pub(crate) fn at(self, offset: usize) -> Fault {
        Fault { kind: self, offset }
    }
}
