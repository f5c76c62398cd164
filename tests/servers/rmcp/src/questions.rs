//! What the server asks a client for, and the tools that ask by a request of their own, as servers of the handshake
//! era do.

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ContentBlock, ErrorData, InputRequest,
    ServerRequest, Tool,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use crate::server::{abilities, incapable};
use crate::tools::{string, text, tool, tool_of};

pub(crate) fn tools() -> Vec<Tool> {
    let argument =
        |name: &str| json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]});
    vec![
        tool_of("test_sampling", "Asks the client's model", argument("prompt")),
        tool_of("test_elicitation", "Asks the user for a name and an address", argument("message")),
        tool("test_elicitation_sep1034_defaults", "Asks with a form that has defaults"),
        tool("test_elicitation_sep1330_enums", "Asks with a form of every kind of choice"),
    ]
}

/// The result of a tool of this file; nothing if the request names none.
pub(crate) async fn call(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResult, ErrorData>> {
    let argument = |name| string(request.arguments.as_ref(), name).unwrap_or_default();
    let question = match request.name.as_ref() {
        "test_sampling" => sampling(argument("prompt"), 100),
        "test_elicitation" => contact(argument("message")),
        "test_elicitation_sep1034_defaults" => defaults(),
        "test_elicitation_sep1330_enums" => choices(),
        _ => return None,
    };
    Some(put(question, context).await)
}

/// Sends the question to the client and reports its answer as the text of a result.
async fn put(question: Value, context: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    let question = checked(question)?;
    if let Some(missing) = missing(&question, context) {
        return Err(incapable(context, missing));
    }
    let question = match question {
        InputRequest::CreateMessage(question) => ServerRequest::CreateMessageRequest(question),
        InputRequest::Elicitation(question) => ServerRequest::ElicitRequest(question),
        InputRequest::ListRoots(question) => ServerRequest::ListRootsRequest(question),
        _ => return Err(ErrorData::internal_error("a question of an unknown kind", None)),
    };
    match context.peer.send_request(question).await {
        Ok(answer) => Ok(text(format!("The client answers: {}", json!(answer)))),
        Err(error) => Ok(CallToolResult::error(vec![ContentBlock::text(error.to_string())])),
    }
}

/// A question as the SDK sends it.
pub(crate) fn checked(question: Value) -> Result<InputRequest, ErrorData> {
    serde_json::from_value(question).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// What the client would have to be able to do for this question but has not declared.
pub(crate) fn missing(
    question: &InputRequest,
    context: &RequestContext<RoleServer>,
) -> Option<ClientCapabilities> {
    let declared = abilities(context);
    let mut needed = ClientCapabilities::default();
    let has = match question {
        InputRequest::CreateMessage(_) => {
            needed.sampling = Some(Default::default());
            declared.sampling.is_some()
        }
        InputRequest::Elicitation(_) => {
            needed.elicitation = Some(Default::default());
            declared.elicitation.is_some()
        }
        _ => {
            needed.roots = Some(Default::default());
            declared.roots.is_some()
        }
    };
    (!has).then_some(needed)
}

/// A form for the user with one field that has to be filled in.
pub(crate) fn form(message: &str, field: &str, kind: &str) -> Value {
    elicitation(message, json!({field: {"type": kind}}), &[field])
}

/// A question for the client's model.
pub(crate) fn sampling(prompt: &str, tokens: u32) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": tokens}})
}

/// Which directories the client works on.
pub(crate) fn roots() -> Value {
    json!({"method": "roots/list"})
}

fn elicitation(message: &str, properties: Value, required: &[&str]) -> Value {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}})
}

fn contact(message: &str) -> Value {
    let properties = json!({
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    });
    elicitation(message, properties, &["username", "email"])
}

/// Every primitive type with a default (SEP-1034).
fn defaults() -> Value {
    let properties = json!({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    });
    elicitation("Please check what is filled in", properties, &[])
}

/// One and several of a list, with and without titles, and the older way to give titles (SEP-1330).
fn choices() -> Value {
    let titled = |noun: &str| {
        let numbered = ["First", "Second", "Third"].iter().enumerate();
        numbered
            .map(|(index, ordinal)| {
                json!({"const": format!("value{}", index + 1), "title": format!("{ordinal} {noun}")})
            })
            .collect::<Value>()
    };
    let options = json!(["option1", "option2", "option3"]);
    let properties = json!({
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    });
    elicitation("Please choose", properties, &[])
}
