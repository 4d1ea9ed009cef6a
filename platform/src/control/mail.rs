//! Requests about mail.

use axum::Json;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use super::failure::Failure;
use super::routes::{Api, read};
use crate::node::SendRequest;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/mail", post(send))
        .route("/mail/inbox", get(inbox))
        .route("/mail/outbox", get(outbox))
        .route("/mail/inbox/{number}", delete(discard))
}

async fn send(State(api): State<Api>, request: Request) -> Result<Response, Failure> {
    let request: SendRequest = read(request).await?;
    Ok((StatusCode::CREATED, Json(api.node.send(request).await?)).into_response())
}

async fn inbox(State(api): State<Api>) -> Result<Response, Failure> {
    Ok(Json(api.node.inbox().await?).into_response())
}

async fn outbox(State(api): State<Api>) -> Result<Response, Failure> {
    Ok(Json(api.node.outbox().await?).into_response())
}

async fn discard(State(api): State<Api>, Path(number): Path<u64>) -> Result<StatusCode, Failure> {
    api.node.discard(number).await?;
    Ok(StatusCode::NO_CONTENT)
}
