use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::capability::Capabilities;
use crate::compile::Compiled;
use crate::decision::{Call, Decision};
use crate::document::{Document, Mode};
use crate::error::PolicyError;
use crate::limits;

/// A policy that has been checked and compiled: it can be asked, and asking cannot fail.
#[derive(Debug)]
pub struct Policy {
    document: Document,
    digest: String,
    compiled: Compiled,
}

impl Policy {
    /// Reads a policy from JSON, the form in which Envoy hands a filter its configuration.
    ///
    /// # Errors
    /// Malformed JSON, a key given twice, an unknown field, a wrong type or value, a limit exceeded: the first
    /// that is found, with its path.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > limits::INPUT_BYTES {
            let message = format!("the document is larger than the limit of {} bytes", limits::INPUT_BYTES);
            return Err(PolicyError::new("", message));
        }
        // Read twice: a `Value` keeps the last of two equal keys, the typed reader refuses them.
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let document = serde_path_to_error::deserialize(&mut reader).map_err(PolicyError::from_serde)?;
        let value = serde_json::from_slice(bytes).map_err(|error| PolicyError::new("", error))?;
        Self::new(document, &value)
    }

    /// Reads a policy that a reader of some other notation, such as YAML, has turned into a JSON value. Equal keys
    /// must have been refused by that reader.
    ///
    /// # Errors
    /// An unknown field, a wrong type or value, a limit exceeded: the first that is found, with its path.
    pub fn from_value(value: Value) -> Result<Self, PolicyError> {
        let document = serde_path_to_error::deserialize(&value).map_err(PolicyError::from_serde)?;
        Self::new(document, &value)
    }

    /// `sha256:` and the hexadecimal digest of the document as it was given, in canonical form (RFC 8785).
    ///
    /// Defaults that the document leaves out are not part of it. The YAML, Envoy and Istio forms of a document have
    /// the same digest, and so have `1` and `1.0`.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether denials take effect. [`Policy::decide`] answers the same in every mode.
    pub fn mode(&self) -> Mode {
        self.document.mode
    }

    /// The document, with defaults filled in.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Decides on a call: a matching deny rule beats every allow rule, and what no rule allows is denied.
    pub fn decide(&self, call: &Call<'_>) -> Decision {
        self.compiled.decide(call)
    }

    /// Which capabilities client and server may declare to each other at this host and path; `None` if all may pass, or
    /// if there is no server.
    pub fn capabilities(&self, host: &str, path: &str) -> Option<&Capabilities> {
        let server = self.compiled.servers.find(host, path)?;
        self.compiled.servers.capabilities(server)
    }

    fn new(document: Document, value: &Value) -> Result<Self, PolicyError> {
        refuse_lists_for_maps(value)?;
        // A value that reads as a document is only as deep as a document, so that this recursion is bounded.
        let canonical =
            serde_json_canonicalizer::to_vec(value).map_err(|error| PolicyError::new("", error))?;
        if canonical.len() > limits::DOCUMENT_BYTES {
            let message =
                format!("the document is larger than the limit of {} bytes", limits::DOCUMENT_BYTES);
            return Err(PolicyError::new("", message));
        }
        let compiled = Compiled::new(&document)?;
        Ok(Self { digest: sha256(&canonical), document, compiled })
    }
}

/// Refuses a list where the document has named fields: serde's structs also read their fields by position.
fn refuse_lists_for_maps(value: &Value) -> Result<(), PolicyError> {
    let refuse = |path: String| Err(PolicyError::new(path, "a list stands where named fields are expected"));
    if value.is_array() {
        return refuse(String::new());
    }
    for field in ["servers", "rules"] {
        for (position, entry) in entries(value, field) {
            let path = format!("{field}[{position}]");
            if entry.is_array() {
                return refuse(path);
            }
            if entry.get("capabilities").is_some_and(Value::is_array) {
                return refuse(format!("{path}.capabilities"));
            }
            // Only the tools of a server are maps, those of a rule are names.
            if let Some((position, _)) = entries(entry, "tools").find(|(_, tool)| tool.is_array()) {
                return refuse(format!("{path}.tools[{position}]"));
            }
        }
    }
    Ok(())
}

fn entries<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value.get(field).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
