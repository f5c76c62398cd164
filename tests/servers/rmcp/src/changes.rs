//! Changes that a server announces: in the stateless era to whoever listens for them.

use rmcp::service::SubscriptionContext;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::resources::WATCHED;

/// Announcements that a listener may fall behind before it misses some.
const BACKLOG: usize = 16;

/// What is said to have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resource,
}

/// Tells every listener.
pub(crate) struct Changes(broadcast::Sender<Change>);

impl Changes {
    pub(crate) fn announce(&self, change: Change) {
        // An error means that nobody listens.
        let _ = self.0.send(change);
    }

    pub(crate) fn inbox(&self) -> Inbox {
        Inbox(Mutex::new(self.0.subscribe()))
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

/// What has been announced since this inbox exists: it is made before the subscription is acknowledged, so that a
/// client that acts on the acknowledgement misses nothing.
pub(crate) struct Inbox(Mutex<broadcast::Receiver<Change>>);

impl Inbox {
    /// Passes on what the subscription asks for, until it ends.
    pub(crate) async fn forward(&self, subscription: &SubscriptionContext) {
        let mut inbox = self.0.lock().await;
        loop {
            let change = tokio::select! {
                change = inbox.recv() => change,
                () = subscription.cancelled() => return,
            };
            let sink = subscription.sink();
            // An error means that the client has not asked for this, or that it is gone, which ends the loop above.
            let _ = match change {
                Ok(Change::Tools) => sink.notify_tool_list_changed().await,
                Ok(Change::Prompts) => sink.notify_prompt_list_changed().await,
                Ok(Change::Resource) => sink.notify_resource_updated(WATCHED).await,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
        }
    }
}
