//! The rules of the Streamable HTTP transport that concern headers.
//!
//! Sources: "Transports" of the MCP specification, revisions 2025-03-26 to 2025-11-25, and "Streamable HTTP" of
//! revision 2026-07-28, where headers mirror parts of the body and must agree with them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{Kind, Message};

/// JSON-RPC code of a header that disagrees with the body or is missing (revision 2026-07-28).
pub const HEADER_MISMATCH: i64 = -32020;

/// Names the session, up to revision 2025-11-25.
pub const SESSION_ID: &str = "mcp-session-id";
/// Names the protocol version, since revision 2025-06-18.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// Mirrors the method, since revision 2026-07-28.
pub const METHOD: &str = "mcp-method";
/// Mirrors what the call names, since revision 2026-07-28.
pub const NAME: &str = "mcp-name";

/// The longest session id accepted, in bytes.
pub const SESSION_ID_BYTES: usize = 256;

/// A released version of the protocol, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProtocolVersion {
    /// 2024-10-07, a preview that some SDKs still accept.
    #[serde(rename = "2024-10-07")]
    V2024_10_07,
    /// 2024-11-05, the first release.
    #[serde(rename = "2024-11-05")]
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP.
    #[serde(rename = "2025-03-26")]
    V2025_03_26,
    /// 2025-06-18: the version header, no batches.
    #[serde(rename = "2025-06-18")]
    V2025_06_18,
    /// 2025-11-25: the last with a handshake.
    #[serde(rename = "2025-11-25")]
    V2025_11_25,
    /// 2026-07-28: stateless.
    #[serde(rename = "2026-07-28")]
    V2026_07_28,
}

/// The two ways in which versions of the protocol work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Era {
    /// `initialize` agrees on a version, a session follows.
    Handshake,
    /// Every request says what it needs to be understood.
    Stateless,
}

/// Headers and body do not say the same, or the version is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: `{header}`")]
pub struct HeaderMismatch {
    /// What is wrong.
    pub kind: HeaderMismatchKind,
    /// The header concerned, one of the names in this module.
    pub header: &'static str,
}

/// The ways in which headers fail to fit a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeaderMismatchKind {
    /// The header differs from the body, or cannot be decoded.
    #[error("a header disagrees with the body")]
    Mismatch,
    /// The version in force requires the header.
    #[error("a required header is missing")]
    Missing,
    /// The version is not one that the gateway knows.
    #[error("the protocol version is not supported")]
    UnsupportedVersion,
    /// The header names a stateless version, and the request does not carry it in `params._meta` as it must.
    #[error("the request lacks the protocol version that a header names")]
    MissingInBody,
    /// The version in force requires `io.modelcontextprotocol/clientCapabilities` in `params._meta`.
    #[error("the request lacks the client's capabilities")]
    CapabilitiesMissing,
}

/// A header value carries the Base64 sentinel, but what is inside is not canonical Base64 of UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header value is not base64 of utf-8 as its form says")]
pub struct UndecodableValue;

impl ProtocolVersion {
    /// All known versions, oldest first.
    pub const ALL: [Self; 6] = [
        Self::V2024_10_07,
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// The version with exactly this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// The name, a date.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_10_07 => "2024-10-07",
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// How this version works.
    pub fn era(self) -> Era {
        if self >= Self::V2026_07_28 { Era::Stateless } else { Era::Handshake }
    }
}

impl std::fmt::Display for ProtocolVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl HeaderMismatch {
    /// The JSON-RPC error code of revision 2026-07-28: -32020 `HeaderMismatch`, -32022 `UnsupportedProtocolVersion`,
    /// and -32602 for a request without what `_meta` must hold.
    pub fn code(&self) -> i64 {
        match self.kind {
            HeaderMismatchKind::Mismatch | HeaderMismatchKind::Missing => HEADER_MISMATCH,
            HeaderMismatchKind::UnsupportedVersion => -32022,
            HeaderMismatchKind::MissingInBody | HeaderMismatchKind::CapabilitiesMissing => -32602,
        }
    }

    /// A stable word for records, metrics and answers.
    pub fn reason(&self) -> &'static str {
        match self.kind {
            HeaderMismatchKind::Mismatch => "header_mismatch",
            HeaderMismatchKind::Missing => "header_missing",
            HeaderMismatchKind::UnsupportedVersion => "protocol_version_unsupported",
            HeaderMismatchKind::MissingInBody => "protocol_version_missing",
            HeaderMismatchKind::CapabilitiesMissing => "client_capabilities_missing",
        }
    }
}

impl HeaderMismatchKind {
    fn of(self, header: &'static str) -> HeaderMismatch {
        HeaderMismatch { kind: self, header }
    }
}

/// Whether a `content-type` is `application/json`, with or without parameters. With a `charset` other than UTF-8 it is
/// not: whoever heeds that reads other characters than these.
pub fn is_json(content_type: &str) -> bool {
    let is_utf_8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    has_media_type(content_type, "application/json") && content_type.split(';').skip(1).all(is_utf_8)
}

/// Whether a `content-type` is `text/event-stream`, with or without parameters.
pub fn is_event_stream(content_type: &str) -> bool {
    has_media_type(content_type, "text/event-stream")
}

/// Whether an `accept` header takes `media_type`, which is in lower case (RFC 9110 section 12.5.1).
pub fn accepts(accept: &str, media_type: &str) -> bool {
    let kind = media_type.split('/').next().unwrap_or_default();
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(|part| part.trim_matches([' ', '\t']));
        let range = parts.next().unwrap_or_default();
        let taken = range == "*/*"
            || range.eq_ignore_ascii_case(media_type)
            || range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(kind));
        taken && !parts.any(|parameter| matches!(parameter, "q=0" | "q=0." | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Whether a session id is one that the specification allows: visible ASCII, and here 1 to 256 characters of it.
pub fn is_session_id(value: &str) -> bool {
    (1..=SESSION_ID_BYTES).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a request with this version header may carry a batch. Batches exist in revision 2025-03-26 only, which has no
/// such header itself: it is the version to assume where the header is absent (revision 2025-06-18, "Protocol Version
/// Header").
pub fn allows_batch(version_header: Option<&str>) -> bool {
    version_header.is_none_or(|version| version == ProtocolVersion::V2025_03_26.as_str())
}

/// The text that an `mcp-name` or `mcp-param-*` header stands for ("Value Encoding" of revision 2026-07-28).
///
/// # Errors
///
/// [`UndecodableValue`] for the form `=?base64?…?=` around anything but canonical, padded Base64 of UTF-8. Any other
/// value stands for itself.
pub fn decode_header_value(value: &str) -> Result<Cow<'_, str>, UndecodableValue> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Cow::Borrowed(value));
    };
    let decoded = STANDARD.decode(encoded).map_err(|_| UndecodableValue)?;
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| UndecodableValue)
}

/// The header value that stands for `text`: the text itself where a header can carry it, otherwise its encoded form
/// ("Value Encoding" of revision 2026-07-28). A text that looks like the encoded form is encoded too.
pub fn encode_header_value(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim_matches(' ').len() == text.len()
        && !text.starts_with("=?base64?");
    if plain { Cow::Borrowed(text) } else { Cow::Owned(format!("=?base64?{}?=", STANDARD.encode(text))) }
}

/// Checks that the headers say the same as the message that came with them.
///
/// Values are those of the only line of each header; two lines must be refused before. An empty value is a value.
///
/// The stateless rules apply when the header, or the `_meta` of the body, names a stateless version: then a request
/// needs the version in both places, the client's capabilities, `mcp-method`, and for `tools/call`, `resources/read` and `prompts/get` also
/// `mcp-name`. Notifications need none of them (revision 2026-07-28 leaves their headers undefined), and in the
/// handshake era nothing does, but a header that is there must agree in every case. The version that `initialize`
/// offers is a proposal: it binds only a header of the stateless era.
///
/// # Errors
///
/// [`HeaderMismatch`] with the first header that does not fit: version, then method, then name. A disagreement about
/// the version comes before its being unknown, as in the official servers.
pub fn check_headers(
    message: &Message,
    version_header: Option<&str>,
    method_header: Option<&str>,
    name_header: Option<&str>,
) -> Result<(), HeaderMismatch> {
    let era = check_version(message, version_header)?;
    let required = era == Era::Stateless && message.kind == Kind::Request;
    if required && message.capabilities.is_none() {
        return Err(HeaderMismatchKind::CapabilitiesMissing.of(PROTOCOL_VERSION));
    }
    let method = message.method.as_deref();
    match method_header {
        Some(value) if Some(value) != method => return Err(HeaderMismatchKind::Mismatch.of(METHOD)),
        None if required => return Err(HeaderMismatchKind::Missing.of(METHOD)),
        _ => {}
    }
    match name_header.map(decode_header_value) {
        Some(Ok(value)) if Some(value.as_ref()) == message.name.as_deref() => Ok(()),
        Some(_) => Err(HeaderMismatchKind::Mismatch.of(NAME)),
        None if required && matches!(method, Some("tools/call" | "resources/read" | "prompts/get")) => {
            Err(HeaderMismatchKind::Missing.of(NAME))
        }
        None => Ok(()),
    }
}

fn check_version(message: &Message, header: Option<&str>) -> Result<Era, HeaderMismatch> {
    let unsupported = HeaderMismatchKind::UnsupportedVersion.of(PROTOCOL_VERSION);
    let era_of = |name: &str| ProtocolVersion::parse(name).map(ProtocolVersion::era).ok_or(unsupported);
    let is_proposal = message.method.as_deref() == Some("initialize");
    match (header, message.protocol_version.as_deref()) {
        (None, None) => Ok(Era::Handshake),
        (None, Some(_)) if is_proposal => Ok(Era::Handshake),
        (Some(named), Some(claimed)) if named != claimed => match era_of(named) {
            Ok(Era::Handshake) if is_proposal => Ok(Era::Handshake),
            _ => Err(HeaderMismatchKind::Mismatch.of(PROTOCOL_VERSION)),
        },
        (None, Some(claimed)) => match era_of(claimed)? {
            Era::Stateless if message.kind == Kind::Request => {
                Err(HeaderMismatchKind::Missing.of(PROTOCOL_VERSION))
            }
            era => Ok(era),
        },
        (Some(named), claimed) => match era_of(named)? {
            Era::Stateless if claimed.is_none() && message.kind == Kind::Request => {
                Err(HeaderMismatchKind::MissingInBody.of(PROTOCOL_VERSION))
            }
            era => Ok(era),
        },
    }
}

fn has_media_type(content_type: &str, expected: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim_matches([' ', '\t']).eq_ignore_ascii_case(expected)
}
