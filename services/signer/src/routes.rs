//! The HTTP interface.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::append::Appended;
use crate::intake::Batch;
use crate::reply::ErrorReply;
use crate::state::State;
use crate::store::{MAX_PAGE_RECEIPTS, StoreError};

/// Largest request body in bytes.
const MAX_BODY_BYTES: u32 = 4 << 20;
/// How long a probe of the database may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The last log index of a page: what `after` of the next one has to be.
const NEXT_AFTER: &str = "airlock-next-after";

/// The signer's routes.
///
/// | route | |
/// |---|---|
/// | `POST /v1/receipts` | append a batch of records |
/// | `GET /v1/receipts?after=&limit=` | envelopes as NDJSON in log order |
/// | `GET /v1/keys` | the public keys as a JSON Web Key Set |
/// | `GET /health/live` | the process answers |
/// | `GET /health/ready` | the database can be written |
pub fn app(state: State) -> Router {
    Router::new()
        .route("/v1/receipts", post(append).get(read))
        .route("/v1/keys", get(keys))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

/// Serves the routes until `shutdown` is done, then finishes the requests at hand and closes the signer.
///
/// # Errors
/// What the listener says.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let served = axum::serve(listener, app(state.clone())).with_graceful_shutdown(shutdown).await;
    state.close().await;
    served
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

async fn append(Extract(state): Extract<State>, request: Request) -> Result<Json<Appended>, ErrorReply> {
    authorize(&state, request.headers())?;
    // A web page can send other types to a local signer without asking it first (CORS).
    if !is_json(request.headers()) {
        let message = "the content type has to be `application/json`";
        return Err(ErrorReply::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let bytes = declared_length(request.headers())?;
    let share = state.reserve(bytes)?;
    let body = receive(request.into_body(), bytes, state.settings().body_timeout).await?;
    let batch = Batch::parse(&body)?;
    drop(body);
    let mut outcome = match batch.items.is_empty() {
        true => Appended::default(),
        false => state.append_items(batch.items, Some(share)).await?,
    };
    outcome.rejected.extend(batch.rejected);
    outcome.rejected.sort_by_key(|rejection| rejection.index);
    Ok(Json(outcome))
}

async fn read(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, ErrorReply> {
    authorize(&state, &headers)?;
    let bad_query = |message| Err(ErrorReply::new(StatusCode::BAD_REQUEST, "malformed_query", message));
    let Ok(Query(query)) = query else {
        return bad_query(
            "`after` and `limit` are whole numbers, and there are no other parameters".to_owned(),
        );
    };
    let limit = query.limit.unwrap_or(MAX_PAGE_RECEIPTS);
    if limit == 0 || limit > MAX_PAGE_RECEIPTS {
        return bad_query(format!("`limit` is between 1 and {MAX_PAGE_RECEIPTS}"));
    }
    let store = state.store().clone();
    let page = tokio::task::spawn_blocking(move || {
        store.page(query.after, limit).map(|page| (page.last_index(), page.to_ndjson()))
    });
    let (last, ndjson) = page.await.map_err(|_| ErrorReply::from(StoreError::Corrupt { what: "page" }))??;
    let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], ndjson).into_response();
    if let Some(next) = last.or(query.after) {
        response.headers_mut().insert(NEXT_AFTER, HeaderValue::from(next));
    }
    Ok(response)
}

async fn keys(Extract(state): Extract<State>) -> Response {
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], state.jwks().to_owned()).into_response()
}

async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "live" }))
}

async fn ready(Extract(state): Extract<State>) -> Result<Json<serde_json::Value>, ErrorReply> {
    match timeout(PROBE_TIMEOUT, state.probe()).await {
        Ok(probed) => probed?,
        Err(_) => {
            let message = "the database did not answer in time";
            return Err(ErrorReply::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", message));
        }
    }
    Ok(Json(serde_json::json!({ "status": "ready" })))
}

async fn not_found() -> ErrorReply {
    ErrorReply::new(StatusCode::NOT_FOUND, "not_found", "there is no such route")
}

async fn method_not_allowed() -> ErrorReply {
    ErrorReply::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the route has no such method")
}

fn authorize(state: &State, headers: &HeaderMap) -> Result<(), ErrorReply> {
    let Some(token) = &state.settings().bearer_token else { return Ok(()) };
    let shown = headers.get(header::AUTHORIZATION).is_some_and(|value| token.is_shown_by(value.as_bytes()));
    if shown {
        return Ok(());
    }
    Err(ErrorReply::new(StatusCode::UNAUTHORIZED, "unauthorized", "the bearer token is missing or wrong"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

/// How many bytes the body may have: what it says, or the most.
fn declared_length(headers: &HeaderMap) -> Result<u32, ErrorReply> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else { return Ok(MAX_BODY_BYTES) };
    let length = length.to_str().ok().and_then(|length| length.parse::<u64>().ok()).unwrap_or(u64::MAX);
    u32::try_from(length).ok().filter(|length| *length <= MAX_BODY_BYTES).ok_or_else(too_large)
}

async fn receive(body: Body, limit: u32, patience: Duration) -> Result<axum::body::Bytes, ErrorReply> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    match timeout(patience, to_bytes(body, limit)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => {
            let message = "the body did not arrive in time";
            Err(ErrorReply::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message))
        }
    }
}

fn too_large() -> ErrorReply {
    let message = format!("the body has more than {MAX_BODY_BYTES} bytes or was cut off");
    ErrorReply::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}
