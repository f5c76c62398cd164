//! A real Envoy with the configurations of `envoy/`, filled in for a test.

use std::{net::SocketAddr, path::Path};

use airlock_cli::envoy::Envoy;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{built, client::Http, receipts::Signer, repository, tls::Authority, tokens::Issuer};

/// How Airlock stands in the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Not at all: the control.
    Plain,
    /// `envoy/airlock.yaml`: the whole chain as one filter.
    Whole,
    /// `envoy/chain.yaml`: a chain of filters in one VM.
    Chain,
    /// `envoy/chain.yaml` with every filter in a VM of its own.
    SeparateVms,
    /// `envoy/airlock.yaml` in a proxy that cannot hold headers, as Istio's WasmPlugin has it.
    WholeUnheld,
    /// `envoy/chain.yaml` in such a proxy.
    ChainUnheld,
    /// `envoy/operators.yaml`: the whole chain, with filters of Envoy's own that use its facts.
    Operators,
    /// `envoy/mtls.yaml`: the whole chain, for clients that have certificates.
    Mutual,
    /// `envoy/alone/<root id>.yaml`.
    Alone(&'static str),
}

impl Shape {
    fn bootstrap(self) -> String {
        match self {
            Self::Plain | Self::Whole | Self::WholeUnheld => "airlock.yaml".to_owned(),
            Self::Chain | Self::SeparateVms | Self::ChainUnheld => "chain.yaml".to_owned(),
            Self::Operators => "operators.yaml".to_owned(),
            Self::Mutual => "mtls.yaml".to_owned(),
            Self::Alone(root) => format!("alone/{root}.yaml"),
        }
    }

    fn holds_headers(self) -> bool {
        !matches!(self, Self::WholeUnheld | Self::ChainUnheld)
    }

    /// Root ids of the filters, each with its section of the configuration.
    fn filters(self, configuration: &Configuration) -> Vec<(&'static str, Value)> {
        let section = |name: &str| configuration.0.get(name).cloned().unwrap_or_else(|| json!({}));
        match self {
            Self::Plain => Vec::new(),
            Self::Whole | Self::WholeUnheld | Self::Operators | Self::Mutual => {
                vec![("airlock", configuration.0.clone())]
            }
            Self::Chain | Self::SeparateVms | Self::ChainUnheld => {
                CHAIN.map(|(root, name)| (root, section(name))).to_vec()
            }
            Self::Alone(alone) => CHAIN
                .into_iter()
                .filter(|(root, _)| *root == alone)
                .map(|(root, name)| (root, section(name)))
                .collect(),
        }
    }
}

/// A gateway with its signer, in a directory of its own.
#[derive(Debug)]
pub struct Gateway {
    envoy: Envoy,
    /// Where clients connect.
    pub address: SocketAddr,
    /// The signer beside it.
    pub signer: Signer,
    shape: Shape,
    configuration: Configuration,
    directory: TempDir,
}

/// What is configured, by section of the root id `airlock`.
#[derive(Clone, Debug)]
pub struct Configuration(pub Value);

impl Default for Configuration {
    /// Tokens of [`Issuer`]; a policy under which `mcp:read` opens `echo`, `stream`, `page`, `large` and `compressed`,
    /// `mcp:write` opens `save`, and `drop` is closed to everybody.
    fn default() -> Self {
        let reads = ["echo", "stream", "page", "large", "compressed"];
        let tools: Vec<Value> = reads.map(|name| json!({ "name": name, "operation": "read" })).to_vec();
        Self(json!({
            "receipts": {
                "gateway": "gateway.example.com", "signer": { "cluster": "airlock-signer", "interval_ms": 20 },
                "digests": { "plain": true },
            },
            "identity": Issuer::default().identity(),
            "mcp": {},
            "policy": {
                "version": 1,
                "servers": [{ "name": "test", "path": "/mcp", "tools": tools }],
                "rules": [
                    { "name": "reads", "effect": "allow", "operations": ["read"], "methods": ["*"], "scopes": ["mcp:read"] },
                    { "name": "saves", "effect": "allow", "tools": ["save"], "scopes": ["mcp:write"] },
                    { "name": "no-drop", "effect": "deny", "tools": ["drop"], "reason": "nothing is dropped here" },
                ],
            },
            "redaction": {},
        }))
    }
}

impl Configuration {
    /// With something else at a JSON pointer.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        self.0.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"))[member] = value;
        self
    }
}

/// Filters of `envoy/chain.yaml` and the section of `airlock` that configures each.
const CHAIN: [(&str, &str); 6] = [
    ("receipt-emitter", "receipts"),
    ("token-validator", "identity"),
    ("mcp-parser", "mcp"),
    ("tool-policy", "policy"),
    ("pii-redactor", "redaction"),
    ("receipt-intent", ""),
];

const ACCESS_LOG: &str = "access.log";

impl Gateway {
    /// Starts a signer and an Envoy with one worker in front of `upstream`.
    pub async fn start(shape: Shape, upstream: SocketAddr, configuration: Configuration) -> Self {
        Self::launch(1, shape, upstream, configuration, |_| {}).await
    }

    /// Starts a gateway whose Envoy gives `token` to requests that come without one, before any filter sees them: for
    /// clients that cannot be given a token.
    pub async fn with_token(
        shape: Shape,
        upstream: SocketAddr,
        configuration: Configuration,
        token: &str,
    ) -> Self {
        Self::launch(1, shape, upstream, configuration, |document| add_token(document, token)).await
    }

    /// Starts a gateway that reaches `upstream` over that version of HTTP.
    pub async fn start_over(
        http: Http,
        shape: Shape,
        upstream: SocketAddr,
        configuration: Configuration,
    ) -> Self {
        Self::launch(1, shape, upstream, configuration, |document| {
            if http == Http::Two {
                speak_http2(&mut document["static_resources"]["clusters"][0]);
            }
        })
        .await
    }

    /// Starts a gateway that listens on `port`, which tests have to know beforehand whose resource is its URL, with a
    /// cluster `provider` that leads to an identity provider.
    pub async fn beside(
        provider: SocketAddr,
        port: u16,
        shape: Shape,
        upstream: SocketAddr,
        configuration: Configuration,
    ) -> Self {
        Self::launch(1, shape, upstream, configuration, |document| {
            let resources = &mut document["static_resources"];
            resources["listeners"][0]["address"]["socket_address"]["port_value"] = json!(port);
            resources["clusters"].as_array_mut().unwrap().push(cluster("provider", provider));
        })
        .await
    }

    /// Starts a gateway for clients with certificates of `authority`; `required` says whether it lets others in.
    pub async fn mutual(
        upstream: SocketAddr,
        configuration: Configuration,
        authority: &Authority,
        required: bool,
    ) -> Self {
        Self::launch(1, Shape::Mutual, upstream, configuration, |document| {
            authority.fill_in(document);
            if !required {
                Authority::make_optional(document);
            }
        })
        .await
    }

    /// Starts a gateway whose Envoy has several workers; connections are spread over them.
    pub async fn with_workers(
        workers: u16,
        shape: Shape,
        upstream: SocketAddr,
        configuration: Configuration,
    ) -> Self {
        Self::launch(workers, shape, upstream, configuration, |_| {}).await
    }

    /// Starts a gateway that forwards each request to the server that it names, wherever that listens. Its filters see
    /// what goes to `/mcp`; the rest, such as metadata and the requests of a sign-in, passes.
    pub async fn forwarding(shape: Shape, configuration: Configuration) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        Self::launch(1, shape, nowhere, configuration, forward_by_name).await
    }

    async fn launch(
        workers: u16,
        shape: Shape,
        upstream: SocketAddr,
        configuration: Configuration,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let signer = Signer::start(&directory.path().join("state"), "127.0.0.1:0");
        write_filters(directory.path(), shape, &configuration);
        let bootstrap = directory.path().join("bootstrap.json");
        let mut document = bootstrap_for(shape, upstream, signer.address, directory.path());
        change(&mut document);
        std::fs::write(&bootstrap, document.to_string()).unwrap();
        let envoy = Envoy::start(&built("envoy"), &bootstrap, directory.path(), workers).await;
        let envoy = envoy.unwrap_or_else(|failure| panic!("{}", failure.render()));
        let address = envoy.listener().await.unwrap();
        Self { envoy, address, signer, shape, configuration, directory }
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        let scheme = if self.shape == Shape::Mutual { "https" } else { "http" };
        format!("{scheme}://{}/mcp", self.address)
    }

    /// Renames another configuration into place, as an operator does.
    pub fn reconfigure(&mut self, configuration: Configuration) {
        write_filters(self.directory.path(), self.shape, &configuration);
        self.configuration = configuration;
    }

    /// The configuration that was last put into place.
    pub fn configuration(&self) -> Configuration {
        self.configuration.clone()
    }

    /// One of Envoy's counters or gauges.
    pub async fn stat(&self, name: &str) -> u64 {
        self.envoy.stat(name).await.unwrap_or_else(|| panic!("no stat {name}"))
    }

    /// The lines of the access log so far, of [`Shape::Operators`] only. Envoy writes them out every few seconds.
    pub fn access_log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join(ACCESS_LOG)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What Envoy and the filters have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("envoy.log")).unwrap()
    }
}

fn shipped(file: &str) -> Value {
    let path = repository().join("envoy").join(file);
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bootstrap_for(shape: Shape, upstream: SocketAddr, signer: SocketAddr, directory: &Path) -> Value {
    let mut document = shipped(&shape.bootstrap());
    document["admin"]["address"]["socket_address"]["port_value"] = json!(0);
    let listener = &mut document["static_resources"]["listeners"][0];
    listener["address"]["socket_address"]["port_value"] = json!(0);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["access_log"] = match shape {
        Shape::Operators => access_log(&manager["access_log"][0], directory),
        _ => json!([]),
    };
    let filters = manager["http_filters"].as_array_mut().unwrap();
    if shape == Shape::Plain {
        filters.retain(|filter| filter["name"] == "envoy.filters.http.router");
    }
    for filter in filters {
        if let Some(path) = filter.pointer_mut("/config_discovery/config_source/path_config_source/path") {
            let name = Path::new(path.as_str().unwrap()).file_name().unwrap().to_owned();
            *path = json!(directory.join(name));
        }
    }
    let clusters = document["static_resources"]["clusters"].as_array_mut().unwrap();
    // The third of `envoy/operators.yaml` collects traces, which the server of the tests does as well.
    for (cluster, address) in clusters.iter_mut().zip([upstream, signer, upstream]) {
        let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        endpoint["address"]["socket_address"] =
            json!({ "address": address.ip().to_string(), "port_value": address.port() });
    }
    document
}

/// The access log that is shipped, into a file.
fn access_log(shipped: &Value, directory: &Path) -> Value {
    let format = shipped["typed_config"]["log_format"].clone();
    json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": directory.join(ACCESS_LOG),
            "log_format": format,
        },
    }])
}

fn add_token(document: &mut Value, token: &str) {
    let listener = &mut document["static_resources"]["listeners"][0];
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    let header = json!({ "key": "authorization", "value": format!("Bearer {token}") });
    manager["early_header_mutation_extensions"] = json!([{
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [{ "append": { "header": header, "append_action": "ADD_IF_ABSENT" } }],
        },
    }]);
}

fn forward_by_name(document: &mut Value) {
    let cache = json!({ "name": "names", "dns_lookup_family": "V4_PREFERRED" });
    let manager =
        &mut document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    let filters = manager["http_filters"].as_array_mut().unwrap();
    let (router, ours) = filters.split_last().unwrap();
    let disabled: serde_json::Map<String, Value> = ours
        .iter()
        .map(|filter| {
            let disabled = json!({ "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true });
            (filter["name"].as_str().unwrap().to_owned(), disabled)
        })
        .collect();
    let resolver = json!({
        "name": "envoy.filters.http.dynamic_forward_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
            "dns_cache_config": cache,
        },
    });
    let with_resolver = [ours, &[resolver, router.clone()]].concat();
    manager["http_filters"] = json!(with_resolver);
    let routes = manager["route_config"]["virtual_hosts"][0]["routes"].as_array_mut().unwrap();
    let everything = routes.pop().unwrap();
    routes.push(json!({ "match": { "path": "/mcp" }, "route": everything["route"] }));
    routes.push(json!({
        "match": { "prefix": "/" }, "route": everything["route"], "typed_per_filter_config": disabled,
    }));
    let upstream = &mut document["static_resources"]["clusters"][0];
    *upstream = json!({
        "name": upstream["name"], "connect_timeout": "1s", "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "dns_cache_config": cache,
            },
        },
    });
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    let socket = json!({ "address": address.ip().to_string(), "port_value": address.port() });
    let endpoint = json!({ "endpoint": { "address": { "socket_address": socket } } });
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
    })
}

fn speak_http2(cluster: &mut Value) {
    cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"] = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": { "http2_protocol_options": {} },
    });
}

/// Writes the files that filters come from, each beside its old version and then renamed over it.
fn write_filters(directory: &Path, shape: Shape, configuration: &Configuration) {
    for (root, mut section) in shape.filters(configuration) {
        let mut document = shipped(&format!("filters/{root}.yaml"));
        let config = &mut document["resources"][0]["typed_config"]["config"];
        config["vm_config"]["code"]["local"]["filename"] = json!(built("airlock.wasm"));
        config["allow_on_headers_stop_iteration"] = json!(shape.holds_headers());
        if !shape.holds_headers() {
            section["proxy"] = json!({ "hold_headers": false });
        }
        if shape == Shape::SeparateVms {
            config["vm_config"]["vm_id"] = json!(root);
            section["proxy"] = json!({ "separate_vms": true });
        }
        config["configuration"]["value"] = section;
        let target = directory.join(format!("{root}.yaml"));
        let new = target.with_extension("new");
        std::fs::write(&new, document.to_string()).unwrap();
        std::fs::rename(new, target).unwrap();
    }
}
