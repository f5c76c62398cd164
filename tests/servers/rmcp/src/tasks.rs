//! Tools that go on after they are answered: the extension `io.modelcontextprotocol/tasks` (SEP-2663).

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    CreateTaskResult, ErrorData, Tool,
};
use rmcp::service::RequestContext;
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::{Value, json};

use crate::questions::{checked, form};
use crate::rounds::{Answers, ask};
use crate::server::{abilities, incapable};
use crate::tools::{string, text, tool, tool_of};

/// No computation is slower.
const LONGEST: u64 = 600;
/// How long work takes that is neither instant nor slow.
const WORK: Duration = Duration::from_millis(500);
/// How often a client is told to look.
const POLL: u64 = 200;

pub(crate) fn tools() -> Vec<Tool> {
    let computation = json!({
        "type": "object",
        "properties": {
            "seconds": {"type": "integer", "minimum": 0, "maximum": LONGEST},
            "label": {"type": "string"},
        },
        "required": ["seconds"],
    });
    let file =
        json!({"type": "object", "properties": {"filename": {"type": "string"}}, "required": ["filename"]});
    vec![
        tool_of("slow_compute", "Takes its time, as a task if the client knows tasks", computation),
        tool("failing_job", "A task that reports an error"),
        tool("protocol_error_job", "A task that breaks"),
        tool_of("confirm_delete", "A task that asks before it deletes, which it never does", file),
        tool("multi_input", "A task that asks two questions at once"),
        tool("test_tool_with_task", "Asks for a name, then greets as a task"),
    ]
}

/// The result of a tool of this file; nothing if the request names none.
pub(crate) async fn call(
    tasks: &TaskManager,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let file = string(request.arguments.as_ref(), "filename").unwrap_or("nothing").to_owned();
    let result = match request.name.as_ref() {
        "slow_compute" => Ok(slow_compute(tasks, request, context).await),
        "failing_job" => run(tasks, context, |task| async move {
            work(&task, WORK).await?;
            Ok(CallToolResult::error(vec![ContentBlock::text("The job has failed, as it always does.")]))
        }),
        "protocol_error_job" => run(tasks, context, |task| async move {
            work(&task, WORK).await?;
            Err(ErrorData::internal_error("the job is broken, as it always is", None).into())
        }),
        "confirm_delete" => run(tasks, context, |task| async move {
            let question = form(&format!("Delete {file}?"), "confirm", "boolean");
            let answer = task.request_input("confirm", checked(question)?).await?;
            Ok(text(format!("The answer is {answer}; nothing is deleted.")))
        }),
        "multi_input" => run(tasks, context, |task| async move {
            let name = form("What is your name?", "name", "string");
            let confirmation = form("Are you sure?", "confirm", "boolean");
            let (name, confirmation) = tokio::try_join!(
                task.request_input("name", checked(name)?),
                task.request_input("confirm", checked(confirmation)?),
            )?;
            Ok(text(format!("{name} {confirmation}")))
        }),
        "test_tool_with_task" => greeting(tasks, request, context),
        _ => return None,
    };
    Some(result)
}

/// Asks by its result first, and is a task only when it has the answer.
fn greeting(
    tasks: &TaskManager,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let answers = Answers::of(request.input_responses.as_ref());
    let Some(name) = answers.field("user_name", "name").and_then(Value::as_str) else {
        let question = form("What is your name?", "name", "string");
        return ask(context, [("user_name", question)], None).map(Into::into);
    };
    let greeting = format!("Hello, {name}!");
    run(tasks, context, |task| async move {
        work(&task, WORK).await?;
        Ok(text(greeting))
    })
}

async fn slow_compute(
    tasks: &TaskManager,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    let arguments = request.arguments.as_ref();
    let seconds = arguments.and_then(|arguments| arguments.get("seconds")).and_then(Value::as_u64);
    let duration = Duration::from_secs(seconds.unwrap_or_default().min(LONGEST));
    let result = text(format!("Computed {}.", string(arguments, "label").unwrap_or("nothing")));
    if abilities(context).supports_tasks() {
        return start(tasks, move |task| async move {
            work(&task, duration).await?;
            Ok(result)
        });
    }
    tokio::time::sleep(duration).await;
    result.into()
}

/// Starts a job that clients have to know tasks for.
fn run<F>(
    tasks: &TaskManager,
    context: &RequestContext<RoleServer>,
    job: impl FnOnce(TaskContext) -> F,
) -> Result<CallToolResponse, ErrorData>
where
    F: Future<Output = Result<CallToolResult, TaskExit>> + Send + 'static,
{
    if abilities(context).supports_tasks() {
        Ok(start(tasks, job))
    } else {
        Err(incapable(context, ClientCapabilities::builder().enable_tasks().build()))
    }
}

fn start<F>(tasks: &TaskManager, job: impl FnOnce(TaskContext) -> F) -> CallToolResponse
where
    F: Future<Output = Result<CallToolResult, TaskExit>> + Send + 'static,
{
    let options = TaskOptions::new().with_poll_interval_ms(POLL);
    CreateTaskResult::new(tasks.spawn(options, |task| Box::pin(job(task)))).into()
}

/// Works for as long, unless the client cancels it.
async fn work(task: &TaskContext, duration: Duration) -> Result<(), TaskExit> {
    tokio::select! {
        () = tokio::time::sleep(duration) => Ok(()),
        () = task.cancelled() => Err(TaskExit::Cancelled),
    }
}
