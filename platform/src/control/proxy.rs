//! What the API can do to the proxies.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};

use super::failure::Failure;
use super::routes::Api;
use crate::status::NewIdentity;

pub(super) fn router() -> Router<Api> {
    Router::new().route("/new-identity", post(new_identity))
}

async fn new_identity(State(api): State<Api>) -> Result<Json<NewIdentity>, Failure> {
    Ok(Json(api.node.new_identity().await?))
}
