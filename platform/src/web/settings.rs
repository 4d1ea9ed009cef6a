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
    /// What a form that went wrong said of the keep file's path.
    pub(super) keep_file: Option<String>,
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
    Html(page(&view(&site, &visitor).await, &frame).into_string())
}

/// `POST /settings/password`
pub(super) async fn change_password(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    match account::change(&site, &visitor, &fields).await {
        Ok(changed) => changed,
        Err(fault) => again(&site, &visitor, &fields, &uri, fault).await,
    }
}

/// `POST /settings/access`
pub(super) async fn change_access(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let folders = match folders::read(&fields, &site.downloads(), &site.looks).await {
        Ok(folders) => folders,
        Err(why) => {
            return again(&site, &visitor, &fields, &uri, (StatusCode::UNPROCESSABLE_ENTITY, why)).await;
        }
    };
    let audience = first::audience(&fields, first::needs_lan(&site, visitor.place));
    let change = move |entry: &mut PageEntry| (entry.audience, entry.folders) = (audience, folders);
    match site.change(&visitor.entry, change).await {
        Ok(_) => Redirect::to("/settings?said=saved").into_response(),
        Err(why) => {
            let fault = (StatusCode::INTERNAL_SERVER_ERROR, why.to_string());
            again(&site, &visitor, &fields, &uri, fault).await
        }
    }
}

/// The page once more, with what one of its forms said.
pub(super) async fn again(
    site: &Site,
    visitor: &Visitor,
    fields: &Fields,
    uri: &Uri,
    (status, why): (StatusCode, String),
) -> Response {
    let view = View { fault: Some(why), ..view(site, visitor).await }.said(fields);
    (status, Html(page(&view, &Frame::of(site, visitor, uri)).into_string())).into_response()
}

async fn view(site: &Site, visitor: &Visitor) -> View {
    let entry = &visitor.entry;
    let status = site.node.status();
    View {
        audience: entry.audience,
        from_lan: first::needs_lan(site, visitor.place),
        folders: Choice::look(site, &entry.folders).await,
        notes: status.board.as_ref().map(|board| board.notes.clone()),
        sessions: site.sessions().count(Instant::now()),
        config: site.config.clone(),
        keep: status.keep.clone(),
        keep_file: None,
        fault: None,
    }
}

impl View {
    /// The same with what a form said, so that nothing is typed twice: passwords and passphrases are.
    fn said(mut self, fields: &Fields) -> Self {
        if fields.has("folders") {
            self.audience = first::audience(fields, self.from_lan);
            self.folders = self.folders.said(fields);
        }
        self.keep_file = fields.has("keep-file").then(|| fields.get("keep-file").to_owned());
        self
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
            (keep::part(&view.keep, &view.folders, view.keep_file.as_deref(), frame))
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
