//! Published services: how they are, who may find them, their keys.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};

use super::failure::Failure;
use super::routes::{Api, read};
use crate::status::publish::Published;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route(
            "/publish",
            get(|State(api): State<Api>| async move { Json(&api.node.status().publish).into_response() }),
        )
        .route("/publish/clients", post(add_client))
        .route("/publish/keys", post(import))
        .route("/publish/{service}/health", get(health))
        .route("/publish/{service}/keys", get(export))
        .route("/publish/{service}/clients", get(clients).delete(open_to_all))
        .route("/publish/{service}/clients/{client}", delete(revoke))
}

fn find(api: &Api, name: &str) -> Result<Published, Failure> {
    let status = api.node.status();
    let found = status.publish.iter().find(|service| service.name == name).cloned();
    found.ok_or_else(|| Failure(StatusCode::NOT_FOUND, "no published service has this name".to_owned()))
}

async fn health(State(api): State<Api>, Path(service): Path<String>) -> Result<Response, Failure> {
    let service = find(&api, &service)?;
    let code = if service.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((code, Json(service)).into_response())
}

async fn clients(State(api): State<Api>, Path(service): Path<String>) -> Result<Response, Failure> {
    Ok(Json(find(&api, &service)?.clients).into_response())
}

async fn add_client(State(api): State<Api>, request: Request) -> Result<Response, Failure> {
    let added = api.node.add_client(read(request).await?).await?;
    Ok((StatusCode::CREATED, Json(added)).into_response())
}

async fn revoke(
    State(api): State<Api>,
    Path((service, client)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    api.node.revoke_client(service, client).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn open_to_all(State(api): State<Api>, Path(service): Path<String>) -> Result<StatusCode, Failure> {
    api.node.open_to_all(service).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn export(State(api): State<Api>, Path(service): Path<String>) -> Result<Response, Failure> {
    Ok(Json(api.node.export_keys(service).await?).into_response())
}

async fn import(State(api): State<Api>, request: Request) -> Result<Response, Failure> {
    Ok(Json(api.node.import_keys(read(request).await?).await?).into_response())
}
