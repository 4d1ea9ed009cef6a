//! What the node was told: the password, who may look, folders, and the configuration file.

use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::account;
use super::first;
use super::folders::{self, Choice};
use super::frame::Frame;
use super::guard::Fields;
use super::keep;
use super::layout::{fault, field, heading};
use super::machine;
use super::password;
use super::site::{Shared, Site};
use super::visitor::Visitor;
use crate::state::{Audience, PageEntry};
use crate::status::Keep;
use crate::status::board::Note;

/// What the page shows.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) audience: Audience,
    pub(super) from_lan: bool,
    pub(super) folders: Choice,
    /// What became of the keys of `bulbil.toml`, on a board.
    pub(super) notes: Option<Vec<Note>>,
    pub(super) sessions: usize,
    pub(super) config: String,
    pub(super) keep: Keep,
    /// What was wrong with the last try.
    pub(super) fault: Option<String>,
}

/// `GET /settings`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&view(&site, &visitor), &frame).into_string())
}

/// `POST /settings/password`
pub(super) async fn change_password(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let changed = account::change(&site, &visitor, &fields).await;
    changed.unwrap_or_else(|fault| again(&site, &visitor, &uri, fault))
}

/// `POST /settings/access`
pub(super) async fn change_access(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let folders = match folders::read(&fields, &site.downloads()) {
        Ok(folders) => folders,
        Err(why) => return again(&site, &visitor, &uri, (StatusCode::UNPROCESSABLE_ENTITY, why)),
    };
    let entry = PageEntry {
        audience: first::audience(&fields, first::needs_lan(&site, visitor.place)),
        folders,
        ..visitor.entry.clone()
    };
    match site.keep(entry).await {
        Ok(()) => Redirect::to("/settings?said=saved").into_response(),
        Err(why) => again(&site, &visitor, &uri, (StatusCode::INTERNAL_SERVER_ERROR, why.to_string())),
    }
}

pub(super) fn again(
    site: &Site,
    visitor: &Visitor,
    uri: &Uri,
    (status, why): (StatusCode, String),
) -> Response {
    let view = View { fault: Some(why), ..view(site, visitor) };
    (status, Html(page(&view, &Frame::of(site, visitor, uri)).into_string())).into_response()
}

fn view(site: &Site, visitor: &Visitor) -> View {
    let entry = &visitor.entry;
    let status = site.node.status();
    View {
        audience: entry.audience,
        from_lan: first::needs_lan(site, visitor.place),
        folders: Choice::look(site, &entry.folders),
        notes: status.board.as_ref().map(|board| board.notes.clone()),
        sessions: site.sessions().count(Instant::now()),
        config: site.config.clone(),
        keep: status.keep.clone(),
        fault: None,
    }
}

/// The page, as a pure function of what it shows.
pub(super) fn page(view: &View, frame: &Frame) -> Markup {
    frame.page(
        "Settings",
        "/settings",
        &html! {
            (heading("Settings", &html! {}))
            (fault(view.fault.as_deref()))
            @if frame.token.is_some() { (access(view, frame)) (password_form(view, frame)) }
            @else { p class="empty" { "Only who is signed in may change anything." } }
            (keep::part(&view.keep, &view.folders, frame))
            @if let Some(notes) = &view.notes { (machine::notes(notes)) }
            (config(view))
        },
    )
}

fn access(view: &View, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="access-title" {
            h2 id="access-title" { "Access" }
            (frame.form("/settings/access", "card", &html! {
                fieldset { legend { "Who may see this page" } (first::audience_choice(view.audience, view.from_lan)) }
                fieldset { legend { "Where files may lie" } (folders::choice(&view.folders)) }
                p { button type="submit" class="main" { "Save" } }
            }))
        }
    }
}

fn password_form(view: &View, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="password-title" {
            h2 id="password-title" { "Password" }
            (frame.form("/settings/password", "card", &html! {
                (field("present", "Present password", "", &html! {
                    input id="present" name="password" type="password" required
                        autocomplete="current-password" maxlength=(password::LONGEST);
                }))
                (first::password_fields("new"))
                p { button type="submit" class="main" { "Change the password" } }
                p { small {
                    @if view.sessions > 1 { (view.sessions) " browsers are signed in. " }
                    "A change signs every other browser out."
                } }
            }))
        }
    }
}

fn config(view: &View) -> Markup {
    html! {
        section aria-labelledby="config-title" {
            h2 id="config-title" { "Configuration" }
            p class="quiet" { "What the node was started with. It is changed in its file, and read at the next start." }
            pre class="card" tabindex="0" role="region" aria-label="Configuration" { (view.config) }
        }
    }
}
