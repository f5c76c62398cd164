//! Sessions of the handshake era. They break off the stream of one tool before its answer, as servers do that would
//! rather be polled (SEP-1699): the client has to take the stream up again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};
use tokio::sync::broadcast;

/// The tool whose stream breaks off.
pub(crate) const BROKEN_OFF: &str = "test_reconnection";

/// How long a client is told to wait before it takes up a stream; short, since tests wait for it.
pub(crate) const RETRY: Duration = Duration::from_millis(200);
/// Resumed streams that a waiting tool may fall behind.
const BACKLOG: usize = 16;

/// Which sessions have taken up a stream again.
#[derive(Clone)]
pub(crate) struct Resumptions(broadcast::Sender<SessionId>);

impl Resumptions {
    /// Waits until the session takes up a stream, for as long as it may. An answer that comes sooner is lost: the SDK
    /// drops the stream of a request with its answer.
    pub(crate) async fn of(&self, session: &str, longest: Duration) {
        let mut resumed = self.0.subscribe();
        let taken_up = async { while resumed.recv().await.is_ok_and(|resumed| *resumed != *session) {} };
        // Whoever has not come by now is answered all the same.
        let _ = tokio::time::timeout(longest, taken_up).await;
    }
}

impl Default for Resumptions {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

/// The SDK's sessions, but for one tool.
pub(crate) struct Sessions {
    sessions: LocalSessionManager,
    resumptions: Resumptions,
}

impl Sessions {
    pub(crate) fn new(resumptions: Resumptions) -> Self {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.sse_retry = Some(RETRY);
        Self { sessions, resumptions }
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.sessions.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.sessions.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.sessions.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.sessions.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        // The first event carries the id to come back with.
        let events = if is_broken_off(&message) { 1 } else { usize::MAX };
        Ok(self.sessions.create_stream(id, message).await?.take(events))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.sessions.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.sessions.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let stream = self.sessions.resume(id, last_event_id).await?;
        // An error means that no tool waits.
        let _ = self.resumptions.0.send(Arc::clone(id));
        Ok(stream)
    }
}

fn is_broken_off(message: &ClientJsonRpcMessage) -> bool {
    let ClientJsonRpcMessage::Request(request) = message else { return false };
    matches!(&request.request, ClientRequest::CallToolRequest(call) if call.params.name == BROKEN_OFF)
}
