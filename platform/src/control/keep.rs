//! The keep file over the control socket: a passphrase in, sealed bytes out. Nothing plain leaves the node.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use zeroize::ZeroizeOnDrop;

use super::failure::Failure;
use super::routes::{Api, bad, read};
use crate::keep::Passphrase;

/// What to seal with.
#[derive(Deserialize, Serialize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealRequest {
    /// At least [`MIN_PASSPHRASE`](crate::keep::MIN_PASSPHRASE) characters.
    pub(crate) passphrase: String,
}

pub(super) fn router() -> Router<Api> {
    Router::new().route("/keep", post(seal))
}

async fn seal(State(api): State<Api>, request: Request) -> Result<Response, Failure> {
    let request: SealRequest = read(request).await?;
    let passphrase = Passphrase::to_seal(&request.passphrase).map_err(|why| bad(&why.to_string()))?;
    let sealed = api.node.keep(passphrase).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], sealed).into_response())
}
