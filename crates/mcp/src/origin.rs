//! Which web pages and which names a server is reached by: the defence against DNS rebinding.
//!
//! Source: "Transports" of the MCP specification, Security Warning: servers must validate `Origin`, and since revision
//! 2025-11-25 answer 403 where it is present and not valid. `Origin` is that of RFC 6454, `Host` that of RFC 9110
//! section 7.2.

use serde::Deserialize;

/// An origin that may call, such as `https://app.example.com`, or `http://localhost:*` for every port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OriginPattern {
    scheme: String,
    host: String,
    port: Port,
}

/// A name by which a server may be called: `mcp.example.com` for every port, or `mcp.example.com:8443`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostPattern {
    host: String,
    port: Port,
}

/// Not an origin or a host as it stands in a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct InvalidPattern {
    text: String,
    expected: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    Any,
    Default,
    Is(u16),
}

impl OriginPattern {
    /// Whether an `Origin` header with this value comes from here. `null`, what is not one origin, and anything with a
    /// path never does.
    pub fn matches(&self, origin: &str) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let Some((host, port)) = split(authority) else { return false };
        let default = match self.scheme.as_str() {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        };
        let same_port = match (&self.port, port) {
            (Port::Any, _) | (Port::Default, None) => true,
            (Port::Default, Some(port)) => default == Some(port),
            (Port::Is(expected), Some(port)) => *expected == port,
            (Port::Is(expected), None) => default == Some(*expected),
        };
        same_port && self.scheme.eq_ignore_ascii_case(scheme) && self.host.eq_ignore_ascii_case(host)
    }
}

impl HostPattern {
    /// Whether a request with this `Host` or `:authority` is for this name. A final dot makes no difference.
    pub fn matches(&self, authority: &str) -> bool {
        let Some((host, port)) = split(authority) else { return false };
        let same_port = match self.port {
            Port::Any | Port::Default => true,
            Port::Is(expected) => port == Some(expected),
        };
        same_port && self.host.eq_ignore_ascii_case(host.strip_suffix('.').unwrap_or(host))
    }
}

impl TryFrom<String> for OriginPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        let parsed = text.split_once("://").and_then(|(scheme, authority)| {
            let named = !scheme.is_empty()
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
            let (host, port) = pattern(authority)?;
            named.then(|| Self { scheme: scheme.to_ascii_lowercase(), host, port })
        });
        parsed.ok_or(InvalidPattern { text, expected: "an origin like `https://app.example.com`" })
    }
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        let parsed = pattern(&text).map(|(host, port)| Self { host, port });
        parsed.ok_or(InvalidPattern { text, expected: "a host like `mcp.example.com`" })
    }
}

fn pattern(authority: &str) -> Option<(String, Port)> {
    match authority.strip_suffix(":*") {
        Some(host) => {
            split(host).filter(|(_, port)| port.is_none()).map(|(host, _)| (host.to_owned(), Port::Any))
        }
        None => split(authority).map(|(host, port)| (host.to_owned(), port.map_or(Port::Default, Port::Is))),
    }
}

/// Host and port of an authority without user information, of letters that a host name, an IPv4 address or an IPv6
/// address in brackets has.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let end_of_host = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
    let (host, port) = match authority.get(end_of_host..)?.find(':') {
        None => (authority, None),
        Some(colon) => {
            let (host, port) = authority.split_at_checked(end_of_host + colon)?;
            let port = port.get(1..).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
            (host, Some(port.parse().ok()?))
        }
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_host)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_whole() {
        let cases = [
            ("https://app.example.com", "https://app.example.com", true),
            ("https://app.example.com", "https://APP.example.com:443", true),
            ("https://app.example.com:443", "https://app.example.com", true),
            ("https://app.example.com", "https://app.example.com:8443", false),
            ("https://app.example.com", "http://app.example.com", false),
            ("https://app.example.com", "https://app.example.com.evil.example", false),
            ("https://app.example.com", "https://evil.example/https://app.example.com", false),
            ("https://app.example.com", "https://app.example.com/", false),
            ("https://app.example.com", "https://app.example.com@evil.example", false),
            ("https://app.example.com", "https://user@app.example.com", false),
            ("https://app.example.com", "https://app.example.com https://evil.example", false),
            ("https://app.example.com", "null", false),
            ("https://app.example.com", "", false),
            ("http://localhost:*", "http://localhost:6274", true),
            ("http://localhost:*", "http://localhost", true),
            ("http://localhost:*", "http://localhost.evil.example:6274", false),
            ("http://localhost:*", "http://localhost:x", false),
            ("http://[::1]:3000", "http://[::1]:3000", true),
            ("http://[::1]:3000", "http://[::1]", false),
            ("vscode-webview://panel", "vscode-webview://panel", true),
        ];
        for (pattern, origin, expected) in cases {
            let pattern = OriginPattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(pattern.matches(origin), expected, "{pattern:?} {origin}");
        }
    }

    #[test]
    fn hosts_are_compared_without_their_port_unless_it_is_asked_for() {
        let cases = [
            ("mcp.example.com", "mcp.example.com", true),
            ("mcp.example.com", "MCP.example.com.:8443", true),
            ("mcp.example.com", "mcp.example.com.evil.example", false),
            ("mcp.example.com", "evil.example", false),
            ("mcp.example.com:8443", "mcp.example.com:8443", true),
            ("mcp.example.com:8443", "mcp.example.com", false),
            ("[::1]", "[::1]:8787", true),
            ("127.0.0.1", "127.0.0.1:8787", true),
            ("127.0.0.1", "127.0.0.1:8787@evil.example", false),
            ("127.0.0.1", "", false),
        ];
        for (pattern, authority, expected) in cases {
            let pattern = HostPattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(pattern.matches(authority), expected, "{pattern:?} {authority}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for text in
            ["", "*", "app.example.com", "https://", "https://a b", "https://a/b", "https://a:99999", "://a"]
        {
            let error = OriginPattern::try_from(text.to_owned()).unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` is not an origin like `https://app.example.com`"));
        }
        for text in ["", "*", "a b", "https://a", "a:b", "[::1"] {
            assert!(HostPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
