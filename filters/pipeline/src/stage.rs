use serde::Deserialize;

use crate::{CallAnswer, Denial, Exchange, Host, Reply, Upkeep};

/// Whether refusals of a stage take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A refusal refuses.
    #[default]
    Enforce,
    /// A refusal is recorded as what would have happened, and the exchange goes on unchanged.
    Observe,
}

/// What becomes of a request after a stage has seen its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next stage sees it.
    On,
    /// The stage answers in the server's stead, and it is no refusal. It does so in every [`Mode`].
    Reply(Reply),
    /// The stage needs something that is on its way. It is asked again, from the start of its hook, when an [`Upkeep`]
    /// wakes it and also now and then without a reason; meanwhile the body is gathered and nothing leaves. How long a
    /// request may wait is for the stage to say: nobody else ends it before the proxy's own time limit.
    Wait,
}

/// One concern of the gateway as pure code. Hooks are called in the order of this trait; request hooks from the
/// outermost stage inwards, response hooks from the innermost outwards.
///
/// Every hook may refuse by returning a [`Denial`]; the chain then answers the client, or, in [`Mode::Observe`], notes
/// the refusal and goes on.
#[expect(unused_variables, reason = "hooks that a stage leaves alone do nothing")]
pub trait Stage {
    /// Whether refusals of this stage take effect.
    fn mode(&self) -> Mode {
        Mode::Enforce
    }

    /// The request's headers are there. Stages before one that waits have been asked and are not asked again.
    fn request_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<Next, Denial> {
        Ok(Next::On)
    }

    /// Whether this stage must see the whole request body before the request may leave. Asked after
    /// [`Stage::request_headers`] of all stages.
    fn reads_request(&self, exchange: &Exchange) -> bool {
        false
    }

    /// A piece of the request body exactly as the client sent it. The pieces of a body that is buffered come as one.
    fn request_bytes(&self, exchange: &mut Exchange, bytes: &[u8]) {}

    /// The whole request body is in [`Exchange::request_body`]; only called when a stage asked to read it.
    fn request_body(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        Ok(())
    }

    /// The last word before the request leaves for the server, after every request hook of every stage.
    fn before_upstream(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        Ok(())
    }

    /// Whether this stage looks at the headers of responses. Where no stage of a filter does, the filter does not ask the
    /// proxy for them, which costs as much as everything else that it does with a response.
    fn reads_response_headers(&self) -> bool {
        true
    }

    /// The response's headers are there, and they are the server's, not a refusal of ours.
    fn response_headers(&self, exchange: &mut Exchange, host: &mut dyn Host) -> Result<(), Denial> {
        Ok(())
    }

    /// Whether this stage must see response bodies: JSON and text whole, event streams event by event. While no stage
    /// that enforces reads them, they pass as they come and a copy is shown, up to the chain's limits.
    fn reads_response(&self, exchange: &Exchange) -> bool {
        false
    }

    /// One JSON message of the response: a whole JSON body, or the data of one event of a stream. Returns what takes
    /// its place, or `None` to leave it as it is.
    fn response_message(&self, exchange: &mut Exchange, json: &[u8]) -> Result<Option<Vec<u8>>, Denial> {
        Ok(None)
    }

    /// A whole response body of type `text/*` that is not an event stream, such as a proxy's error page.
    fn response_text(&self, exchange: &mut Exchange, text: &[u8]) -> Result<Option<Vec<u8>>, Denial> {
        Ok(None)
    }

    /// Whether [`Stage::request_bytes`] and [`Stage::response_bytes`] do anything, so that others cost nothing.
    fn observes_bytes(&self) -> bool {
        false
    }

    /// A piece of the response body exactly as the client gets it, refusals included.
    fn response_bytes(&self, exchange: &mut Exchange, bytes: &[u8]) {}

    /// The exchange is over, however it ended.
    fn finish(&self, exchange: &mut Exchange, host: &mut dyn Host) {}

    /// Called between exchanges: soon after the configuration was accepted, soon after a request has begun to wait, when
    /// [`Upkeep::again_ms`] has passed, and at other times too. It belongs to no exchange, so that of `host` only the
    /// clock, randomness, shared data and counters are there.
    fn upkeep(&self, host: &mut dyn Host) -> Upkeep {
        Upkeep::default()
    }

    /// The answer to call `call` of this stage has come; `None` where it could not be sent, was longer than it may be,
    /// or will not come because the configuration has changed. `host` is that of [`Stage::upkeep`].
    fn answered(&self, call: u32, answer: Option<CallAnswer>, host: &mut dyn Host) -> Upkeep {
        Upkeep::default()
    }
}
