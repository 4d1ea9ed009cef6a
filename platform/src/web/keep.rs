//! What a power cut would cost, and a keep file against it.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::frame::Frame;
use super::guard::Fields;
use super::layout::{fault, field};
use super::settings;
use super::site::Shared;
use super::visitor::Visitor;
use crate::keep::{MIN_PASSPHRASE, Passphrase};
use crate::status::Keep;
use crate::words::span;

/// `POST /settings/keep`: the keep file, for the browser to put away.
pub(super) async fn save(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let wrong = |why: String| settings::again(&site, &visitor, &uri, (StatusCode::UNPROCESSABLE_ENTITY, why));
    if fields.get("passphrase") != fields.get("once-more") {
        return wrong("the two passphrases differ; type the same one twice".to_owned());
    }
    let passphrase = match Passphrase::to_seal(fields.get("passphrase")) {
        Ok(passphrase) => passphrase,
        Err(why) => return wrong(why.to_string()),
    };
    match site.node.keep(passphrase).await {
        Ok(bytes) => {
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"bulbil.keep\""),
            ];
            (headers, bytes).into_response()
        }
        Err(why) => wrong(why.to_string()),
    }
}

/// The section of the settings.
pub(super) fn part(keep: &Keep, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="keep-title" {
            h2 id="keep-title" { "What survives a power cut" }
            @if keep.automatic {
                p { "This node keeps itself: changes are saved to its keep file by themselves." }
            } @else if keep.would_lose.is_empty() {
                p { "Nothing would be lost now." }
            } @else {
                p { "Everything lies in memory. If the power went now, this would be gone: " (keep.would_lose) "." }
            }
            @if let Some(age) = keep.saved_ago_s { p class="quiet" { "Saved " (span(age)) " ago." } }
            (fault(keep.failed.as_deref()))
            (frame.form("/settings/keep", "card", &html! {
                (field("passphrase", "Passphrase for a keep file", &format!("At least {MIN_PASSPHRASE} characters. Without it nobody can open the file, not even you."), &html! {
                    input id="passphrase" name="passphrase" type="password" required minlength=(MIN_PASSPHRASE) autocomplete="new-password" aria-describedby="passphrase-hint";
                }))
                (field("once-more", "The same again", "", &html! {
                    input id="once-more" name="once-more" type="password" required minlength=(MIN_PASSPHRASE) autocomplete="new-password";
                }))
                p { button type="submit" { "Download a keep file" } }
                p { small { "It holds this node's keys, links and friends, sealed in the age format. " code { "bulbil keep restore" } " brings them back, here or on another board." } }
            }))
        }
    }
}
