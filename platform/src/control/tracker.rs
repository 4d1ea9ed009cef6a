//! The part of the API about trust, mirrors, search, and what is public.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::routes::{bad, info_hash, read, read_if_any};
use crate::node::{About, Handle, MirrorRequest, TrustRequest};

/// A node by its name or address.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeRequest {
    pub(crate) node: String,
}

/// A degree of trust.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DegreeRequest {
    pub(crate) degree: u8,
    /// Whether it takes effect; else its cost is told only.
    pub(crate) apply: bool,
}

/// What to look for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRequest {
    pub(crate) words: String,
}

pub(super) fn router(node: Handle) -> Router {
    Router::new()
        .route("/shares/{info_hash}/publish", post(publish))
        .route("/shares/{info_hash}/unpublish", post(unpublish))
        .route(
            "/trust",
            get(|State(node): State<Handle>| async move { Json(&node.status().trust).into_response() }),
        )
        .route("/trust", post(trust))
        .route("/trust/remove", post(distrust))
        .route("/trust/block", post(block))
        .route("/trust/unblock", post(unblock))
        .route("/trust/degree", post(degree))
        .route(
            "/mirrors",
            get(|State(node): State<Handle>| async move { Json(&node.status().mirrors).into_response() }),
        )
        .route("/mirrors", post(mirror))
        .route("/mirrors/remove", post(unmirror))
        .route("/search", post(search))
        .with_state(node)
}

async fn publish(
    State(node): State<Handle>,
    Path(text): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let about: Option<About> = read_if_any(request).await?;
    Ok(Json(node.publish_about(info_hash(&text)?, about.unwrap_or_default()).await?).into_response())
}

async fn unpublish(State(node): State<Handle>, Path(text): Path<String>) -> Result<Response, Failure> {
    Ok(Json(node.unpublish(info_hash(&text)?).await?).into_response())
}

async fn trust(State(node): State<Handle>, request: Request) -> Result<StatusCode, Failure> {
    let request: TrustRequest = read(request).await?;
    node.trust_add(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn distrust(State(node): State<Handle>, request: Request) -> Result<StatusCode, Failure> {
    let NodeRequest { node: other } = read(request).await?;
    node.trust_remove(other).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn block(State(node): State<Handle>, request: Request) -> Result<StatusCode, Failure> {
    let NodeRequest { node: other } = read(request).await?;
    node.trust_block(other).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unblock(State(node): State<Handle>, request: Request) -> Result<StatusCode, Failure> {
    let NodeRequest { node: other } = read(request).await?;
    node.trust_unblock(other).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn degree(State(node): State<Handle>, request: Request) -> Result<Response, Failure> {
    let DegreeRequest { degree, apply } = read(request).await?;
    Ok(Json(node.trust_degree(degree, apply).await?).into_response())
}

async fn mirror(State(node): State<Handle>, request: Request) -> Result<StatusCode, Failure> {
    let request: MirrorRequest = read(request).await?;
    node.mirror_add(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unmirror(State(node): State<Handle>, request: Request) -> Result<StatusCode, Failure> {
    let NodeRequest { node: other } = read(request).await?;
    node.mirror_remove(other).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One event a line, as they happen.
async fn search(State(node): State<Handle>, request: Request) -> Result<Response, Failure> {
    let SearchRequest { words } = read(request).await?;
    if words.trim().is_empty() {
        return Err(bad("search for one or more words"));
    }
    let events = node.search(words).await?;
    let lines = futures::stream::unfold(events, |mut events| async move {
        let event = events.recv().await?;
        let line = serde_json::to_vec(&event).map(|mut line| {
            line.push(b'\n');
            Bytes::from(line)
        });
        Some((line, events))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}
