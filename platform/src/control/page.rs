//! The page, from the owner's side: `DELETE /page` forgets its password.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::delete;

use super::failure::Failure;
use crate::node::Handle;
use crate::state::PageEntry;

pub(super) fn router(node: Handle) -> Router {
    Router::new().route("/page", delete(reset)).with_state(node)
}

/// Keeps the folders and the onion's keys; without a password the onion is off.
async fn reset(State(node): State<Handle>) -> Result<StatusCode, Failure> {
    let entry = node.page().await?;
    let kept = PageEntry { password: None, seal: None, audience: crate::state::Audience::Machine, ..entry };
    node.keep_page(kept).await?;
    Ok(StatusCode::NO_CONTENT)
}
