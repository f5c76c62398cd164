//! Tools that ask by their result, and are called again with the answers (SEP-2322), as servers of the stateless era
//! do.

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, InputRequests, InputRequiredResult, InputResponses,
    RequestStateCodec, SealOptions, Tool,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use crate::questions::{checked, form, missing, roots, sampling};
use crate::server::incapable;
use crate::tools::{text, tool};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        tool("test_input_required_result_elicitation", "Asks the user for a name"),
        tool("test_input_required_result_sampling", "Asks the client's model for a capital"),
        tool("test_input_required_result_list_roots", "Asks for the client's roots"),
        tool("test_input_required_result_request_state", "Asks, and keeps its state with the client"),
        tool("test_input_required_result_tampered_state", "Asks, and finds out if its state is changed"),
        tool("test_input_required_result_multiple_inputs", "Asks three questions at once"),
        tool("test_input_required_result_multi_round", "Asks twice"),
        tool("test_input_required_result_capabilities", "Asks only what the client can answer"),
        tool("test_streaming_elicitation", "Asks the user for a name, on a stream"),
        tool("test_missing_capability", "Needs a client that has a model"),
    ]
}

/// The result of a tool of this file; nothing if the request names none.
pub(crate) fn call(
    states: &RequestStateCodec,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let name = request.name.as_ref();
    let tool: fn(&Round<'_>) -> Result<CallToolResponse, ErrorData> = match name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => greeting,
        "test_input_required_result_sampling" => capital,
        "test_input_required_result_list_roots" => directories,
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => confirmed,
        "test_input_required_result_multiple_inputs" => three_at_once,
        "test_input_required_result_multi_round" => two_rounds,
        "test_input_required_result_capabilities" => able,
        "test_missing_capability" => with_model,
        _ => return None,
    };
    Some(Round::of(states, request, context).and_then(|round| tool(&round)))
}

/// The answers that a client has sent.
#[derive(Clone, Copy)]
pub(crate) struct Answers<'a>(Option<&'a InputResponses>);

impl<'a> Answers<'a> {
    pub(crate) fn of(responses: Option<&'a InputResponses>) -> Self {
        Self(responses)
    }

    /// The answer to the question `key`, of whatever form the client gives it.
    fn whole(self, key: &str) -> Option<&'a Value> {
        self.0?.get(key)
    }

    /// What the user has entered in a field of the form `key`, if the user has accepted it.
    pub(crate) fn field(self, key: &str, field: &str) -> Option<&'a Value> {
        let answer = self.whole(key)?;
        (answer.get("action")? == "accept").then_some(answer.get("content")?.get(field)?)
    }
}

/// One of the calls that make up a round trip.
struct Round<'a> {
    answers: Answers<'a>,
    /// What the tool has sealed in its last result.
    state: Option<Value>,
    states: &'a RequestStateCodec,
    tool: &'a str,
    context: &'a RequestContext<RoleServer>,
}

impl<'a> Round<'a> {
    /// # Errors
    ///
    /// The state is not one that this server has sealed for this tool.
    fn of(
        states: &'a RequestStateCodec,
        request: &'a CallToolRequestParams,
        context: &'a RequestContext<RoleServer>,
    ) -> Result<Self, ErrorData> {
        let tool = request.name.as_ref();
        let opened = request.request_state.as_ref();
        let opened = opened.map(|state| states.open_json_with(state, tool.as_bytes())).transpose();
        let state = opened.map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        let answers = Answers::of(request.input_responses.as_ref());
        Ok(Self { answers, state, states, tool, context })
    }

    fn ask<const N: usize>(&self, questions: [(&str, Value); N]) -> Result<CallToolResponse, ErrorData> {
        ask(self.context, questions, None).map(Into::into)
    }

    /// Asks, and gives the client `state` to bring back.
    fn ask_with<const N: usize>(
        &self,
        questions: [(&str, Value); N],
        state: &Value,
    ) -> Result<CallToolResponse, ErrorData> {
        let bound = SealOptions::new().associated_data(self.tool.as_bytes());
        let sealed = self.states.seal_json_with(state, &bound);
        let sealed = sealed.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        ask(self.context, questions, Some(sealed)).map(Into::into)
    }
}

/// A result that asks.
///
/// # Errors
///
/// The client has not declared that it can answer.
pub(crate) fn ask<const N: usize>(
    context: &RequestContext<RoleServer>,
    questions: [(&str, Value); N],
    state: Option<String>,
) -> Result<InputRequiredResult, ErrorData> {
    let mut requests = InputRequests::new();
    for (key, question) in questions {
        let question = checked(question)?;
        if let Some(missing) = missing(&question, context) {
            return Err(incapable(context, missing));
        }
        requests.insert(key.to_owned(), question);
    }
    Ok(InputRequiredResult::new(Some(requests), state))
}

fn done(answer: impl std::fmt::Display) -> Result<CallToolResponse, ErrorData> {
    Ok(text(answer.to_string()).into())
}

fn name_form() -> Value {
    form("What is your name?", "name", "string")
}

fn greeting(round: &Round<'_>) -> Result<CallToolResponse, ErrorData> {
    match round.answers.field("user_name", "name").and_then(Value::as_str) {
        Some(name) => done(format_args!("Hello, {name}!")),
        None => round.ask([("user_name", name_form())]),
    }
}

fn capital(round: &Round<'_>) -> Result<CallToolResponse, ErrorData> {
    match round.answers.whole("capital_question").and_then(|answer| answer.get("content")) {
        Some(content) => done(content),
        None => round.ask([("capital_question", sampling("What is the capital of France?", 100))]),
    }
}

fn directories(round: &Round<'_>) -> Result<CallToolResponse, ErrorData> {
    match round.answers.whole("client_roots").and_then(|answer| answer.get("roots")) {
        Some(roots) => done(roots),
        None => round.ask([("client_roots", roots())]),
    }
}

fn confirmed(round: &Round<'_>) -> Result<CallToolResponse, ErrorData> {
    match (&round.state, round.answers.field("confirm", "ok")) {
        (Some(_), Some(_)) => done("state-ok"),
        _ => round.ask_with([("confirm", form("Please confirm", "ok", "boolean"))], &json!({"step": 1})),
    }
}

fn three_at_once(round: &Round<'_>) -> Result<CallToolResponse, ErrorData> {
    let answers = ["user_name", "greeting", "client_roots"].map(|key| round.answers.whole(key));
    if let (Some(_), [Some(name), Some(greeting), Some(roots)]) = (&round.state, answers) {
        return done(format_args!("{name} {greeting} {roots}"));
    }
    let questions = [
        ("user_name", name_form()),
        ("greeting", sampling("Generate a greeting", 50)),
        ("client_roots", roots()),
    ];
    round.ask_with(questions, &json!({"step": 1}))
}

fn two_rounds(round: &Round<'_>) -> Result<CallToolResponse, ErrorData> {
    let first = form("Step 1: What is your name?", "name", "string");
    let second = form("Step 2: What is your favorite color?", "color", "string");
    let Some(state) = &round.state else {
        return round.ask_with([("step1", first)], &json!({"step": 1}));
    };
    let name = state.get("name").or_else(|| round.answers.field("step1", "name"));
    match (name, round.answers.field("step2", "color")) {
        (None, _) => round.ask_with([("step1", first)], state),
        (Some(name), Some(color)) => done(format_args!("{name} likes {color}.")),
        (Some(name), None) => round.ask_with([("step2", second)], &json!({"step": 2, "name": name})),
    }
}

/// Asks the model rather than the user, and the user only if there is no model.
fn able(round: &Round<'_>) -> Result<CallToolResponse, ErrorData> {
    if round.answers.whole("answer").is_some() {
        return done("The client has answered.");
    }
    round.ask([("answer", sampling("Say something", 50))]).or_else(|_| round.ask([("answer", name_form())]))
}

fn with_model(round: &Round<'_>) -> Result<CallToolResponse, ErrorData> {
    match missing(&checked(sampling("Say something", 50))?, round.context) {
        Some(missing) => Err(incapable(round.context, missing)),
        None => done("The client has a model."),
    }
}
