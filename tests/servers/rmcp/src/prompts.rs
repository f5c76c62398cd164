//! Prompts, and completion of their arguments.

use rmcp::RoleServer;
use rmcp::model::{
    CompleteRequestParams, CompleteResult, CompletionInfo, ContentBlock, ErrorData, GetPromptRequestParams,
    GetPromptResponse, GetPromptResult, Prompt, PromptArgument, PromptMessage, ResourceContents, Role,
};
use rmcp::service::RequestContext;

use crate::contents::PIXEL;
use crate::questions::form;
use crate::rounds::{self, Answers};
use crate::tools::string;

/// What may complete an argument that begins like it.
const COMPLETIONS: [&str; 4] = ["paris", "park", "party", "test"];

pub(crate) fn catalogue() -> Vec<Prompt> {
    vec![
        prompt("test_simple_prompt", "A prompt without arguments", &[]),
        prompt("test_prompt_with_arguments", "A prompt of two arguments", &["arg1", "arg2"]),
        prompt("test_prompt_with_embedded_resource", "A prompt that holds a resource", &["resourceUri"]),
        prompt("test_prompt_with_image", "A prompt that holds an image", &[]),
        prompt("test_input_required_result_prompt", "A prompt that asks before it answers", &[]),
    ]
}

fn prompt(name: &str, description: &str, arguments: &[&str]) -> Prompt {
    let arguments = arguments.iter().map(|name| {
        PromptArgument::new(*name).with_description("An argument of the test").with_required(true)
    });
    let arguments: Vec<_> = arguments.collect();
    Prompt::new(name, Some(description), (!arguments.is_empty()).then_some(arguments))
}

pub(crate) fn fill(
    request: &GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &'static str| {
        string(request.arguments.as_ref(), name)
            .ok_or_else(|| ErrorData::invalid_params(format!("the argument `{name}` is missing"), None))
    };
    let messages = match request.name.as_str() {
        "test_simple_prompt" => vec![says("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (argument("arg1")?, argument("arg2")?);
            vec![says(format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource =
                ResourceContents::text("Embedded resource content for testing.", argument("resourceUri")?);
            vec![
                PromptMessage::new(Role::User, ContentBlock::resource(resource)),
                says("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => vec![
            PromptMessage::new(Role::User, ContentBlock::image(PIXEL, "image/png")),
            says("Please analyze the image above."),
        ],
        "test_input_required_result_prompt" => {
            let answers = Answers::of(request.input_responses.as_ref());
            let Some(topic) = answers.field("user_context", "context") else {
                let question = form("What context should the prompt use?", "context", "string");
                return rounds::ask(context, [("user_context", question)], None).map(Into::into);
            };
            vec![says(format!("Answer in the context of {topic}."))]
        }
        _ => return Err(ErrorData::invalid_params("there is no such prompt", None)),
    };
    Ok(GetPromptResult::new(messages).into())
}

fn says(text: impl Into<String>) -> PromptMessage {
    PromptMessage::new_text(Role::User, text)
}

pub(crate) fn complete(request: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    let values = COMPLETIONS.iter().filter(|value| value.starts_with(&request.argument.value));
    let values = values.map(ToString::to_string).collect();
    let completion = CompletionInfo::with_all_values(values);
    completion.map(CompleteResult::new).map_err(|error| ErrorData::internal_error(error, None))
}
