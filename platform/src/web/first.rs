//! The first run: a password, who may look, where files may go.

use std::path::{Path, PathBuf};

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::account;
use super::frame;
use super::guard::Fields;
use super::layout::{fault, field};
use super::onion;
use super::password;
use super::site::{Shared, Site};
use super::visitor::{Place, Visitor};
use crate::state::{Audience, MAX_FOLDERS, PageEntry};
use crate::sys::disks::{self, Disk};
use crate::words::size;

/// What the form says again after a mistake.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) audience: Audience,
    /// One a line.
    pub(super) folders: String,
    /// Set by the configuration, so not to be chosen.
    pub(super) folders_fixed: bool,
    /// Filled in from the local network, which then must not be shut out.
    pub(super) from_lan: bool,
}

/// `GET /first`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    if visitor.entry.password.is_some() {
        return Redirect::to("/").into_response();
    }
    if !visitor.may_begin(site.page.first_run) {
        return frame::refused();
    }
    let disks = disks::mounted();
    let draft = Draft { folders: proposal(&disks), ..Draft::fresh(&site, visitor.place) };
    account::with_form(&site, &headers, StatusCode::OK, "Welcome", |token| form(token, &draft, &disks, None))
}

/// `POST /first`
pub(super) async fn begin(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    headers: HeaderMap,
) -> Response {
    if visitor.entry.password.is_some() {
        return Redirect::to("/login").into_response();
    }
    if !visitor.may_begin(site.page.first_run) {
        return frame::refused();
    }
    match set_up(&site, &fields, visitor.place).await {
        Ok(response) => response,
        Err((status, why)) => {
            let draft = Draft {
                audience: audience(&fields, visitor.place),
                folders: fields.get("folders").to_owned(),
                ..Draft::fresh(&site, visitor.place)
            };
            let disks = disks::mounted();
            account::with_form(&site, &headers, status, "Welcome", |token| {
                form(token, &draft, &disks, Some(&why))
            })
        }
    }
}

impl Draft {
    fn fresh(site: &Site, place: Place) -> Self {
        let from_lan = matches!(place, Place::Lan(_));
        let audience = if from_lan { Audience::Password } else { Audience::Machine };
        Self { audience, folders_fixed: !site.allowed.is_empty(), from_lan, ..Self::default() }
    }
}

async fn set_up(site: &Shared, fields: &Fields, place: Place) -> Result<Response, (StatusCode, String)> {
    let (new, again) = (fields.get("password"), fields.get("again"));
    let wrong = |why: String| (StatusCode::UNPROCESSABLE_ENTITY, why);
    password::check(new, again).map_err(|why| wrong(why.to_string()))?;
    let folders = folders(fields.get("folders")).map_err(wrong)?;
    let hash = site.hasher.hash(Zeroizing::new(new.to_owned())).await.map_err(|password::Busy| {
        (StatusCode::SERVICE_UNAVAILABLE, "this machine is busy; try again".to_owned())
    })?;
    // Hashing took a while: someone else may have been first.
    let failed = |why: crate::node::NodeError| (StatusCode::INTERNAL_SERVER_ERROR, why.to_string());
    let before = site.entry().await.map_err(failed)?;
    if before.password.is_some() {
        return Ok(Redirect::to("/login").into_response());
    }
    let mut entry = PageEntry {
        password: Some(hash),
        audience: audience(fields, place),
        folders,
        seal: Some(account::seal()?),
        onion: site.page.onion,
        ..before
    };
    onion::prepare(&mut entry).map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()))?;
    site.keep(entry.clone()).await.map_err(failed)?;
    site.onion.look_again();
    Ok(account::welcome(site, &entry, None, "/?said=welcome"))
}

/// Who may see what, as the form says it. Whoever asks from the local network cannot shut it out by mistake.
pub(super) fn audience(fields: &Fields, place: Place) -> Audience {
    match (fields.get("audience"), place) {
        ("figures", _) => Audience::Figures,
        ("password", _) | (_, Place::Lan(_)) => Audience::Password,
        _ => Audience::Machine,
    }
}

/// The folders of a form, one a line.
pub(super) fn folders(text: &str) -> Result<Vec<PathBuf>, String> {
    let mut folders = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let folder = PathBuf::from(line);
        if !folder.is_absolute() {
            return Err(format!("\"{line}\" is no whole path; it starts with a slash, such as /srv/files"));
        }
        if folder == Path::new("/") {
            return Err("the whole system is too much; name the folders with the files to share".to_owned());
        }
        if !folder.is_dir() {
            return Err(format!(
                "there is no folder \"{line}\", or the node may not see it; create it first"
            ));
        }
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    if folders.len() > MAX_FOLDERS {
        return Err(format!("{MAX_FOLDERS} folders are the limit; name a folder above them"));
    }
    Ok(folders)
}

/// Mounted disks that can be written, one a line.
fn proposal(disks: &[Disk]) -> String {
    let writable = disks.iter().filter(|disk| !disk.read_only);
    writable.map(|disk| disk.at.display().to_string()).collect::<Vec<_>>().join("\n")
}

fn form(token: &str, draft: &Draft, disks: &[Disk], why: Option<&str>) -> Markup {
    html! {
        section class="narrow" {
            h1 { "Welcome to your node" }
            p class="quiet" { "Three questions, then it is yours. All of this can be changed later." }
            (fault(why))
            form method="post" action="/first" autocomplete="off" {
                input type="hidden" name="token" value=(token);
                fieldset {
                    legend { "1. A password for this page" }
                    (password_fields("password"))
                }
                fieldset {
                    legend { "2. Who may see it" }
                    (audience_choice(draft.audience, draft.from_lan))
                }
                fieldset {
                    legend { "3. Where files may lie" }
                    (folder_choice(draft, disks))
                }
                p class="quiet" {
                    "Everything the node knows lies in memory and is gone after a power cut, unless it is told to keep it."
                }
                p { button type="submit" class="main" { "Begin" } }
            }
        }
    }
}

/// A new password, typed twice.
pub(super) fn password_fields(name: &str) -> Markup {
    let hint =
        format!("At least {} characters; a few words in a row are easy to remember.", password::SHORTEST);
    html! {
        (field(name, "New password", &hint, &html! {
            input id=(name) name=(name) type="password" required autocomplete="new-password"
                minlength=(password::SHORTEST) maxlength=(password::LONGEST) aria-describedby={ (name) "-hint" };
        }))
        (field("again", "The same again", "", &html! {
            input id="again" name="again" type="password" required autocomplete="new-password"
                minlength=(password::SHORTEST) maxlength=(password::LONGEST);
        }))
    }
}

/// Three choices of who may see what.
pub(super) fn audience_choice(chosen: Audience, from_lan: bool) -> Markup {
    let choices = [
        ("machine", Audience::Machine, "Only this machine", "The local network does not see the page."),
        (
            "figures",
            Audience::Figures,
            "Figures for the local network",
            "Without names or links; all else needs the password.",
        ),
        (
            "password",
            Audience::Password,
            "The local network, with the password",
            "Without it, nothing is shown.",
        ),
    ];
    html! {
        @for (value, audience, label, hint) in choices.into_iter().skip(usize::from(from_lan)) {
            div class="choice" {
                input type="radio" name="audience" value=(value) id={ "audience-" (value) }
                    checked[audience == chosen] aria-describedby={ "audience-" (value) "-hint" };
                div {
                    label for={ "audience-" (value) } { (label) }
                    small id={ "audience-" (value) "-hint" } { (hint) }
                }
            }
        }
    }
}

/// Folders, one a line, with the mounted disks as a hint.
pub(super) fn folder_choice(draft: &Draft, disks: &[Disk]) -> Markup {
    html! {
        @if draft.folders_fixed {
            p { "The configuration names the folders; they cannot be changed here." }
        } @else {
            (field("folders", "Folders, one a line", "Only what lies in them can be shared, and fetched files go nowhere else.", &html! {
                textarea id="folders" name="folders" rows="3" spellcheck="false" aria-describedby="folders-hint" { (draft.folders) }
            }))
            @if !disks.is_empty() {
                ul class="hints" aria-label="Mounted disks" {
                    @for disk in disks {
                        li {
                            code { (disk.at.display()) } " "
                            small { (size(disk.free)) " free of " (size(disk.size)) @if disk.read_only { ", read-only" } }
                        }
                    }
                }
            }
        }
    }
}
