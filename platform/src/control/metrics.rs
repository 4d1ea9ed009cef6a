//! `/metrics`: figures for Prometheus.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::routing::get;

use super::routes::Api;
use crate::metrics::CONTENT_TYPE;

pub(super) fn router() -> Router<Api> {
    Router::new().route(
        "/metrics",
        get(|State(api): State<Api>| async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], api.node.metrics()) }),
    )
}
