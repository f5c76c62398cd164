//! Envoy configuration, made from the very files in `envoy/` that people copy.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use serde_json::{Value, json};

use crate::failure::{Exit, Failure};

/// The bootstrap that `envoy/airlock.yaml` shows.
const BOOTSTRAP: &str = include_str!("../../envoy/airlock.yaml");

/// The filter that `envoy/filters/airlock.yaml` shows.
const FILTER: &str = include_str!("../../envoy/filters/airlock.yaml");

/// An MCP server to guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Whether to speak TLS.
    pub tls: bool,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of the MCP endpoint.
    pub path: String,
}

impl Upstream {
    /// Reads the URL of a server.
    ///
    /// # Errors
    /// A [`Failure`] that says what a URL looks like.
    pub fn parse(url: &str) -> Result<Self, Failure> {
        let refused = |what: &str| {
            // A URL with credentials is not repeated.
            let quoted = if url.contains('@') { "this".to_owned() } else { format!("`{url}`") };
            Failure::new(Exit::Usage, format!("{quoted} is not the URL of an MCP server: {what}"))
                .remedy("write it like `http://127.0.0.1:3001/mcp`")
        };
        let uri: ureq::http::Uri = url.parse().map_err(|_| refused("it cannot be read"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refused("it must start with `http://` or `https://`")),
        };
        let authority = uri.authority().ok_or_else(|| refused("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("it must not carry credentials"));
        }
        if uri.query().is_some() {
            return Err(refused("it must not have a query"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let names_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) if port > 0 => port,
            None if !names_port && tls => 443,
            None if !names_port => 80,
            _ => return Err(refused("its port is not between 1 and 65535")),
        };
        Ok(Self { tls, host, port, path: uri.path().to_owned() })
    }

    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// What a bootstrap is made for.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The server.
    pub upstream: &'a Upstream,
    /// Where the signer listens.
    pub signer: SocketAddr,
    /// File that the filter comes from.
    pub filter_file: &'a str,
    /// Identity providers by the name of their cluster.
    pub providers: &'a BTreeMap<String, Upstream>,
}

/// The bootstrap for a site.
///
/// # Errors
/// A [`Failure`] if the shipped file has lost a place that this function fills in.
pub fn bootstrap(site: &Site<'_>) -> Result<Value, Failure> {
    let mut document = shipped(BOOTSTRAP)?;
    set(&mut document, "/admin/address/socket_address/port_value", json!(0))?;
    let listener = "/static_resources/listeners/0";
    set(
        &mut document,
        &format!("{listener}/address"),
        socket_address(&site.listen.ip().to_string(), site.listen.port()),
    )?;
    let manager = format!("{listener}/filter_chains/0/filters/0/typed_config");
    // The console shows a line for each call; a second log would only repeat it.
    set(&mut document, &format!("{manager}/access_log"), json!([]))?;
    let host = format!("{manager}/route_config/virtual_hosts/0");
    set(&mut document, &format!("{host}/domains"), domains(site.listen))?;
    let route =
        json!({ "cluster": "upstream", "timeout": "0s", "host_rewrite_literal": site.upstream.authority() });
    set(&mut document, &format!("{host}/routes/0/route"), route)?;
    let discovery =
        format!("{manager}/http_filters/0/config_discovery/config_source/path_config_source/path");
    set(&mut document, &discovery, json!(site.filter_file))?;
    let endpoint = "load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
    let upstream = "/static_resources/clusters/0";
    set(
        &mut document,
        &format!("{upstream}/{endpoint}"),
        socket_address(&site.upstream.host, site.upstream.port),
    )?;
    if site.upstream.tls {
        let cluster = document.pointer_mut(upstream).ok_or_else(incomplete)?;
        cluster["transport_socket"] = tls(&site.upstream.host);
    }
    let signer = socket_address(&site.signer.ip().to_string(), site.signer.port());
    set(&mut document, &format!("/static_resources/clusters/1/{endpoint}"), signer)?;
    for (name, provider) in site.providers {
        let mut cluster = document.pointer("/static_resources/clusters/1").cloned().ok_or_else(incomplete)?;
        set(&mut cluster, "/name", json!(name))?;
        set(&mut cluster, "/load_assignment/cluster_name", json!(name))?;
        set(&mut cluster, &format!("/{endpoint}"), socket_address(&provider.host, provider.port))?;
        if let (true, Some(members)) = (provider.tls, cluster.as_object_mut()) {
            members.insert("transport_socket".to_owned(), tls(&provider.host));
        }
        let clusters = document.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
        clusters.ok_or_else(incomplete)?.push(cluster);
    }
    Ok(document)
}

/// The filter as Envoy's discovery by file wants it: `module` with `configuration`.
///
/// # Errors
/// A [`Failure`] if the shipped file has lost a place that this function fills in.
pub fn filter(module: &str, configuration: &Value, version: u64) -> Result<Value, Failure> {
    let mut document = shipped(FILTER)?;
    set(&mut document, "/version_info", json!(version.to_string()))?;
    let config = "/resources/0/typed_config/config";
    set(&mut document, &format!("{config}/vm_config/code/local/filename"), json!(module))?;
    set(&mut document, &format!("{config}/configuration/value"), configuration.clone())?;
    Ok(document)
}

fn shipped(yaml: &str) -> Result<Value, Failure> {
    serde_saphyr::from_str(yaml).map_err(|_| incomplete())
}

fn set(document: &mut Value, pointer: &str, value: Value) -> Result<(), Failure> {
    *document.pointer_mut(pointer).ok_or_else(incomplete)? = value;
    Ok(())
}

fn incomplete() -> Failure {
    Failure::new(Exit::Failed, "the bootstrap that this program was built with is incomplete")
}

fn socket_address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}

/// The names under which a gateway answers: on a loopback address only the loopback's own, so that a web page whose
/// name has been pointed there (DNS rebinding) gets nowhere.
fn domains(listen: SocketAddr) -> Value {
    if !listen.ip().is_loopback() {
        return json!(["*"]);
    }
    let mut names = BTreeSet::from(["127.0.0.1", "localhost", "[::1]"].map(str::to_owned));
    names.insert(match listen.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    });
    json!(names)
}

fn tls(host: &str) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": host,
            "auto_sni_san_validation": true,
            "common_tls_context": {
                "validation_context": {
                    "trusted_ca": { "filename": "/etc/ssl/certs/ca-certificates.crt" },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_servers_are_read() {
        for (url, tls, host, port, path) in [
            ("http://127.0.0.1:3001/mcp", false, "127.0.0.1", 3001, "/mcp"),
            ("https://mcp.example.com", true, "mcp.example.com", 443, "/"),
            ("http://[::1]:80/a/b", false, "::1", 80, "/a/b"),
        ] {
            let expected = Upstream { tls, host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(Upstream::parse(url).unwrap(), expected);
        }
        for url in [
            "127.0.0.1:3001",
            "ftp://x/",
            "http://",
            "http://u:p@x/",
            "http://x/?q",
            "x y",
            "http://x:99999/",
            "http://x:0/",
            "http://x:/",
        ] {
            assert_eq!(Upstream::parse(url).unwrap_err().exit, Exit::Usage, "{url}");
        }
    }

    #[test]
    fn a_gateway_on_a_loopback_address_answers_to_loopback_names_only() {
        let loopback = ["127.0.0.1", "[::1]", "localhost"];
        for (listen, expected) in [
            ("127.0.0.1:1", json!(loopback)),
            ("[::1]:1", json!(loopback)),
            ("127.0.0.2:1", json!(["127.0.0.1", "127.0.0.2", "[::1]", "localhost"])),
            ("192.0.2.1:1", json!(["*"])),
            ("0.0.0.0:1", json!(["*"])),
        ] {
            assert_eq!(domains(listen.parse().unwrap()), expected, "{listen}");
        }
    }

    #[test]
    fn the_shipped_files_have_every_place_that_is_filled_in() {
        let upstream = Upstream::parse("https://mcp.example.com/mcp").unwrap();
        let site = Site {
            listen: "127.0.0.1:0".parse().unwrap(),
            upstream: &upstream,
            signer: "127.0.0.1:9".parse().unwrap(),
            filter_file: "filter.json",
            providers: &BTreeMap::from([(
                "idp".to_owned(),
                Upstream::parse("https://idp.example.com").unwrap(),
            )]),
        };
        let bootstrap = bootstrap(&site).unwrap();
        assert_eq!(
            bootstrap["static_resources"]["clusters"][0]["transport_socket"]["typed_config"]["sni"],
            "mcp.example.com"
        );
        let provider = &bootstrap["static_resources"]["clusters"][2];
        assert_eq!(
            (&provider["name"], &provider["load_assignment"]["cluster_name"]),
            (&json!("idp"), &json!("idp"))
        );
        assert_eq!(provider["transport_socket"]["typed_config"]["sni"], "idp.example.com");
        let filter = filter("airlock.wasm", &json!({ "policy": {} }), 7).unwrap();
        assert_eq!(
            filter["resources"][0]["typed_config"]["config"]["configuration"]["value"],
            json!({ "policy": {} })
        );
        assert_eq!(filter["version_info"], "7");
    }
}
