use airlock_jose::json;
use serde_json::Value;

/// Bytes of a metadata document that are read.
pub(crate) const METADATA_BYTES: usize = 64 * 1024;

/// Where something is fetched: an absolute `http` or `https` URL without user and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    scheme: &'static str,
    /// `:authority` of the request.
    pub(crate) authority: String,
    /// `:path` of the request, with the query.
    pub(crate) path: String,
}

impl Endpoint {
    /// Reads a URL; `None` if it is none of ours.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = ["https", "http"]
            .into_iter()
            .find_map(|scheme| Some((scheme, url.strip_prefix(scheme)?.strip_prefix("://")?)))?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'@' | b'"');
        let (authority, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
        if authority.is_empty() || !rest.bytes().all(is_plain) {
            return None;
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { scheme, authority: authority.to_ascii_lowercase(), path })
    }

    /// Whether both are of one origin.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        (self.scheme, &self.authority) == (other.scheme, &other.authority)
    }

    /// Where the metadata of this issuer can be: RFC 8414 section 3.1 puts the well-known part before the issuer's path,
    /// OpenID Connect Discovery section 4 behind it.
    pub(crate) fn metadata_of(&self) -> [Self; 2] {
        let path = self.path.trim_end_matches('/');
        let at = |path: String| Self { path, ..self.clone() };
        [
            at(format!("/.well-known/oauth-authorization-server{path}")),
            at(format!("{path}/.well-known/openid-configuration")),
        ]
    }
}

/// Reads a metadata document: where the keys of `issuer` are.
///
/// The document has to be that of the very issuer (RFC 8414 section 3.3), and its keys must be where it is: it may not
/// send the gateway to other hosts.
pub(crate) fn key_set_endpoint(document: &[u8], issuer: &str, from: &Endpoint) -> Option<Endpoint> {
    let document = json::object(document, METADATA_BYTES).ok()?;
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return None;
    }
    let endpoint = Endpoint::parse(document.get("jwks_uri")?.as_str()?)?;
    endpoint.same_origin(from).then_some(endpoint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::parse(url).unwrap()
    }

    #[test]
    fn urls_are_taken_apart_or_refused() {
        let keys = endpoint("https://IDP.example.com:8443/keys?tenant=a");
        assert_eq!((keys.authority.as_str(), keys.path.as_str()), ("idp.example.com:8443", "/keys?tenant=a"));
        assert_eq!(endpoint("https://idp.example.com").path, "/");
        assert_eq!(endpoint("https://idp.example.com?a").path, "/?a");
        for refused in [
            "idp.example.com/keys",
            "ftp://idp.example.com/keys",
            "HTTPS://idp.example.com/keys",
            "https:///keys",
            "https://user@idp.example.com/keys",
            "https://idp.example.com/keys#a",
            "https://idp.example.com/a b",
            "https://idp.example.com/\r\nx: y",
            "https://idp.example.com\\@other.example.com/",
            "https://idp.exämple.com/",
            "",
        ] {
            assert_eq!(Endpoint::parse(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn metadata_is_looked_for_where_the_specifications_put_it() {
        let cases = [
            (
                "https://idp.example.com",
                ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"],
            ),
            (
                "https://idp.example.com/tenant/",
                [
                    "/.well-known/oauth-authorization-server/tenant",
                    "/tenant/.well-known/openid-configuration",
                ],
            ),
        ];
        for (issuer, expected) in cases {
            assert_eq!(endpoint(issuer).metadata_of().map(|found| found.path), expected, "{issuer}");
        }
    }

    #[test]
    fn a_document_speaks_for_its_own_issuer_and_host_only() {
        let issuer = "https://idp.example.com/a";
        let from = endpoint(issuer);
        let read = |document: Value| key_set_endpoint(document.to_string().as_bytes(), issuer, &from);
        let good = json!({ "issuer": issuer, "jwks_uri": "https://idp.example.com/keys" });
        assert_eq!(read(good.clone()), Some(endpoint("https://idp.example.com/keys")));
        for (member, value) in [
            ("issuer", json!("https://idp.example.com/b")),
            ("issuer", json!("https://idp.example.com/a/")),
            ("issuer", json!(null)),
            ("jwks_uri", json!("https://other.example.com/keys")),
            ("jwks_uri", json!("http://idp.example.com/keys")),
            ("jwks_uri", json!("https://idp.example.com:444/keys")),
            ("jwks_uri", json!("https://idp.example.com@other.example.com/keys")),
            ("jwks_uri", json!("/keys")),
            ("jwks_uri", json!(["https://idp.example.com/keys"])),
        ] {
            let mut document = good.clone();
            document[member] = value.clone();
            assert_eq!(read(document), None, "{member}: {value}");
        }
        assert_eq!(key_set_endpoint(b"{\"issuer\":\"a\",\"issuer\":\"a\"}", "a", &from), None);
    }
}
