use std::fmt;

/// Bytes of a message that are kept. A message may quote the document, which may be large.
const MESSAGE_CHARS: usize = 512;

/// Why a document was refused, and where.
///
/// Raised only while a document is read and compiled. The cause is a mistake in the document, or a document
/// written for another version of Airlock; calls never raise it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The place in the document, like `rules[2].effect`; empty when it is the document as a whole.
    pub path: String,
    /// What is wrong there, and the remedy where there is one.
    pub message: String,
}

impl PolicyError {
    pub(crate) fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            path: path.into().chars().take(MESSAGE_CHARS).collect(),
            message: bounded(&message.to_string()),
        }
    }

    pub(crate) fn from_serde(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = match error.path().to_string() {
            root if root == "." => String::new(),
            path => path,
        };
        let message = error.inner().to_string();
        if message.starts_with("invalid type: boolean") && message.contains("expected a string") {
            let hint = "; quote it: some YAML readers, Envoy's among them, take bare y, n, yes, no, on and off for booleans";
            return Self::new(path, message + hint);
        }
        Self::new(path, message)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => formatter.write_str(&self.message),
            path => write!(formatter, "{path}: {}", self.message),
        }
    }
}

impl std::error::Error for PolicyError {}

/// Cuts a message to its limit and replaces control characters, so that it stays one line of a log.
fn bounded(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
