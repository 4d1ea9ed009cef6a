//! Which request does what.

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::events;
use super::failure::Failure;
use super::{fetches, friends, keep, tracker};
use crate::node::{Handle, ShareRequest};

/// Bytes of a request's body at most: a share of some thousand paths.
const BODY: usize = 1024 * 1024;

/// Longest wait for a whole body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// What every request may use.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) node: Handle,
    pub(super) stop: watch::Receiver<bool>,
}

pub(super) fn router(node: Handle, stop: watch::Receiver<bool>) -> Router {
    Router::new()
        .route(
            "/status",
            get(|State(api): State<Api>| async move { Json(&*api.node.status()).into_response() }),
        )
        .route(
            "/peers",
            get(|State(api): State<Api>| async move { Json(&api.node.status().peers).into_response() }),
        )
        .route(
            "/shares",
            get(|State(api): State<Api>| async move { Json(&api.node.status().shares).into_response() }),
        )
        .route("/shares", post(share))
        .route("/shares/{info_hash}", delete(unshare))
        .merge(fetches::router())
        .merge(super::metrics::router())
        .merge(super::proxy::router())
        .route("/events", get(follow))
        .route("/stop", post(stop_node))
        .merge(super::mail::router())
        .merge(friends::router())
        .merge(keep::router())
        .merge(super::publish::router())
        .fallback(|| async { Failure(StatusCode::NOT_FOUND, "no such path in this API".to_owned()) })
        .method_not_allowed_fallback(|| async {
            Failure(StatusCode::METHOD_NOT_ALLOWED, "this path does not know that method".to_owned())
        })
        .with_state(Api { node: node.clone(), stop })
        .merge(super::page::router(node.clone()))
        .merge(tracker::router(node))
}

async fn share(State(api): State<Api>, request: Request) -> Result<Response, Failure> {
    let request: ShareRequest = read(request).await?;
    if request.paths.is_empty() {
        return Err(bad("name at least one path to share"));
    }
    if !request.paths.iter().all(|path| path.is_absolute()) {
        return Err(bad("paths must be absolute"));
    }
    let share = api.node.share(request).await?;
    Ok((StatusCode::CREATED, Json(share)).into_response())
}

async fn unshare(State(api): State<Api>, Path(info_hash): Path<String>) -> Result<StatusCode, Failure> {
    api.node.unshare(self::info_hash(&info_hash)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An info-hash as the node writes it.
pub(super) fn info_hash(text: &str) -> Result<String, Failure> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(bad("an info-hash has 64 hexadecimal digits; `bulbil list` shows them"))
}

async fn follow(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], events::body(api.node, api.stop)).into_response()
}

async fn stop_node(State(api): State<Api>) -> Result<StatusCode, Failure> {
    api.node.stop().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn bad(why: &str) -> Failure {
    Failure(StatusCode::BAD_REQUEST, why.to_owned())
}

/// The body as JSON, if it is short enough and comes soon enough.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Failure> {
    parse(&whole(request).await?)
}

/// The same where there need be no body.
pub(super) async fn read_if_any<T: DeserializeOwned>(request: Request) -> Result<Option<T>, Failure> {
    let body = whole(request).await?;
    if body.is_empty() { Ok(None) } else { parse(&body) }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))
}

async fn whole(request: Request) -> Result<Bytes, Failure> {
    let body: Limited<Body> = Limited::new(request.into_body(), BODY);
    let whole = tokio::time::timeout(BODY_DEADLINE, body.collect()).await;
    let whole = whole
        .map_err(|_| Failure(StatusCode::REQUEST_TIMEOUT, "the body did not come in 10 s".to_owned()))?;
    let whole = whole.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Failure(StatusCode::PAYLOAD_TOO_LARGE, "the body is over 1 MiB".to_owned())
        } else {
            bad("the body broke off")
        }
    })?;
    Ok(whole.to_bytes())
}
