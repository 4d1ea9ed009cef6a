//! Errors as the API tells them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::node::NodeError;

/// A status code and a text for the owner.
#[derive(Debug)]
pub(super) struct Failure(pub(super) StatusCode, pub(super) String);

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let code = match error {
            NodeError::Bad(_) => StatusCode::BAD_REQUEST,
            NodeError::Missing(_) => StatusCode::NOT_FOUND,
            NodeError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            NodeError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(code, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}
