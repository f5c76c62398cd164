//! Every configuration in this repository is one that its reader accepts: Envoy, the module, or Istio's schemas.
//!
//! Envoy's `--mode validate` loads the module and configures the filters of a bootstrap, but not what comes through
//! discovery by file: those filters are put into a bootstrap first.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use airlock::{Kept, Root, plan};
use airlock_policy::Policy;
use airlock_tests::tls::Authority;
use serde_json::{Value, json};

/// The order of a chain, outermost first.
const CHAIN: [&str; 6] =
    ["receipt-emitter", "token-validator", "mcp-parser", "tool-policy", "pii-redactor", "receipt-intent"];

/// How long one validation may take: V8 compiles the module in one or two seconds when it has a core for itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the filters of the only listener of a bootstrap are.
const HTTP_FILTERS: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = root().join(directory);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no configuration in {}", directory.display());
    files
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn document(path: &str) -> Value {
    let [document] = <[Value; 1]>::try_from(documents(&text(&root().join(path)))).expect(path);
    document
}

/// The one configuration in `envoy/filters` for a root id: the filter as Envoy has it.
fn filter(id: &str) -> Value {
    document(&format!("envoy/filters/{id}.yaml"))["resources"][0]["typed_config"].clone()
}

/// The root id of a filter and the document that it is configured with.
fn configured(filter: &Value) -> (&str, &Value) {
    let config = &filter["config"];
    (config["root_id"].as_str().unwrap(), &config["configuration"]["value"])
}

/// The module's own judgement.
fn accepted(id: &str, configuration: &Value) -> Result<(), String> {
    let root = Root::of(id).ok_or_else(|| format!("unknown root id `{id}`"))?;
    let bytes = serde_json::to_vec(configuration).unwrap();
    plan(root, &bytes, &Kept::default()).map(drop).map_err(|error| error.to_string())
}

fn policy_digest(policy: &Value) -> String {
    Policy::from_value(policy.clone()).unwrap().digest().to_owned()
}

/// Asks Envoy about a bootstrap. One validation runs at a time, however many tests do: V8 needs a core for each.
fn validate(bootstrap: &Path) -> Result<(), String> {
    let envoy = root().join("dist/envoy");
    assert!(envoy.exists(), "dist/envoy is missing: run `scripts/build` first");
    let turn = fs::File::open(root().join("tests/Cargo.toml")).unwrap();
    turn.lock().unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(envoy)
        .args(["--mode", "validate", "--log-level", "error", "--disable-hot-restart", "-c"])
        .arg(bootstrap)
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.reopen().unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("envoy took more than {PATIENCE:?} to validate {}", bootstrap.display());
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    if status.success() { Ok(()) } else { Err(text(log.path())) }
}

/// A bootstrap with these filters in it, named by their root ids, and the module of this build.
fn with_filters(base: &str, filters: Vec<Value>) -> Value {
    let mut bootstrap = document(base);
    let module = root().join("dist/airlock.wasm");
    assert!(module.exists(), "dist/airlock.wasm is missing: run `scripts/build` first");
    let placed = bootstrap.pointer_mut(HTTP_FILTERS).and_then(Value::as_array_mut).unwrap();
    placed.drain(..placed.len() - 1);
    for (index, mut filter) in filters.into_iter().enumerate() {
        let code = filter.pointer_mut("/config/vm_config/code").expect("a filter names its code");
        *code = json!({ "local": { "filename": module } });
        let name = filter["config"]["root_id"].clone();
        placed.insert(index, json!({ "name": name, "typed_config": filter }));
    }
    bootstrap
}

fn validate_document(bootstrap: &Value) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bootstrap.json");
    fs::write(&path, bootstrap.to_string()).unwrap();
    validate(&path)
}

/// The patches of the shipped `EnvoyFilter` that apply to `what`.
fn patches(what: &str) -> Vec<Value> {
    let resource = document("istio/envoyfilter.yaml");
    let patches = resource["spec"]["configPatches"].as_array().unwrap().iter();
    patches.filter(|patch| patch["applyTo"] == what).cloned().collect()
}

/// The filters that the shipped `EnvoyFilter` installs, in the order in which they come to stand.
fn istio_filters() -> Vec<Value> {
    patches("HTTP_FILTER").into_iter().map(|patch| patch["patch"]["value"]["typed_config"].clone()).collect()
}

/// The specifications of the `WasmPlugin` resources of a file, in the order in which Istio puts them.
fn plugins(path: &str) -> Vec<Value> {
    const PHASES: [&str; 3] = ["AUTHN", "AUTHZ", "STATS"];
    let mut plugins: Vec<_> =
        documents(&text(&root().join(path))).into_iter().map(|mut one| one["spec"].take()).collect();
    plugins.sort_by_key(|plugin| {
        let phase = PHASES.iter().position(|phase| plugin["phase"] == **phase).expect("a phase");
        (phase, -plugin["priority"].as_i64().expect("a priority"))
    });
    plugins
}

/// What Istio makes of a `WasmPlugin` for Envoy: the configuration as JSON text, no id for the VM, headers not held.
fn of_plugin(plugin: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": format!("istio-ingress.{}", plugin["pluginName"].as_str().unwrap()),
            "root_id": plugin["pluginName"],
            "vm_config": { "runtime": "envoy.wasm.runtime.v8", "code": {} },
            "failure_policy": plugin["failStrategy"],
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": plugin["pluginConfig"].to_string(),
            },
        },
    })
}

/// What Istio's kind of a configuration must have in common with Envoy's: all but how the filter lives in its proxy, and
/// the cluster of the signer, which Istio names.
fn in_common(mut configuration: Value) -> Value {
    configuration.as_object_mut().unwrap().remove("proxy");
    for signer in ["/signer/cluster", "/receipts/signer/cluster"] {
        if let Some(cluster) = configuration.pointer_mut(signer) {
            cluster.take();
        }
    }
    configuration
}

/// Puts `patch` into `target` as Istio merges Envoy's messages, as far as the shipped patches need it.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// What the schema of a resource's kind finds wrong.
fn schema_errors(resource: &Value) -> Vec<String> {
    let kind = resource["kind"].as_str().expect("a resource has a kind").to_lowercase();
    let schema = text(&root().join(format!("tests/istio-crds/{kind}.schema.json")));
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(resource).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The YAML examples of a page: what follows `yaml` in the fence's info string, and the text.
fn examples(page: &str) -> Vec<(String, String)> {
    let mut examples = Vec::new();
    let page = text(&root().join(page));
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some((indent, info)) = line.split_once("```yaml").filter(|(indent, _)| indent.trim().is_empty())
        else {
            continue;
        };
        let body: Vec<_> = lines
            .by_ref()
            .map(|line| line.strip_prefix(indent).unwrap_or(line))
            .take_while(|line| *line != "```")
            .collect();
        examples.push((info.trim().to_owned(), body.join("\n")));
    }
    examples
}

#[test]
fn envoy_accepts_every_bootstrap() {
    let authority = Authority::default();
    for path in [files("envoy"), files("envoy/alone")].concat() {
        let mut bootstrap = document(path.to_str().unwrap());
        if Authority::has_a_place_in(&bootstrap) {
            authority.fill_in(&mut bootstrap);
        }
        validate_document(&bootstrap).unwrap_or_else(|log| panic!("{}: {log}", path.display()));
    }
}

#[test]
fn every_bootstrap_takes_its_filters_from_files_that_hold_them() {
    for path in [files("envoy"), files("envoy/alone")].concat() {
        let bootstrap = document(path.to_str().unwrap());
        let filters = bootstrap.pointer(HTTP_FILTERS).and_then(Value::as_array).unwrap();
        let (router, filters) = filters.split_last().unwrap();
        assert_eq!(router["name"], "envoy.filters.http.router");
        // Envoy's own, such as RBAC, stand behind ours.
        let own = filters.partition_point(|filter| filter.get("config_discovery").is_some());
        let (ours, envoys) = filters.split_at(own);
        assert!(!ours.is_empty() && envoys.iter().all(|filter| filter.get("typed_config").is_some()));
        for filter in ours {
            let file = filter.pointer("/config_discovery/config_source/path_config_source/path").unwrap();
            let resource = document(file.as_str().unwrap());
            assert_eq!(resource["resources"][0]["name"], filter["name"], "{}", path.display());
        }
    }
}

#[test]
fn envoy_loads_every_filter_and_its_configuration() {
    let chain = CHAIN.map(filter).to_vec();
    validate_document(&with_filters("envoy/chain.yaml", chain)).unwrap();
    validate_document(&with_filters("envoy/airlock.yaml", vec![filter("airlock")])).unwrap();
    assert_eq!(files("envoy/filters").len(), CHAIN.len() + 1, "a filter that this test does not load");
}

#[test]
fn envoy_refuses_a_bootstrap_whose_filter_refuses_its_configuration() {
    let mut broken = filter("pii-redactor");
    broken["config"]["configuration"]["value"]["request"]["detect"] = json!(["emial"]);
    let log = validate_document(&with_filters("envoy/chain.yaml", vec![broken])).unwrap_err();
    assert!(log.contains("configuration refused: pii-redactor: request.detect[0]"), "{log}");
}

#[test]
fn envoy_loads_what_the_envoyfilter_installs() {
    let mut bootstrap = with_filters("envoy/chain.yaml", istio_filters());
    for (what, place) in [
        ("LISTENER", "/static_resources/listeners/0"),
        ("NETWORK_FILTER", "/static_resources/listeners/0/filter_chains/0/filters/0"),
    ] {
        let patches = patches(what);
        assert!(!patches.is_empty(), "{what}");
        for patch in patches {
            assert_eq!(patch["patch"]["operation"], "MERGE");
            merge(bootstrap.pointer_mut(place).unwrap(), &patch["patch"]["value"]);
        }
    }
    validate_document(&bootstrap).unwrap();
}

#[test]
fn envoy_loads_what_becomes_of_the_wasmplugins() {
    for path in ["istio/wasmplugins.yaml", "istio/wasmplugin-airlock.yaml"] {
        let filters = plugins(path).iter().map(of_plugin).collect();
        validate_document(&with_filters("envoy/chain.yaml", filters))
            .unwrap_or_else(|log| panic!("{path}: {log}"));
    }
}

#[test]
fn the_module_accepts_every_configuration() {
    let mut filters: Vec<_> = Root::ALL.map(Root::id).map(filter).to_vec();
    filters.extend(istio_filters());
    for filter in filters {
        let (id, configuration) = configured(&filter);
        assert_eq!(accepted(id, configuration), Ok(()), "{id}");
    }
    for path in ["istio/wasmplugins.yaml", "istio/wasmplugin-airlock.yaml"] {
        for plugin in plugins(path) {
            let id = plugin["pluginName"].as_str().unwrap();
            assert_eq!(accepted(id, &plugin["pluginConfig"]), Ok(()), "{path}: {id}");
        }
    }
}

#[test]
fn istio_configures_filters_with_the_documents_of_envoy() {
    let of_envoy = |id: &str| in_common(configured(&filter(id)).1.clone());
    for filter in istio_filters() {
        let (id, configuration) = configured(&filter);
        assert_eq!(configuration.get("proxy"), None, "{id}: headers are held, as they are by default");
        assert_eq!(filter["config"]["allow_on_headers_stop_iteration"], true, "{id}");
        assert_eq!(in_common(configuration.clone()), of_envoy(id), "{id}");
    }
    for path in ["istio/wasmplugins.yaml", "istio/wasmplugin-airlock.yaml"] {
        for plugin in plugins(path) {
            let id = plugin["pluginName"].as_str().unwrap();
            assert_eq!(plugin["pluginConfig"]["proxy"], json!({ "hold_headers": false }), "{id}");
            assert_eq!(in_common(plugin["pluginConfig"].clone()), of_envoy(id), "{id}");
        }
    }
}

#[test]
fn every_way_to_install_has_the_same_policy() {
    let policy = configured(&filter("tool-policy")).1.clone();
    let digest = policy_digest(&policy);
    assert_eq!(policy_digest(&configured(&filter("airlock")).1["policy"]), digest);
    let envoyfilter = istio_filters();
    let installed = envoyfilter.iter().map(configured).find(|(id, _)| *id == "tool-policy").unwrap();
    assert_eq!(policy_digest(installed.1), digest);
    let mut plugins = [plugins("istio/wasmplugins.yaml"), plugins("istio/wasmplugin-airlock.yaml")].concat();
    plugins.retain(|plugin| plugin["pluginName"] == "tool-policy" || plugin["pluginName"] == "airlock");
    let digests: Vec<_> = plugins
        .into_iter()
        .map(|plugin| match plugin["pluginConfig"].get("policy") {
            Some(policy) => policy_digest(policy),
            None => policy_digest(&in_common(plugin["pluginConfig"].clone())),
        })
        .collect();
    assert_eq!(digests, [digest.clone(), digest.clone()]);

    let mut other = policy;
    other["rules"][0]["scopes"] = json!(["mcp:write"]);
    assert_ne!(policy_digest(&other), digest);
}

#[test]
fn filters_stand_in_the_order_of_the_design() {
    assert_eq!(Root::ALL.map(Root::id).split_last().unwrap().1, CHAIN);

    let bootstrap = document("envoy/chain.yaml");
    let filters = bootstrap.pointer(HTTP_FILTERS).and_then(Value::as_array).unwrap();
    let names: Vec<_> = filters.iter().map(|filter| filter["name"].as_str().unwrap()).collect();
    assert_eq!(names.split_last().unwrap().1, CHAIN);

    // Each is put right before the router, and so behind the one before it.
    for patch in patches("HTTP_FILTER") {
        assert_eq!(patch["patch"]["operation"], "INSERT_BEFORE");
        let before = patch.pointer("/match/listener/filterChain/filter/subFilter/name").unwrap();
        assert_eq!(before, "envoy.filters.http.router");
    }
    let filters = istio_filters();
    let ids: Vec<_> = filters.iter().map(|filter| configured(filter).0).collect();
    assert_eq!(ids, CHAIN);

    let plugins = plugins("istio/wasmplugins.yaml");
    let names: Vec<_> = plugins.iter().map(|plugin| plugin["pluginName"].as_str().unwrap()).collect();
    assert_eq!(names, CHAIN);
}

#[test]
fn filters_of_a_chain_share_one_vm_and_never_fail_open() {
    let vm = |filter: &Value| filter["config"]["vm_config"].clone();
    for filters in [Root::ALL.map(Root::id).map(filter).to_vec(), istio_filters()] {
        for filter in &filters {
            assert_eq!(vm(filter), vm(&filters[0]));
            assert_eq!(filter["config"]["failure_policy"], "FAIL_RELOAD");
        }
    }
    let plugins = [plugins("istio/wasmplugins.yaml"), plugins("istio/wasmplugin-airlock.yaml")].concat();
    for plugin in &plugins {
        assert_eq!(plugin["url"], plugins[0]["url"]);
        assert_eq!(plugin["failStrategy"], "FAIL_RELOAD");
    }
}

#[test]
fn istio_accepts_every_resource_and_no_unknown_field() {
    for path in files("istio") {
        for resource in documents(&text(&path)) {
            assert_eq!(schema_errors(&resource), Vec::<String>::new(), "{}", path.display());
            let mut misspelt = resource;
            misspelt["spec"]["failStrtegy"] = json!("FAIL_CLOSE");
            assert!(!schema_errors(&misspelt).is_empty(), "{}", path.display());
        }
    }
}

/// A fence's info string says what an example is: ```` ```yaml ROOT-ID ```` a whole configuration of that filter,
/// ```` ```yaml proxy ```` the member that all have, nothing any YAML; a resource of Istio is known by its kind.
#[test]
fn examples_in_the_documentation_are_accepted() {
    for page in ["docs/reference/configuration.md", "docs/guides/identity.md", "docs/guides/istio.md"] {
        let examples = examples(page);
        assert!(!examples.is_empty(), "{page} has no example");
        for (info, yaml) in examples {
            for document in documents(&yaml) {
                match info.as_str() {
                    "" if document["apiVersion"]
                        .as_str()
                        .is_some_and(|version| version.contains("istio.io/")) =>
                    {
                        assert_eq!(schema_errors(&document), Vec::<String>::new(), "{page}:\n{yaml}");
                    }
                    "" => {}
                    "proxy" => assert_eq!(accepted("mcp-parser", &document), Ok(()), "{page}:\n{yaml}"),
                    id => assert_eq!(accepted(id, &document), Ok(()), "{page}:\n{yaml}"),
                }
            }
        }
    }
}
