//! Tools that answer at once: every kind of content, an error, and schemas to be kept as they are.

use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, ResourceContents, Tool};
use serde_json::{Value, json};

use crate::tools::{string, text, tool, tool_of};

/// One red pixel, as PNG in base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// No sound at all, as WAV in base64.
const SILENCE: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

pub(crate) fn tools() -> Vec<Tool> {
    let name = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    vec![
        tool("test_simple_text", "Answers with a text"),
        tool("test_image_content", "Answers with an image"),
        tool("test_audio_content", "Answers with a sound"),
        tool("test_embedded_resource", "Answers with a resource"),
        tool("test_multiple_content_types", "Answers with a text, an image and a resource"),
        tool("test_error_handling", "Always reports an error"),
        tool_of("greet", "Greets", name),
        tool_of(
            "test_header_arguments",
            "Takes arguments that the headers of the request repeat",
            mirrored(),
        ),
        tool_of("json_schema_2020_12_tool", "Has a schema of many keywords", many_keywords()),
    ]
}

/// The result of a tool of this file; nothing if the request names none.
pub(crate) fn call(request: &CallToolRequestParams) -> Option<CallToolResult> {
    let result = match request.name.as_ref() {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => CallToolResult::success(vec![ContentBlock::image(PIXEL, "image/png")]),
        "test_audio_content" => CallToolResult::success(vec![ContentBlock::audio(SILENCE, "audio/wav")]),
        "test_embedded_resource" => CallToolResult::success(vec![ContentBlock::embedded_text(
            "test://embedded-resource",
            "This is an embedded resource content.",
        )]),
        "test_multiple_content_types" => CallToolResult::success(mixed()),
        "test_error_handling" => CallToolResult::error(vec![ContentBlock::text(
            "This tool intentionally returns an error for testing",
        )]),
        "greet" => match string(request.arguments.as_ref(), "name") {
            Some(name) => text(format!("Hello, {name}!")),
            None => CallToolResult::error(vec![ContentBlock::text("the argument `name` is missing")]),
        },
        "test_header_arguments" | "json_schema_2020_12_tool" => {
            text(Value::from(request.arguments.clone().unwrap_or_default()).to_string())
        }
        _ => return None,
    };
    Some(result)
}

fn mixed() -> Vec<ContentBlock> {
    let resource = ResourceContents::text(r#"{"test":"data","value":123}"#, "test://mixed-content-resource");
    vec![
        ContentBlock::text("Multiple content types test:"),
        ContentBlock::image(PIXEL, "image/png"),
        ContentBlock::resource(resource.with_mime_type("application/json")),
    ]
}

/// Arguments that clients repeat in `Mcp-Param-*` (SEP-2243), one of each type that may be.
fn mirrored() -> Value {
    json!({
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "priority": {"type": "integer", "x-mcp-header": "Priority"},
            "urgent": {"type": "boolean", "x-mcp-header": "Urgent"},
            "query": {"type": "string"},
        },
    })
}

/// Keywords that reach the client as they are, or the server has changed the meaning of its schema (SEP-1613,
/// SEP-2106).
fn many_keywords() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            },
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}
