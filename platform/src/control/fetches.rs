//! Requests about fetches.

use axum::Json;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use serde_json::json;

use super::failure::Failure;
use super::routes::{Api, bad, info_hash, read};
use crate::node::{FetchRequest, Which};

pub(super) fn router() -> Router<Api> {
    Router::new().route("/fetches", get(list).post(fetch)).route("/fetches/{which}", delete(forget))
}

async fn list(State(api): State<Api>) -> Response {
    Json(&api.node.status().fetches).into_response()
}

async fn fetch(State(api): State<Api>, request: Request) -> Result<Response, Failure> {
    let request: FetchRequest = read(request).await?;
    if !request.out.is_absolute() {
        return Err(bad("out must be an absolute path"));
    }
    request.link.parse::<crate::link::Link>().map_err(|error| bad(&error.to_string()))?;
    let id = api.node.fetch(request).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

/// By its number, or by its info-hash.
async fn forget(State(api): State<Api>, Path(which): Path<String>) -> Result<Response, Failure> {
    let which = match which.parse() {
        Ok(id) => Which::Number(id),
        Err(_) => Which::InfoHash(info_hash(&which).map_err(|_| {
            bad("a fetch is named by its number, or by its info-hash of 64 hexadecimal digits; `bulbil list` shows them")
        })?),
    };
    Ok(Json(api.node.forget(which).await?).into_response())
}
