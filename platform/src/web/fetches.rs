//! What is being fetched, and fetching more.

use std::path::{Path, PathBuf};

use axum::Extension;
use axum::extract::{Path as Part, State};
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::browse;
use super::files::{self, Room, Root};
use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{badge, bar, fault, field, heading, plural, section};
use super::site::{Shared, Site};
use super::visitor::Visitor;
use crate::node::{FetchRequest, Which};
use crate::status::{Fetch, FetchState, Status};
use crate::words::{percent, rate, size, time_left};

/// What the form says again after a mistake.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) link: String,
    pub(super) folder: String,
}

/// `GET /fetches`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    Html(page(&site.node.status(), None, &Frame::of(&site, &visitor, &uri)).into_string())
}

/// `GET /fetches/new`
pub(super) async fn new(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Response {
    form(&site, &visitor, &uri, &Draft::default(), None).await
}

/// `POST /fetches/new`: with a link that was found, which stands in no address.
pub(super) async fn draft(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let draft = Draft { link: fields.get("link").to_owned(), ..Draft::default() };
    form(&site, &visitor, &uri, &draft, None).await
}

/// `GET /fetches/new/{number}`: into a folder found under Files.
pub(super) async fn into(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Part(number): Part<u64>,
    uri: Uri,
) -> Response {
    let Some(folder) = site.folders().path(number) else { return frame::missing() };
    let draft = Draft { folder: folder.display().to_string(), ..Draft::default() };
    form(&site, &visitor, &uri, &draft, None).await
}

/// `POST /fetches/add`
pub(super) async fn add(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let draft = Draft { link: fields.get("link").trim().to_owned(), folder: fields.get("folder").to_owned() };
    let (roots, folder) = (files::roots(&site, &visitor), PathBuf::from(&draft.folder));
    let looked = site.looks.read(Path::new(&draft.folder), move || browse::allowed(&roots, &folder));
    let why = match looked.await {
        Ok(Some(out)) => match site.node.fetch(FetchRequest { link: draft.link.clone(), out }).await {
            Ok(_) => return Redirect::to("/fetches?said=fetching").into_response(),
            Err(why) => why.to_string(),
        },
        Ok(None) => "choose one of the folders that are allowed".to_owned(),
        Err(silent) => format!("that folder cannot be looked at: {silent}"),
    };
    form(&site, &visitor, &uri, &draft, Some(&why)).await
}

/// `POST /fetches/{number}/forget`
pub(super) async fn forget(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Part(number): Part<u64>,
    uri: Uri,
) -> Response {
    match site.node.forget(Which::Number(number)).await {
        Ok(_) => Redirect::to("/fetches?said=forgotten").into_response(),
        Err(why) => {
            let frame = Frame::of(&site, &visitor, &uri);
            let page = page(&site.node.status(), Some(&why.to_string()), &frame);
            (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
        }
    }
}

async fn form(site: &Site, visitor: &Visitor, uri: &Uri, draft: &Draft, why: Option<&str>) -> Response {
    let (roots, frame) = (files::shown_roots(site, visitor).await, Frame::of(site, visitor, uri));
    let status = if why.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    (status, Html(form_page(&roots, draft, why, &frame).into_string())).into_response()
}

/// All fetches, newest first.
pub(super) fn page(status: &Status, why: Option<&str>, frame: &Frame) -> Markup {
    frame.page(
        "Fetches",
        "/fetches",
        &html! {
            (heading("Fetches", &html! {
                (frame.watch("/fetches"))
                @if frame.token.is_some() { a class="button main" href="/fetches/new" { "Fetch something" } }
            }))
            (fault(why))
            @if status.fetches.is_empty() { p class="empty" { "Nothing is fetched yet." } }
            @else { h2 class="hidden" { "All fetches" } }
            @for fetch in status.fetches.iter().rev() { (card(fetch, frame)) }
        },
    )
}

/// The form for a link.
pub(super) fn form_page(roots: &[Root], draft: &Draft, why: Option<&str>, frame: &Frame) -> Markup {
    let chosen_elsewhere = !draft.folder.is_empty() && !roots.iter().any(|root| root.path == draft.folder);
    frame.page("Fetch something", "/fetches", &html! {
        (heading("Fetch something", &html! {}))
        (fault(why))
        @if roots.is_empty() {
            p class="empty" { "No folder is allowed yet. " a href="/settings" { "Choose some in the settings" } "." }
        } @else {
            (frame.form("/fetches/add", "card", &html! {
                (field("link", "Link", "As it was given to you: http://….onion/private/… or /public/…", &html! {
                    textarea id="link" name="link" rows="3" required spellcheck="false" autocapitalize="off" aria-describedby="link-hint" { (draft.link) }
                }))
                (field("folder", "Into", "", &html! {
                    select id="folder" name="folder" {
                        @if chosen_elsewhere { option value=(draft.folder) selected { (draft.folder) } }
                        @for root in roots {
                            option value=(root.path) selected[root.path == draft.folder] {
                                @if root.memory { "In memory" } @else { (root.path) } @match root.room {
                                    Room::Free(free) => { " (" (size(free)) " free)" }
                                    Room::Gone => {}
                                    Room::Silent => " (does not answer)",
                                }
                            }
                        }
                    }
                }))
                p { button type="submit" class="main" { "Fetch" } }
            }))
            p class="quiet" { "Another folder? Find it under " a href="/files" { "Files" } "." }
        }
    })
}

/// The section of the overview.
pub(super) fn part(status: &Status, frame: &Frame) -> Markup {
    section(
        "fetches",
        "Fetches",
        status.fetches.len(),
        &html! {
            @if status.fetches.is_empty() {
                p class="empty" {
                    "Nothing yet. "
                    @if frame.token.is_some() { a href="/fetches/new" { "Paste a link" } "." }
                    @else { "Start one with " code { "bulbil fetch LINK --out FOLDER" } "." }
                }
            }
            @for fetch in status.fetches.iter().rev() { (card(fetch, frame)) }
        },
    )
}

fn card(fetch: &Fetch, frame: &Frame) -> Markup {
    let is_over = matches!(fetch.state, FetchState::Done | FetchState::Failed(_));
    let deed = if is_over { "Forget" } else { "Stop" };
    let name = fetch.name.clone().unwrap_or_else(|| format!("Fetch {}", fetch.id));
    let percent = fetch.size.map_or(0, |size| percent(fetch.done, size));
    html! {
        article class="card" {
            header { h3 { (name) } (state(&fetch.state)) }
            @if fetch.state != FetchState::Done {
                div class="boot" { (bar(&format!("Progress of {name}"), percent)) span class="number" { (percent) " %" } }
            }
            p class="line" { @for part in facts(fetch) { span { (part) } } }
            @if let FetchState::Waiting(why) = &fetch.state { p class="notice warn" { (why) } }
            @if let FetchState::Failed(why) = &fetch.state { p class="notice bad" { (why) } }
            div class="actions" {
                (frame.form(&format!("/fetches/{}/forget", fetch.id), "inline", &html! {
                    button type="submit" class="link" aria-label={ (deed) " " (name) } { (deed) }
                }))
            }
        }
    }
}

fn facts(fetch: &Fetch) -> Vec<String> {
    let mut facts = Vec::new();
    match (fetch.size, fetch.state == FetchState::Done) {
        (Some(whole), true) => facts.push(format!("{} verified", size(whole))),
        (Some(whole), false) => facts.push(format!("{} of {}", size(fetch.done), size(whole))),
        (None, _) => {}
    }
    if fetch.state == FetchState::Fetching {
        facts.push(rate(fetch.rate));
        let left = fetch.size.unwrap_or(0).saturating_sub(fetch.done);
        facts.extend(time_left(left, fetch.rate).map(|span| format!("{span} left")));
    }
    if fetch.peers > 0 {
        facts.push(plural(u64::from(fetch.peers), "peer", "peers"));
        facts.push(plural(u64::from(fetch.lanes), "lane", "lanes"));
    }
    if fetch.uploaded > 0 {
        facts.push(format!("{} given on", size(fetch.uploaded)));
    }
    facts.push(format!("into {}", fetch.out));
    facts
}

fn state(state: &FetchState) -> Markup {
    match state {
        FetchState::Connecting => badge("busy", "connecting"),
        FetchState::Waiting(_) => badge("warn", "waiting"),
        FetchState::Learning => badge("busy", "reading metadata"),
        FetchState::Fetching => badge("busy", "fetching"),
        FetchState::Done => badge("good", "done"),
        FetchState::Failed(_) => badge("bad", "failed"),
    }
}
