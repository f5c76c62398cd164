//! Errors as JSON: `{"error":{"reason":…,"message":…}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::intake::BatchError;
use crate::state::AppendError;
use crate::store::StoreError;

/// An error reply with a stable code and a sentence for people.
#[derive(Debug)]
pub(crate) struct ErrorReply {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Document<'a> {
    error: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    reason: &'static str,
    message: &'a str,
}

impl ErrorReply {
    pub(crate) fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }
}

impl IntoResponse for ErrorReply {
    fn into_response(self) -> Response {
        let details = Details { reason: self.reason, message: &self.message };
        let mut response = (self.status, Json(Document { error: details })).into_response();
        let header = match self.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<BatchError> for ErrorReply {
    fn from(error: BatchError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.reason(), error.to_string())
    }
}

impl From<AppendError> for ErrorReply {
    fn from(error: AppendError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.reason(), error.to_string())
    }
}

impl From<StoreError> for ErrorReply {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", error.to_string())
    }
}
