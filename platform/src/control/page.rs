//! The page, from the owner's side: `DELETE /page` forgets its password.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::delete;

use super::failure::Failure;
use crate::node::Handle;

pub(super) fn router(node: Handle) -> Router {
    Router::new().route("/page", delete(reset)).with_state(node)
}

async fn reset(State(node): State<Handle>) -> Result<StatusCode, Failure> {
    node.forget_page().await?;
    Ok(StatusCode::NO_CONTENT)
}
