use std::path::Path;

use airlock::{Kept, Root, plan};
use serde_json::{Map, Value, json};

use crate::{
    arguments::Up,
    document::Document,
    failure::{Exit, Failure},
    state::State,
};

/// The configuration of the whole chain, as `airlock up` assembles it.
#[derive(Clone, Debug)]
pub struct Configuration {
    receipts: Value,
    identity: Value,
    redaction: Value,
    observe: bool,
    path: String,
}

impl Configuration {
    /// Reads everything but the policy, which is read anew whenever it changes.
    ///
    /// # Errors
    /// A [`Failure`] with the place of what is wrong in a file that was given.
    pub fn new(arguments: &Up, state: &State, path: &str, signer_token: &str) -> Result<Self, Failure> {
        let identity = match &arguments.identity {
            Some(file) => part(file, Root::TokenValidator)?,
            None => state.development_identity()?,
        };
        let redaction = match &arguments.redaction {
            Some(file) => part(file, Root::PiiRedactor)?,
            None => json!({}),
        };
        let receipts = json!({
            "gateway": "airlock-up",
            "signer": { "cluster": "airlock-signer", "token": signer_token },
            "digests": { "key": state.digest_key()?, "key_id": "local" },
        });
        Ok(Self { receipts, identity, redaction, observe: arguments.observe, path: path.to_owned() })
    }

    /// The whole document with the policy of `file`, checked as the filter will check it.
    ///
    /// # Errors
    /// A [`Failure`] with the place of what is wrong in the policy.
    pub fn with_policy(&self, file: Option<&Path>) -> Result<Value, Failure> {
        let policy = match file {
            Some(file) => part(file, Root::ToolPolicy)?,
            None => self.default_policy(),
        };
        let mut sections = Map::new();
        sections.insert("receipts".to_owned(), self.receipts.clone());
        sections.insert("identity".to_owned(), self.identity.clone());
        sections.insert("policy".to_owned(), policy);
        sections.insert("redaction".to_owned(), self.redaction.clone());
        if self.observe {
            for section in sections.values_mut().filter_map(Value::as_object_mut) {
                section.insert("mode".to_owned(), json!("observe"));
            }
        }
        let document = Value::Object(sections);
        check(Root::Airlock, &document)
            .map_err(|(path, message)| Failure::new(Exit::BadInput, format!("{path}: {message}")))?;
        Ok(document)
    }

    /// What policy is without a document: a caller with a token may look and not touch.
    fn default_policy(&self) -> Value {
        json!({
            "version": 1,
            "servers": [{ "name": "upstream", "path": self.path }],
            "rules": [{
                "name": "list-only",
                "effect": "allow",
                "methods": ["tools/list", "resources/list", "prompts/list"],
            }],
        })
    }
}

/// Reads the configuration of one filter from a file and checks it as the filter will.
///
/// # Errors
/// A [`Failure`] with the place of what is wrong.
pub fn part(file: &Path, root: Root) -> Result<Value, Failure> {
    let document = Document::read(file)?;
    let value = document.to_json();
    check(root, &value).map_err(|(path, message)| document.failure(&path, message))?;
    Ok(value)
}

fn check(root: Root, document: &Value) -> Result<(), (String, String)> {
    let bytes = document.to_string().into_bytes();
    plan(root, &bytes, &Kept::default()).map(|_| ()).map_err(|error| (error.path, error.message))
}
