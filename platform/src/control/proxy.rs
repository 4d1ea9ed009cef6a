//! What the API can do to the proxies, and the check of the network they use.

use axum::extract::{Request, State};
use axum::routing::post;
use axum::{Json, Router};

use super::failure::Failure;
use super::routes::{Api, read_if_any};
use crate::config::Selfcheck;
use crate::selfcheck::Report;
use crate::status::NewIdentity;

pub(super) fn router() -> Router<Api> {
    Router::new().route("/new-identity", post(new_identity)).route("/selfcheck", post(selfcheck))
}

async fn new_identity(State(api): State<Api>) -> Result<Json<NewIdentity>, Failure> {
    Ok(Json(api.node.new_identity().await?))
}

async fn selfcheck(State(api): State<Api>, request: Request) -> Result<Json<Report>, Failure> {
    let settings: Option<Option<Selfcheck>> = read_if_any(request).await?;
    Ok(Json(api.node.selfcheck(settings.flatten()).await?))
}
