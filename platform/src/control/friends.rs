//! Friend codes over the control socket.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post};
use axum::{Json, Router};

use super::failure::Failure;
use super::routes::{Api, read};
use crate::node::{AcceptRequest, InviteRequest};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/friends/invite", post(invite))
        .route("/friends/accept", post(accept))
        .route("/friends/{id}", delete(cancel))
}

async fn invite(State(api): State<Api>, request: Request) -> Result<Response, Failure> {
    let request: InviteRequest = read(request).await?;
    Ok((StatusCode::CREATED, Json(api.node.invite(request).await?)).into_response())
}

async fn accept(State(api): State<Api>, request: Request) -> Result<Response, Failure> {
    let request: AcceptRequest = read(request).await?;
    Ok((StatusCode::CREATED, Json(api.node.accept(request).await?)).into_response())
}

async fn cancel(State(api): State<Api>, Path(id): Path<u64>) -> Result<StatusCode, Failure> {
    api.node.cancel_meeting(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
