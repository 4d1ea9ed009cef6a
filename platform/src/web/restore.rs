//! Before the first run: a node that was kept in a file comes back, with its address, its shares and its password.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use tokio::time::timeout;

use super::account;
use super::frame;
use super::guard::Fields;
use super::keep;
use super::layout::{fault, field};
use super::looks::Silent;
use super::site::{Shared, Site};
use super::upload::Upload;
use super::visitor::Visitor;
use crate::keep::{self as kept_file, Kept, Passphrase, Place};
use crate::sys::disks;

/// Longest wait for a keep file to be read and opened: a small board needs seconds, a disk that wakes some more.
const OPENS: Duration = Duration::from_secs(40);

/// `GET /first/restore`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    if !visitor.may_begin(site.page.first_run) {
        return Redirect::to("/first").into_response();
    }
    let file = found(&site).await.map(|file| file.display().to_string()).unwrap_or_default();
    account::with_form(&site, &headers, StatusCode::OK, "Bring back", |token| form(token, &file, None))
}

/// `POST /first/restore`: the node ends with a code that has it started again, and is the one of before.
pub(super) async fn bring_back(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    upload: Option<Extension<Upload>>,
    headers: HeaderMap,
) -> Response {
    if !visitor.may_begin(site.page.first_run) {
        return Redirect::to("/first").into_response();
    }
    let upload = upload.map(|Extension(upload)| upload).filter(|upload| !upload.bytes().is_empty());
    match open(&site, &visitor, &fields, upload).await {
        Ok((kept, place)) => {
            kept_file::put_aside(kept, place);
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

/// A keep file that lies on a disk.
async fn found(site: &Site) -> Option<PathBuf> {
    for disk in disks::listed() {
        let (file, at) = (disk.at.join(keep::NAME), disk.at);
        let there = {
            let file = file.clone();
            site.looks.glance(&at, move || file.is_file()).await
        };
        if there == Ok(true) {
            return Some(file);
        }
    }
    None
}

/// What is in the keep file, and where that lies if it lies here.
async fn open(
    site: &Site,
    visitor: &Visitor,
    fields: &Fields,
    upload: Option<Upload>,
) -> Result<(Kept, Option<Place>), String> {
    let file = PathBuf::from(fields.get("keep-file").trim());
    if upload.is_none() && !file.is_absolute() {
        return Err(format!(
            "choose the keep file, or name its whole path on this machine, such as /mnt/usb/{}",
            keep::NAME
        ));
    }
    // Each try takes memory and time.
    site.guesses().admit(visitor.source(), Instant::now()).map_err(|wait| wait.to_string())?;
    let passphrase = Passphrase::to_open(fields.get("passphrase")).map_err(|why| why.to_string())?;
    let opening = tokio::task::spawn_blocking(move || match upload {
        Some(upload) => Kept::open(upload.bytes(), &passphrase).map(|kept| (kept, None)),
        None => Kept::load(&file, &passphrase).map(|kept| (kept, Some(Place { file, passphrase }))),
    });
    let opened = timeout(OPENS, opening).await.map_err(|_| Silent.to_string())?;
    opened.map_err(|_| "the file could not be opened; try again".to_owned())?.map_err(|why| why.to_string())
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
            form method="post" action="/first/restore" enctype="multipart/form-data" autocomplete="off" {
                input type="hidden" name="token" value=(token);
                (field("keep-upload", "Keep file on the device before you", "As you once downloaded it.", &html! {
                    input id="keep-upload" name="upload" type="file" aria-describedby="keep-upload-hint";
                }))
                (field("keep-path", "Or a keep file on the node's own disks", "Its whole path there. The node goes on keeping itself in it.", &html! {
                    input id="keep-path" name="keep-file" value=(file) spellcheck="false" autocapitalize="off" aria-describedby="keep-path-hint";
                }))
                (field("passphrase", "Passphrase", "", &html! {
                    input id="passphrase" name="passphrase" type="password" required autocomplete="off";
                }))
                div class="actions" { button type="submit" class="main" { "Bring it back" } a href="/first" { "Begin anew instead" } }
            }
        }
    }
}
