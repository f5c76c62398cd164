//! The server: which request is answered where.
#![expect(deprecated, reason = "logging is part of every version so far")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::http::request::Parts;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities, CompleteRequestParams,
    CompleteResult, ErrorData, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    RequestStateCodec, ServerCapabilities, ServerConfig, SetLevelRequestMethod, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use rmcp::{RoleServer, ServerHandler};
use tokio::sync::Mutex;

use crate::changes::{Changes, Inbox};
use crate::sessions::Resumptions;
use crate::{contents, notices, prompts, questions, resources, rounds, tasks};

/// What one request needs to know of the one before, in either era.
pub(crate) struct Shared {
    changes: Changes,
    resumptions: Resumptions,
    states: RequestStateCodec,
    tasks: TaskManager,
}

impl Shared {
    pub(crate) fn new(states: RequestStateCodec, resumptions: Resumptions) -> Self {
        Self { changes: Changes::default(), resumptions, states, tasks: TaskManager::new() }
    }
}

/// A server for one session of the handshake era, or for one request of the stateless one.
pub(crate) struct TestServer {
    shared: Arc<Shared>,
    inbox: Inbox,
    /// Least level of the log messages that this session takes.
    level: AtomicU8,
    /// Resources that this session watches.
    watched: Mutex<HashSet<String>>,
}

impl TestServer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let inbox = shared.changes.inbox();
        Self { shared, inbox, level: AtomicU8::default(), watched: Mutex::default() }
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.shared.changes
    }

    pub(crate) fn resumptions(&self) -> &Resumptions {
        &self.shared.resumptions
    }

    pub(crate) fn states(&self) -> &RequestStateCodec {
        &self.shared.states
    }

    pub(crate) fn tasks(&self) -> &TaskManager {
        &self.shared.tasks
    }

    /// The least level of log messages of this session; 0, the most talkative, unless it has set one.
    pub(crate) fn level(&self) -> u8 {
        self.level.load(Ordering::Relaxed)
    }

    pub(crate) async fn watches(&self, uri: &str) -> bool {
        self.watched.lock().await.contains(uri)
    }

    fn catalogue() -> impl Iterator<Item = Tool> {
        [contents::tools(), notices::tools(), questions::tools(), rounds::tools(), tasks::tools()]
            .into_iter()
            .flatten()
    }
}

/// Whether a request is of the stateless era.
pub(crate) fn stateless(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// The session that a request of the handshake era belongs to.
pub(crate) fn session(context: &RequestContext<RoleServer>) -> Option<&str> {
    context.extensions.get::<Parts>()?.headers.get("mcp-session-id")?.to_str().ok()
}

/// What the client of a request says that it can do.
pub(crate) fn abilities(context: &RequestContext<RoleServer>) -> ClientCapabilities {
    context.client_capabilities().unwrap_or_default()
}

/// Refuses a client that has not declared what is needed. The handshake era has no code for that.
pub(crate) fn incapable(context: &RequestContext<RoleServer>, needed: ClientCapabilities) -> ErrorData {
    if stateless(context) {
        ErrorData::missing_required_client_capability(needed)
    } else {
        ErrorData::invalid_request("the client has not declared the capability that this needs", None)
    }
}

impl ServerHandler for TestServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")))
            .with_instructions("Everything here answers a test; nothing here does anything.")
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(Self::catalogue().collect()))
    }

    /// The SDK holds `Mcp-Param-*` against the schema that this returns.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        Self::catalogue().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(result) = contents::call(&request) {
            return Ok(result.into());
        }
        if let Some(result) = notices::call(self, &request, &context).await {
            return Ok(result.into());
        }
        if let Some(result) = questions::call(&request, &context).await {
            return result.map(Into::into);
        }
        if let Some(result) = rounds::call(self.states(), &request, &context) {
            return result;
        }
        if let Some(result) = tasks::call(self.tasks(), &request, &context).await {
            return result;
        }
        Err(ErrorData::invalid_params("there is no such tool", None))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::catalogue()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::fill(&request, &context)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        prompts::complete(&request)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::catalogue()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&request.uri).map(Into::into)
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watched.lock().await.insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watched.lock().await.remove(&request.uri);
        Ok(())
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if stateless(&context) {
            return Err(ErrorData::method_not_found::<SetLevelRequestMethod>());
        }
        self.level.store(request.level as u8, Ordering::Relaxed);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        self.inbox.forward(&subscription).await;
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.tasks().get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks().update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks().cancel_task(&request.task_id)
    }
}
