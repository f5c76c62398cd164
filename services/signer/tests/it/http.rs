//! Requests to the routes without a socket.

use airlock_signer::{State, app};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn reason(&self) -> Value {
        self.json()["error"]["reason"].clone()
    }
}

pub(crate) async fn send(state: &State, request: Request<Body>) -> Reply {
    let response = app(state.clone()).oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
    Reply { status, headers, body }
}

pub(crate) async fn get(state: &State, path: &str) -> Reply {
    send(state, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(state: &State, body: impl Into<Body>) -> Reply {
    let request = Request::post("/v1/receipts").header("content-type", "application/json; charset=utf-8");
    send(state, request.body(body.into()).unwrap()).await
}

pub(crate) async fn post_batch(state: &State, batch: &Value) -> Value {
    let reply = post(state, batch.to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}
