use std::{cell::RefCell, rc::Rc};

use airlock_mcp_parser::McpParser;
use airlock_pii_redactor::PiiRedactor;
use airlock_pipeline::{Limits, Options, Stage};
use airlock_policy::Policy;
use airlock_receipt_emitter::{IntentConfiguration, Queue, ReceiptEmitter, ReceiptIntent};
use airlock_token_validator::{Memory, TokenValidator};
use airlock_tool_policy::ToolPolicy;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{json, structure};

pub use airlock_receipt_emitter::Delivery;

/// The root ids of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// A record of every call; the outermost filter of a chain.
    ReceiptEmitter,
    /// Who calls.
    TokenValidator,
    /// One meaning of headers and body.
    McpParser,
    /// May this caller do this.
    ToolPolicy,
    /// Personal data out of arguments and results.
    PiiRedactor,
    /// Nothing that changes something leaves without evidence; the innermost filter of a chain.
    ReceiptIntent,
    /// All of them as stages of one filter.
    Airlock,
}

impl Root {
    /// Every root id, in the order of a chain; the whole chain last.
    pub const ALL: [Self; 7] = [
        Self::ReceiptEmitter,
        Self::TokenValidator,
        Self::McpParser,
        Self::ToolPolicy,
        Self::PiiRedactor,
        Self::ReceiptIntent,
        Self::Airlock,
    ];

    /// The root id as Envoy configuration names it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::ReceiptEmitter => "receipt-emitter",
            Self::TokenValidator => "token-validator",
            Self::McpParser => "mcp-parser",
            Self::ToolPolicy => "tool-policy",
            Self::PiiRedactor => "pii-redactor",
            Self::ReceiptIntent => "receipt-intent",
            Self::Airlock => "airlock",
        }
    }

    /// The root of that id.
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|root| root.id() == id)
    }
}

/// What a filter does, built once when its configuration is accepted.
pub struct Plan {
    /// The stages, outermost first.
    pub stages: Rc<[Box<dyn Stage>]>,
    /// How the filter lives in its proxy.
    pub options: Options,
    /// Whether filters of the same chain run in other VMs.
    pub separate_vms: bool,
    /// Where records are delivered, for the filters that have any.
    pub delivery: Option<Delivery>,
}

/// Why a configuration was refused: where, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationError {
    /// Path into the document, such as `policy.rules[2].effect`; empty for the document itself.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl std::fmt::Display for ConfigurationError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => formatter.write_str(&self.message),
            path => write!(formatter, "{path}: {}", self.message),
        }
    }
}

/// The member `proxy` that every configuration may carry: how the filter lives in its proxy.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ProxySection {
    hold_headers: bool,
    separate_vms: bool,
    limits: Limits,
}

impl Default for ProxySection {
    fn default() -> Self {
        Self { hold_headers: true, separate_vms: false, limits: Limits::default() }
    }
}

/// What a worker keeps while configurations come and go.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Records on their way to the signer.
    pub queue: Rc<RefCell<Queue>>,
    /// Verified tokens and fetched keys.
    pub memory: Memory,
}

/// Turns a root's configuration, a JSON object, into what the filter does in this worker.
///
/// # Errors
/// [`ConfigurationError`] with the path of what is wrong; the proxy then keeps the configuration that it has.
pub fn plan(root: Root, configuration: &[u8], kept: &Kept) -> Result<Plan, ConfigurationError> {
    let mut document = object(configuration)?;
    let proxy: ProxySection = match document.remove("proxy") {
        Some(section) => read("proxy", section)?,
        None => ProxySection::default(),
    };
    let mut builder = Builder { kept, delivery: None };
    let stages = match root {
        Root::Airlock => builder.whole_chain(document)?,
        _ => vec![builder.stage(root, "", Value::Object(document))?],
    };
    // Not before all of it is accepted: what is refused changes nothing.
    if let Some(delivery) = &builder.delivery {
        kept.queue.borrow_mut().configure(delivery.queue);
    }
    Ok(Plan {
        stages: stages.into(),
        options: Options { hold_headers: proxy.hold_headers, limits: proxy.limits },
        separate_vms: proxy.separate_vms,
        delivery: builder.delivery,
    })
}

struct Builder<'a> {
    kept: &'a Kept,
    delivery: Option<Delivery>,
}

impl Builder<'_> {
    fn whole_chain(
        &mut self,
        mut document: Map<String, Value>,
    ) -> Result<Vec<Box<dyn Stage>>, ConfigurationError> {
        const SECTIONS: [(&str, Root, bool); 5] = [
            ("receipts", Root::ReceiptEmitter, true),
            ("identity", Root::TokenValidator, true),
            ("mcp", Root::McpParser, false),
            ("policy", Root::ToolPolicy, true),
            ("redaction", Root::PiiRedactor, false),
        ];
        let intent = intent_mode(document.get("receipts"))?;
        let mut stages = Vec::with_capacity(SECTIONS.len() + 1);
        for (name, root, required) in SECTIONS {
            let section = match document.remove(name) {
                Some(section) => section,
                None if required => return Err(wrong("", format!("the section `{name}` is missing"))),
                None => Value::Object(Map::new()),
            };
            stages.push(self.stage(root, name, section)?);
        }
        stages.push(Box::new(ReceiptIntent::new(intent)));
        match document.keys().next() {
            Some(unknown) => Err(wrong(unknown, "unknown section".to_owned())),
            None => Ok(stages),
        }
    }

    fn stage(
        &mut self,
        root: Root,
        path: &str,
        section: Value,
    ) -> Result<Box<dyn Stage>, ConfigurationError> {
        Ok(match root {
            Root::ReceiptEmitter => {
                let (stage, delivery) =
                    ReceiptEmitter::new(read(path, section)?, Rc::clone(&self.kept.queue))
                        .map_err(|message| wrong(path, message))?;
                self.delivery = Some(delivery);
                Box::new(stage)
            }
            Root::TokenValidator => {
                let stage = TokenValidator::new(read(path, section)?, &self.kept.memory);
                Box::new(stage.map_err(|message| wrong(path, message))?)
            }
            Root::McpParser => Box::new(McpParser::new(read(path, section)?)),
            Root::ToolPolicy => Box::new(ToolPolicy::new(Policy::from_value(section).map_err(|error| {
                ConfigurationError { path: join(path, &error.path), message: error.message }
            })?)),
            Root::PiiRedactor => Box::new(PiiRedactor::new(&read(path, section)?)),
            Root::ReceiptIntent => Box::new(ReceiptIntent::new(read(path, section)?)),
            Root::Airlock => return Err(wrong(path, "the whole chain is not a stage of itself".to_owned())),
        })
    }
}

/// The guard at the end of the whole chain works as the receipts do: enforced, or only observed.
fn intent_mode(receipts: Option<&Value>) -> Result<IntentConfiguration, ConfigurationError> {
    match receipts.and_then(|section| section.get("mode")) {
        Some(mode) => read("receipts", serde_json::json!({ "mode": mode })),
        None => Ok(IntentConfiguration::default()),
    }
}

/// Reads a configuration as the proxy hands it over: JSON (Istio, or a `StringValue`), or the bytes of a
/// `google.protobuf.Struct`, in which Envoy keeps YAML that is written in its own configuration.
fn object(configuration: &[u8]) -> Result<Map<String, Value>, ConfigurationError> {
    let problem = match json::decode(configuration) {
        Ok(Value::Object(document)) => return Ok(document),
        Ok(_) => return Err(wrong("", "the configuration must be an object".to_owned())),
        Err(problem) => problem,
    };
    structure::decode(configuration).ok_or_else(|| {
        let remedy = "write it as `google.protobuf.Struct`, or as JSON in a `google.protobuf.StringValue`";
        wrong("", format!("the configuration is not JSON ({problem}): {remedy}"))
    })
}

fn read<T: DeserializeOwned>(path: &str, section: Value) -> Result<T, ConfigurationError> {
    serde_path_to_error::deserialize(section).map_err(|error| {
        let inner = error.path().to_string();
        let inner = if inner == "." { "" } else { &inner };
        ConfigurationError { path: join(path, inner), message: error.inner().to_string() }
    })
}

fn wrong(path: &str, message: String) -> ConfigurationError {
    ConfigurationError { path: path.to_owned(), message }
}

fn join(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", inner) => inner.to_owned(),
        (outer, "") => outer.to_owned(),
        (outer, inner) => format!("{outer}.{inner}"),
    }
}

#[cfg(test)]
mod tests {
    use airlock_receipt_emitter::QueueLimits;
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        json!({
            "proxy": {"hold_headers": false, "separate_vms": true, "limits": {"request_bytes": 7}},
            "receipts": {"gateway": "edge-1", "signer": {"cluster": "signer"}, "digests": {"plain": true}},
            "identity": {"issuers": [{
                "issuer": "https://issuer.example.com", "audiences": ["https://mcp.example.com"],
                "algorithms": ["EdDSA"], "jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": key}]}
            }]},
            "mcp": {"hosts": ["mcp.example.com"]},
            "policy": {"version": 1, "servers": [{"name": "notes"}], "rules": []},
            "redaction": {"request": {"detect": ["card"]}},
        })
    }

    fn planned(root: Root, document: &Value) -> Result<Plan, ConfigurationError> {
        plan(root, document.to_string().as_bytes(), &Kept::default())
    }

    /// The document with the value at `pointer` set.
    fn with(pointer: &str, value: Value) -> Value {
        let mut document = document();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap();
        match name.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[name] = value,
        }
        document
    }

    #[test]
    fn the_whole_chain_is_all_stages_of_one_filter() {
        let plan = planned(Root::Airlock, &document()).unwrap();
        assert_eq!(plan.stages.len(), 6);
        assert!(!plan.options.hold_headers && plan.separate_vms);
        assert_eq!(plan.options.limits, Limits { request_bytes: 7, ..Limits::default() });
        assert_eq!(plan.delivery.unwrap().cluster, "signer");
    }

    #[test]
    fn every_section_is_the_configuration_of_its_own_root() {
        let sections = [
            (Root::ReceiptEmitter, "receipts"),
            (Root::TokenValidator, "identity"),
            (Root::McpParser, "mcp"),
            (Root::ToolPolicy, "policy"),
            (Root::PiiRedactor, "redaction"),
        ];
        for (root, name) in sections {
            let plan = planned(root, &document()[name]).unwrap();
            assert_eq!((plan.stages.len(), plan.options), (1, Options::default()), "{name}");
            assert_eq!(plan.delivery.is_some(), root == Root::ReceiptEmitter, "{name}");
            let mut in_proxy = document()[name].clone();
            in_proxy["proxy"] = json!({"hold_headers": false});
            assert!(!planned(root, &in_proxy).unwrap().options.hold_headers, "{name}");
        }
        assert!(planned(Root::ReceiptIntent, &json!({"mode": "observe"})).is_ok());
        for root in Root::ALL {
            assert_eq!(Root::of(root.id()), Some(root));
        }
        assert_eq!(Root::of("Airlock"), None);
    }

    #[test]
    fn the_guard_at_the_end_enforces_as_the_receipts_do() {
        use airlock_pipeline::Mode;
        for (mode, expected) in [("enforce", Mode::Enforce), ("observe", Mode::Observe)] {
            let plan = planned(Root::Airlock, &with("/receipts/mode", json!(mode))).unwrap();
            let ends = [plan.stages.first().unwrap().mode(), plan.stages.last().unwrap().mode()];
            assert_eq!(ends, [expected, expected]);
        }
    }

    #[test]
    fn errors_name_the_place() {
        let cases = [
            ("/proxy/hold", json!(true), "proxy.hold: unknown field `hold`"),
            ("/proxy/limits/request_bytes", json!(-1), "proxy.limits.request_bytes: invalid value"),
            ("/receipts/mode", json!("off"), "receipts.mode: unknown variant `off`"),
            ("/receipts/signer/cluster", json!(7), "receipts.signer.cluster: invalid type"),
            ("/receipts/gateway", json!(""), "receipts: gateway: empty"),
            ("/identity/issuers/0/audience", json!("x"), "identity.issuers[0].audience: unknown field"),
            ("/identity/issuers/0/jwks", json!({}), "identity: issuers[0].jwks: "),
            ("/mcp/limits", json!({"dept": 3}), "mcp.limits.dept: unknown field"),
            ("/policy/servers/0/name", json!("A B"), "policy.servers[0].name: "),
            ("/policy/rule", json!([]), "policy.rule: unknown field `rule`"),
            (
                "/redaction/request/detect/0",
                json!("phone"),
                "redaction.request.detect[0]: unknown variant `phone`",
            ),
            ("/polcy", json!({}), "polcy: unknown section"),
        ];
        for (pointer, value, expected) in cases {
            let error = planned(Root::Airlock, &with(pointer, value)).err().unwrap().to_string();
            assert!(error.starts_with(expected), "{pointer}: {error}");
        }
        for section in ["receipts", "identity", "policy"] {
            let mut document = document();
            document.as_object_mut().unwrap().remove(section);
            let error = planned(Root::Airlock, &document).err().unwrap().to_string();
            assert_eq!(error, format!("the section `{section}` is missing"));
        }
        let error = planned(Root::McpParser, &json!({"limits": {"depth": "x"}})).err().unwrap();
        assert_eq!(error.path, "limits.depth");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let cases: [(&[u8], &str); 4] = [
            (br#"{"policy":{},"policy":{}}"#, "`policy` stands twice"),
            (b"[]", "must be an object"),
            (b"nonsense", "google.protobuf.Struct"),
            (b"{} x", "trailing characters"),
        ];
        for (configuration, problem) in cases {
            let error = plan(Root::Airlock, configuration, &Kept::default()).err().unwrap();
            assert!(error.path.is_empty() && error.message.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_refused_configuration_changes_nothing() {
        let kept = Kept::default();
        let queue = Rc::clone(&kept.queue);
        queue.borrow_mut().push(b"{}".to_vec(), true);
        let small = with("/receipts/queue", serde_json::json!({"records": 1}));
        let mut refused = small.clone();
        refused["policy"] = json!({});
        assert!(plan(Root::Airlock, refused.to_string().as_bytes(), &kept).is_err());
        assert!(!queue.borrow().is_full());
        let accepted = plan(Root::Airlock, small.to_string().as_bytes(), &kept).unwrap();
        assert!(queue.borrow().is_full());
        let limits = QueueLimits { records: 1, ..QueueLimits::default() };
        assert_eq!(accepted.delivery.unwrap().queue, limits);
    }
}
