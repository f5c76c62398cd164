use std::net::Ipv6Addr;

use crate::limits;

/// The URI of a request as `htu` has it (RFC 9449 section 4.2): absolute, of `http` or `https`, without query
/// and fragment, and normalised (RFC 3986 sections 6.2.2 and 6.2.3), so that equal URIs are equal bytes.
///
/// Refused is what readers take differently or what `htu` cannot have: user information, spaces, control
/// characters, backslashes, anything that is not ASCII, and percent-encoded host names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetUri(String);

impl TargetUri {
    /// Reads a URI of at most [`limits::TARGET_URI_BYTES`] bytes. Query and fragment are left off.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if uri.len() > limits::TARGET_URI_BYTES || !uri.bytes().all(plain) {
            return None;
        }
        let (scheme, rest) = uri.split_once("://")?;
        let (scheme, default_port) = if scheme.eq_ignore_ascii_case("https") {
            ("https", 443)
        } else if scheme.eq_ignore_ascii_case("http") {
            ("http", 80)
        } else {
            return None;
        };
        let rest = before_query(rest);
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
        let mut normal = format!("{scheme}://");
        push_authority(&mut normal, authority, default_port)?;
        push_path(&mut normal, if path.is_empty() { "/" } else { path })?;
        Some(Self(normal))
    }

    /// The URI of a path below this one, such as the `:path` of a request; its query is left off. This URI's own
    /// path stays before it, whatever dot segments are in the other.
    #[must_use]
    pub fn join(&self, path: &str) -> Option<Self> {
        let path = before_query(path);
        let mut joined = self.0.strip_suffix('/').unwrap_or(&self.0).to_owned();
        let bytes = joined.len().saturating_add(path.len());
        if !path.starts_with('/') || bytes > limits::TARGET_URI_BYTES {
            return None;
        }
        push_path(&mut joined, path)?;
        Some(Self(joined))
    }

    /// The normalised URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn before_query(rest: &str) -> &str {
    rest.split(['?', '#']).next().unwrap_or_default()
}

/// Appends `host [ ":" port ]` (RFC 3986 section 3.2), lower-case and without the scheme's default port.
fn push_authority(normal: &mut String, authority: &str, default_port: u16) -> Option<()> {
    let port = match authority.strip_prefix('[') {
        Some(literal) => {
            let (address, port) = literal.split_once(']')?;
            normal.push_str(&format!("[{}]", address.parse::<Ipv6Addr>().ok()?));
            port
        }
        None => {
            let (host, port) = authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?;
            let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            let starts = host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
            if !starts || !host.bytes().all(is_host) {
                return None;
            }
            normal.push_str(&host.to_ascii_lowercase());
            port
        }
    };
    // Nothing, or a colon and then nothing, is the default port as well.
    let digits = if port.is_empty() { port } else { port.strip_prefix(':')? };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if !digits.is_empty() {
        let port: u16 = digits.parse().ok()?;
        if port != default_port {
            normal.push_str(&format!(":{port}"));
        }
    }
    Some(())
}

/// Appends a path that begins with a slash: percent-encoding upper-case and only where it is needed (RFC 3986
/// sections 6.2.2.1 and 6.2.2.2), and then without dot segments (section 5.2.4).
fn push_path(normal: &mut String, path: &str) -> Option<()> {
    let decoded = normal_encoding(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = decoded.strip_prefix('/')?.split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                // What a dot segment ends is a directory.
                if last {
                    segments.push("");
                }
            }
            _ => segments.push(part),
        }
    }
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    Some(())
}

fn normal_encoding(path: &str) -> Option<String> {
    let mut normal = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = hexadecimal(bytes.next()?)?;
            let low = hexadecimal(bytes.next()?)?;
            let decoded = high << 4 | low;
            if is_unreserved(decoded) {
                normal.push(char::from(decoded));
            } else {
                normal.push_str(&format!("%{decoded:02X}"));
            }
        } else if is_unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte) {
            normal.push(char::from(byte));
        } else {
            return None;
        }
    }
    Some(normal)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(uri: &str) -> Option<String> {
        TargetUri::parse(uri).map(|uri| uri.0)
    }

    #[test]
    fn scheme_host_and_port_have_one_form() {
        for (uri, expected) in [
            ("https://h", "https://h/"),
            ("HTTPS://EXAMPLE.com", "https://example.com/"),
            ("https://h:443", "https://h/"),
            ("https://h:0443/", "https://h/"),
            ("https://h:", "https://h/"),
            ("https://h:80/", "https://h:80/"),
            ("http://h:80/", "http://h/"),
            ("http://h:443/", "http://h:443/"),
            ("http://127.0.0.1:8080/mcp", "http://127.0.0.1:8080/mcp"),
            ("https://a_b-c.example.com./", "https://a_b-c.example.com./"),
            ("https://[::1]:443/", "https://[::1]/"),
            ("https://[2001:DB8:0:0::1]:8443/", "https://[2001:db8::1]:8443/"),
        ] {
            assert_eq!(normal(uri).as_deref(), Some(expected), "{uri}");
        }
    }

    #[test]
    fn paths_have_one_form() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("?a=b", "/"),
            ("#a", "/"),
            ("/a?b/../c", "/a"),
            ("/a#b?c", "/a"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("//a//b//", "//a//b//"),
            ("/A", "/A"),
            ("/%41%5a%7E%2d%2E%5f%30", "/AZ~-._0"),
            ("/%2f%3a%e4%00", "/%2F%3A%E4%00"),
            ("/%252e%252e", "/%252e%252e"),
            ("/.", "/"),
            ("/..", "/"),
            ("/../..", "/"),
            ("/./a", "/a"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../../../c", "/c"),
            ("/a/%2E%2e/b", "/b"),
            ("/a//../b", "/a/b"),
            ("/...", "/..."),
            ("/a;b=c,d:e@f!$&'()*+", "/a;b=c,d:e@f!$&'()*+"),
        ] {
            assert_eq!(normal(&format!("https://h{path}")), Some(format!("https://h{expected}")), "{path}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for uri in [
            "",
            "h",
            "/mcp",
            "https:h",
            "https:///",
            "https://:443/",
            "https://?",
            "ftp://h/",
            "https ://h/",
            "https://u@h/",
            "https://u:p@h/",
            "https://@h/",
            "https://h:x/",
            "https://h:+443/",
            "https://h:65536/",
            "https://h:443:443/",
            "https://h h/",
            "https://h%2e/",
            "https://h,i/",
            "https://./",
            "https://.h/",
            "https://[::1/",
            "https://[::1]x/",
            "https://[]/",
            "https://[fe80::1%25eth0]/",
            "https://[v1.a]/",
            "https://::1/",
            "https://h/%",
            "https://h/%4",
            "https://h/%4g",
            "https://h/%+1",
            "https://h/a b",
            "https://h/a\tb",
            "https://h/a\\b",
            "https://h\\@i/",
            "https://h/\u{7f}",
            "https://h/ä",
            "https://ä/",
            "https://h/?ä",
            "https://h/a|b",
            "https://h/<a>",
            "https://h/[a]",
        ] {
            assert_eq!(normal(uri), None, "{uri:?}");
        }
        assert_eq!(normal(&format!("https://h/{}", "a".repeat(limits::TARGET_URI_BYTES))), None);
    }

    #[test]
    fn a_joined_path_stays_below_the_other() {
        for (base, path, expected) in [
            ("https://h", "/", Some("https://h/")),
            ("https://h:443/", "/mcp?a=b", Some("https://h/mcp")),
            ("https://h/", "/a/./%62", Some("https://h/a/b")),
            ("https://h/gateway", "/mcp", Some("https://h/gateway/mcp")),
            ("https://h/gateway/", "/mcp", Some("https://h/gateway/mcp")),
            ("https://h/gateway", "/../../mcp", Some("https://h/gateway/mcp")),
            ("https://h/gateway", "/%2e%2E/mcp", Some("https://h/gateway/mcp")),
            ("https://h", "mcp", None),
            ("https://h", "", None),
            ("https://h", "?a", None),
            ("https://h", "*", None),
            ("https://h", ".i/", None),
            ("https://h", "/a\\b", None),
            ("https://h", "/a b", None),
            ("https://h", "//i/mcp", Some("https://h//i/mcp")),
        ] {
            let joined = TargetUri::parse(base).unwrap().join(path);
            assert_eq!(joined.as_ref().map(TargetUri::as_str), expected, "{base} {path}");
        }
        let base = TargetUri::parse("https://h").unwrap();
        let longest = format!("/{}", "a".repeat(limits::TARGET_URI_BYTES - "https://h/".len()));
        assert!(base.join(&longest).is_some() && base.join(&format!("{longest}?{longest}")).is_some());
        assert_eq!(base.join(&format!("{longest}a")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_normal_form_is_its_own(
            uri in "(?i:https?)://([a-zA-Z0-9.-]{1,6}|\\[::[0-9a-fA-F]{1,4}\\])(:[0-9]{0,5})?(/(\\.|\\.\\.|%2[eEfF]|%25|%[0-9a-fA-F]{2}|[a-z;:@]){0,3}){0,5}([?#].{0,4})?",
        ) {
            if let Some(normal) = TargetUri::parse(&uri) {
                prop_assert_eq!(TargetUri::parse(&normal.0), Some(normal.clone()));
                prop_assert!(!normal.0.contains(['?', '#', ' ']));
                prop_assert!(!normal.0.contains("/../") && !normal.0.contains("/./"));
            }
        }

        #[test]
        fn joining_is_parsing_of_both_together(path in "(/(\\.|\\.\\.|%2[eE]|%[0-9a-fA-F]{2}|[a-z]){0,3}){1,5}") {
            let joined = TargetUri::parse("https://h").unwrap().join(&path);
            prop_assert_eq!(joined, TargetUri::parse(&format!("https://h{path}")));
        }
    }
}
