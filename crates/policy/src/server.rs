use std::collections::HashMap;

use crate::capability::Capabilities;
use crate::decision::Operation;
use crate::document::Server;

/// The servers of a policy, found by host and path.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    names: Vec<String>,
    operations: Vec<HashMap<String, Operation>>,
    capabilities: Vec<Option<Capabilities>>,
    by_path: HashMap<String, Hosts>,
}

/// The servers at one path.
#[derive(Debug, Default)]
struct Hosts {
    any: Option<u32>,
    exact: HashMap<String, u32>,
}

impl Servers {
    /// Adds a server and returns its number, or `None` if another one has the same path and host.
    pub(crate) fn add(&mut self, server: &Server) -> Option<u32> {
        let number = u32::try_from(self.names.len()).ok()?;
        let hosts = self.by_path.entry(server.path.clone()).or_default();
        let previous = match server.host.as_deref() {
            None => hosts.any.replace(number),
            Some(host) => hosts.exact.insert(Authority::parse(host)?.to_string(), number),
        };
        self.names.push(server.name.clone());
        let tools = server.tools.iter().flatten();
        self.operations.push(tools.map(|tool| (tool.name.clone(), tool.operation.into())).collect());
        self.capabilities.push(server.capabilities.clone());
        previous.is_none().then_some(number)
    }

    /// The server at a host and path: the one that names host and port, else the one that names the host, else
    /// the one that names neither.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<u32> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let hosts = self.by_path.get(path)?;
        let named = Authority::parse(host).and_then(|authority| {
            let with_port = hosts.exact.get(&authority.to_string());
            with_port.or_else(|| hosts.exact.get(&authority.host))
        });
        named.copied().or(hosts.any)
    }

    /// The name of the server with this number.
    pub(crate) fn name(&self, server: u32) -> Option<&str> {
        self.names.get(server as usize).map(String::as_str)
    }

    /// Which capabilities pass; `None` if all do.
    pub(crate) fn capabilities(&self, server: u32) -> Option<&Capabilities> {
        self.capabilities.get(server as usize).and_then(Option::as_ref)
    }

    /// The operation class of a tool; a tool that is not listed is a write.
    pub(crate) fn operation(&self, server: u32, tool: &str) -> Operation {
        let tools = self.operations.get(server as usize);
        tools.and_then(|tools| tools.get(tool)).copied().unwrap_or(Operation::Write)
    }
}

/// The authority of an HTTP request without user information, in lower case (RFC 3986, section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. A dot at the end of a host name is left out, as it names the same host.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = if text.starts_with('[') {
            let (address, port) = text.split_once(']')?;
            let digits = address.strip_prefix('[')?;
            if digits.is_empty()
                || !digits.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
            {
                return None;
            }
            (format!("{address}]"), if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        } else {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            let name = name.strip_suffix('.').unwrap_or(name);
            if name.is_empty()
                || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            {
                return None;
            }
            (name.to_owned(), port)
        };
        let port = match port {
            None => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        Some(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl std::fmt::Display for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            None => formatter.write_str(&self.host),
            Some(port) => write!(formatter, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_one_normal_form() {
        let cases = [
            ("Mcp.Example.COM", Some("mcp.example.com")),
            ("mcp.example.com.", Some("mcp.example.com")),
            ("mcp.example.com:8443", Some("mcp.example.com:8443")),
            ("mcp.example.com:08443", Some("mcp.example.com:8443")),
            ("[2001:DB8::1]:80", Some("[2001:db8::1]:80")),
            ("[2001:db8::1]", Some("[2001:db8::1]")),
            ("", None),
            (".", None),
            (":80", None),
            ("a:", None),
            ("a:+80", None),
            ("a:65536", None),
            ("a:1:2", None),
            ("user@a", None),
            ("[]", None),
            ("[::1", None),
            ("[::1]80", None),
            ("b\u{fc}cher.example", None),
        ];
        for (text, expected) in cases {
            let found = Authority::parse(text).map(|authority| authority.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }
}
