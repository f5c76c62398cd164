//! How a tool is described.

use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool};
use serde_json::{Value, json};

/// A tool without arguments.
pub(crate) fn tool(name: &'static str, description: &'static str) -> Tool {
    tool_of(name, description, json!({"type": "object", "properties": {}}))
}

/// A tool whose arguments are those of `schema`, a JSON Schema object.
pub(crate) fn tool_of(name: &'static str, description: &'static str, schema: Value) -> Tool {
    let schema = if let Value::Object(schema) = schema { schema } else { JsonObject::new() };
    Tool::new(name, description, Arc::new(schema))
}

/// A result of one text.
pub(crate) fn text(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

/// The argument `name`, if it is a string.
pub(crate) fn string<'a>(arguments: Option<&'a JsonObject>, name: &str) -> Option<&'a str> {
    arguments?.get(name)?.as_str()
}
