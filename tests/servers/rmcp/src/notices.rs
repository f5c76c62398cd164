//! Tools that send notifications while they run: log messages, progress, changes.
#![expect(deprecated, reason = "logging is part of every version so far")]

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam, ResourceUpdatedNotificationParam, Tool,
};
use rmcp::service::RequestContext;

use crate::changes::Change;
use crate::resources::WATCHED;
use crate::server::{TestServer, session, stateless};
use crate::sessions::BROKEN_OFF;
use crate::tools::{text, tool};

/// Between two notifications, so that a client sees them one by one.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client may stay away from a stream that has broken off.
const LONGEST_ABSENCE: Duration = Duration::from_secs(10);

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        tool("test_tool_with_logging", "Logs three times as it runs"),
        tool("test_logging_tool", "Logs if the request asks for it"),
        tool("test_tool_with_progress", "Reports progress as it runs"),
        tool(BROKEN_OFF, "Answers on a stream that a client has to take up again"),
        tool("test_trigger_tool_change", "Says that the list of tools has changed"),
        tool("test_trigger_prompt_change", "Says that the list of prompts has changed"),
        tool("test_trigger_resource_change", "Says that the watched resource has changed"),
    ]
}

/// The result of a tool of this file; nothing if the request names none.
pub(crate) async fn call(
    server: &TestServer,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<CallToolResult> {
    let result = match request.name.as_ref() {
        "test_tool_with_logging" | "test_logging_tool" => {
            for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                log(server, context, message).await;
                tokio::time::sleep(PAUSE).await;
            }
            text("It has logged, if it was to.")
        }
        "test_tool_with_progress" => {
            for progress in [0.0, 50.0, 100.0] {
                report(context, progress).await;
                tokio::time::sleep(PAUSE).await;
            }
            text("It is done.")
        }
        BROKEN_OFF => {
            if let Some(session) = session(context).filter(|_| !stateless(context)) {
                server.resumptions().of(session, LONGEST_ABSENCE).await;
            }
            text("Here is the answer, on whatever stream.")
        }
        "test_trigger_tool_change" => change(server, context, Change::Tools).await,
        "test_trigger_prompt_change" => change(server, context, Change::Prompts).await,
        "test_trigger_resource_change" => change(server, context, Change::Resource).await,
        _ => return None,
    };
    Some(result)
}

/// Logs at level `info`. In the stateless era only a request that names a level is logged for, in the handshake era
/// a session that names none is sent everything.
async fn log(server: &TestServer, context: &RequestContext<RoleServer>, message: &str) {
    let level = LoggingLevel::Info;
    let wanted = if stateless(context) {
        context.meta.log_level().is_some_and(|least| level as u8 >= least as u8)
    } else {
        level as u8 >= server.level()
    };
    if wanted {
        let message = LoggingMessageNotificationParam::new(level, message.into());
        // An error means that the client is gone; so it is for every notification of this file.
        let _ = context.peer.notify_logging_message(message.with_logger(env!("CARGO_PKG_NAME"))).await;
    }
}

/// Reports to a client that has named a token to report with.
async fn report(context: &RequestContext<RoleServer>, progress: f64) {
    if let Some(token) = context.meta.get_progress_token() {
        let progress = ProgressNotificationParam::new(token, progress).with_total(100.0);
        let _ = context.peer.notify_progress(progress).await;
    }
}

/// Tells all who listen (stateless era) or this session alone (handshake era).
async fn change(server: &TestServer, context: &RequestContext<RoleServer>, change: Change) -> CallToolResult {
    if stateless(context) {
        server.changes().announce(change);
        return text("Whoever listens is told.");
    }
    let _ = match change {
        Change::Tools => context.peer.notify_tool_list_changed().await,
        Change::Prompts => context.peer.notify_prompt_list_changed().await,
        Change::Resource if server.watches(WATCHED).await => {
            context.peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(WATCHED)).await
        }
        Change::Resource => Ok(()),
    };
    text("This session is told.")
}
