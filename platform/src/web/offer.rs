//! Sharing something new: how, and then doing it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::browse;
use super::files;
use super::frame::Frame;
use super::guard::Fields;
use super::layout::heading;
use super::shares;
use super::site::Shared;
use super::visitor::Visitor;
use crate::node::{NodeError, ShareRequest};

/// Files that are read within this are shared before the browser sees its next page.
const SOON: Duration = Duration::from_secs(2);

/// `POST /shares/new`: asks who is meant to fetch it. A form leads here, so that no path stands in an address.
pub(super) async fn choose(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    match chosen(&site, &visitor, &fields).await {
        Ok(path) => {
            let frame = Frame::of(&site, &visitor, &uri);
            Html(page(&path, &frame).into_string()).into_response()
        }
        Err(why) => shares::answer(&site, &visitor, &uri, Err(why)),
    }
}

/// `POST /shares/add`
pub(super) async fn add(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let begun = chosen(&site, &visitor, &fields).await.and_then(|path| {
        let name = name(&path);
        let job = site.jobs.begin(&name).ok_or_else(|| {
            NodeError::Bad("too many shares are being read already; wait until some are done".into())
        })?;
        Ok((path, job))
    });
    let (path, job) = match begun {
        Ok(begun) => begun,
        Err(why) => return shares::answer(&site, &visitor, &uri, Err(why)),
    };
    let request = ShareRequest {
        paths: vec![path],
        name: None,
        piece_length: None,
        public: false,
        browser: fields.get("for") == "browser",
    };
    let working = Shared::clone(&site);
    let work = tokio::spawn(async move {
        let done = working.node.share(request).await;
        let shared = done.as_ref().ok().map(|share| share.info_hash.clone());
        working.jobs.end(job, done.err().map(|why| why.to_string()).as_deref());
        shared
    });
    match tokio::time::timeout(SOON, work).await {
        Ok(Ok(Some(info_hash))) => Redirect::to(&format!("/shares/{info_hash}?said=shared")).into_response(),
        Ok(_) => Redirect::to("/shares").into_response(),
        Err(_) => Redirect::to("/shares?said=reading").into_response(),
    }
}

/// The path of the form, if it lies where things may be shared from.
async fn chosen(site: &Shared, visitor: &Visitor, fields: &Fields) -> Result<PathBuf, NodeError> {
    let (roots, path) = (files::roots(site, visitor), fields.get("path").to_owned());
    let place = PathBuf::from(&path);
    let looked = site.looks.read(&place, move || browse::allowed(&roots, Path::new(&path)));
    let looked =
        looked.await.map_err(|silent| NodeError::Failed(format!("that cannot be looked at: {silent}")))?;
    looked.ok_or_else(|| {
        NodeError::Bad(
            "that lies in none of the allowed folders; choose it under Files, or allow its folder in Settings"
                .into(),
        )
    })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The question.
pub(super) fn page(path: &Path, frame: &Frame) -> Markup {
    let name = name(path);
    frame.page("Share", "/shares", &html! {
        (heading(&format!("Share {name}"), &html! {}))
        p class="path" { code { (path.display()) } }
        (frame.form("/shares/add", "card", &html! {
            input type="hidden" name="path" value=(path.display());
            fieldset {
                legend { "Who is meant to fetch it?" }
                (choice("bulbil", true, "Whoever has the link, with Bulbil", "Without the link the address cannot even be found."))
                (choice("browser", false, "Whoever has the link, with any Tor Browser too", "The address can be found without the link; its token alone guards the files."))
            }
            p { button type="submit" class="main" { "Share" } }
        }))
        p class="quiet" {
            "The files stay where they are. Names, sizes and content are as they are on the disk; what changes later is not served."
        }
    })
}

fn choice(value: &str, checked: bool, label: &str, hint: &str) -> Markup {
    html! {
        div class="choice" {
            input type="radio" name="for" value=(value) id={ "for-" (value) } checked[checked]
                aria-describedby={ "for-" (value) "-hint" };
            div {
                label for={ "for-" (value) } { (label) }
                small id={ "for-" (value) "-hint" } { (hint) }
            }
        }
    }
}
