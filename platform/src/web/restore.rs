//! Before the first run: a node that was kept in a file comes back, with its address, its shares and its password.

use std::path::PathBuf;
use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::account;
use super::frame;
use super::guard::Fields;
use super::keep;
use super::layout::{fault, field};
use super::site::{Shared, Site};
use super::visitor::Visitor;
use crate::keep::{self as kept_file, Kept, Passphrase};
use crate::sys::disks;

/// `GET /first/restore`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    if !visitor.may_begin(site.page.first_run) {
        return Redirect::to("/first").into_response();
    }
    let found = disks::mounted().into_iter().map(|disk| disk.at.join(keep::NAME)).find(|file| file.is_file());
    let file = found.map(|file| file.display().to_string()).unwrap_or_default();
    account::with_form(&site, &headers, StatusCode::OK, "Bring back", |token| form(token, &file, None))
}

/// `POST /first/restore`: the node ends with a code that has it started again, and is the one of before.
pub(super) async fn bring_back(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    headers: HeaderMap,
) -> Response {
    if !visitor.may_begin(site.page.first_run) {
        return Redirect::to("/first").into_response();
    }
    match open(&site, &visitor, &fields).await {
        Ok(kept) => {
            kept_file::put_aside(kept);
            let node = site.node.clone();
            // The answer goes out first: the page stops with the node.
            tokio::spawn(async move { node.stop().await });
            Html(frame::alone("Welcome back", &gone()).into_string()).into_response()
        }
        Err(why) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let file = fields.get("keep-file");
            account::with_form(&site, &headers, status, "Bring back", |token| form(token, file, Some(&why)))
        }
    }
}

async fn open(site: &Site, visitor: &Visitor, fields: &Fields) -> Result<Kept, String> {
    let file = PathBuf::from(fields.get("keep-file").trim());
    if !file.is_absolute() {
        return Err(format!("name the whole path of the keep file, such as /mnt/usb/{}", keep::NAME));
    }
    // Each try takes memory and time.
    site.guesses()
        .admit(visitor.source(), Instant::now())
        .map_err(|wait| format!("the next try is possible in {} s", wait.as_secs().saturating_add(1)))?;
    let passphrase = Passphrase::to_open(fields.get("passphrase")).map_err(|why| why.to_string())?;
    let opening = tokio::task::spawn_blocking(move || Kept::load(&file, &passphrase));
    let opened = opening.await.map_err(|_| "the file could not be opened; try again".to_owned())?;
    opened.map_err(|why| why.to_string())
}

fn gone() -> Markup {
    html! {
        section {
            h1 { "Welcome back" }
            p { "The node starts again as the one it was. Its page is back in half a minute or so, with the password of before." }
            p class="quiet" { "If it was started by hand, start it by hand once more." }
            p { a href="/" { "To the page" } }
        }
    }
}

/// The form, as a pure function of what it says.
pub(super) fn form(token: &str, file: &str, why: Option<&str>) -> Markup {
    html! {
        section {
            h1 { "Bring back a node" }
            p class="quiet" { "From its keep file: its address, links, friends, settings and password. Two nodes with one address cannot both be reached, so the other one must be off for good." }
            (fault(why))
            form method="post" action="/first/restore" autocomplete="off" {
                input type="hidden" name="token" value=(token);
                (field("keep-path", "Keep file", "Its whole path on this machine.", &html! {
                    input id="keep-path" name="keep-file" value=(file) required spellcheck="false" autocapitalize="off" aria-describedby="keep-path-hint";
                }))
                (field("passphrase", "Passphrase", "", &html! {
                    input id="passphrase" name="passphrase" type="password" required autocomplete="off";
                }))
                div class="actions" { button type="submit" class="main" { "Bring it back" } a href="/first" { "Begin anew instead" } }
            }
        }
    }
}
