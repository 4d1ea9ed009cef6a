//! `/metrics`: the node's figures for Prometheus, for who is signed in and for a program that has the token of the settings.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::frame;
use super::site::{Shared, Site};
use super::visitor::{Sight, Visitor};
use crate::metrics::CONTENT_TYPE;

/// `GET /metrics`. Where the page itself shows nothing, a token opens nothing either.
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    match visitor.sight(site.page.first_run) {
        Sight::Nothing => frame::refused(),
        Sight::All => figures(&site),
        _ if is_scraper(&site, &headers) => figures(&site),
        _ => {
            let asked = [(header::WWW_AUTHENTICATE, "Bearer")];
            let why =
                "sign in on the page, or send the token of the settings (metrics.token) as a bearer token";
            (StatusCode::UNAUTHORIZED, asked, why).into_response()
        }
    }
}

fn figures(site: &Site) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], site.node.metrics()).into_response()
}

/// Hashes are compared, so that neither content nor length shows in the time it takes.
fn is_scraper(site: &Site, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        given.and_then(|given| given.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    let (Some((_, token)), Some(wanted)) = (token, &site.scraper) else { return false };
    let hash: [u8; 32] = Sha256::digest(token.trim()).into();
    bool::from(hash.ct_eq(wanted))
}
