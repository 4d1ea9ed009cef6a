//! The folders that the owner allowed, to choose from what to share, in place.

use std::path::{Path, PathBuf};

use axum::Extension;
use axum::extract::{Path as Number, State};
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Redirect, Response};
use futures::future::join_all;
use maud::{Markup, html};

use super::browse::{self, Listing};
use super::folders;
use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{badge, fault, heading, table};
use super::looks::Silent;
use super::shares;
use super::site::{Shared, Site};
use super::visitor::Visitor;
use crate::state::{MAX_FOLDERS, PageEntry};
use crate::sys::disks::{self, Disk};
use crate::sys::mount;
use crate::words::size;

/// The allowed folders, as pages show them.
#[derive(Clone, Debug, Default)]
pub(super) struct Root {
    pub(super) number: u64,
    pub(super) path: String,
    /// Whether it is the one in memory.
    pub(super) memory: bool,
    pub(super) room: Room,
}

/// What is known of the room in a folder.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Room {
    /// Bytes that may still be written there.
    Free(u64),
    /// It is not there, or not to be looked at.
    #[default]
    Gone,
    /// Its disk does not answer.
    Silent,
}

/// One folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Folder {
    number: u64,
    path: String,
    /// The folder above, if that is allowed too.
    above: Option<u64>,
    listing: Listing,
    /// Numbers of the folders in it, in the order of the listing.
    numbers: Vec<u64>,
    fault: Option<String>,
}

/// The folders from which and into which things may go: of the configuration, else of the owner's choice.
pub(super) fn roots(site: &Site, visitor: &Visitor) -> Vec<PathBuf> {
    if site.allowed.is_empty() { visitor.entry.folders.clone() } else { site.allowed.clone() }
}

/// The same, as pages show them.
pub(super) async fn shown_roots(site: &Site, visitor: &Visitor) -> Vec<Root> {
    let look = |path: PathBuf| async move {
        let place = path.clone();
        let room = match site.looks.glance(&path, move || mount::free(&place)).await {
            Ok(Ok(free)) => Room::Free(free),
            Ok(Err(_)) => Room::Gone,
            Err(Silent) => Room::Silent,
        };
        (path, room)
    };
    let looked = join_all(roots(site, visitor).into_iter().map(look)).await;
    let mut folders = site.folders();
    let shown = |(path, room): (PathBuf, Room)| Root {
        number: folders.number(&path),
        path: path.display().to_string(),
        memory: path == site.downloads(),
        room,
    };
    looked.into_iter().map(shown).collect()
}

/// `GET /files`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    let roots = shown_roots(&site, &visitor).await;
    Html(page(&roots, &site.looks.disks().await, !site.allowed.is_empty(), &frame).into_string())
}

/// `POST /files/allow`: a mounted disk joins the allowed folders.
pub(super) async fn allow(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let disk = disks::listed().into_iter().find(|disk| disk.at.as_os_str() == fields.get("disk"));
    if let Some(disk) = disk.filter(|_| site.allowed.is_empty()) {
        let change = move |entry: &mut PageEntry| {
            if entry.folders.len() < MAX_FOLDERS && !entry.folders.contains(&disk.at) {
                entry.folders.push(disk.at);
            }
        };
        if let Err(why) = site.change(&visitor.entry, change).await {
            return shares::answer(&site, &visitor, &uri, Err(why));
        }
    }
    Redirect::to("/files?said=saved").into_response()
}

/// `GET /files/{number}`
pub(super) async fn open(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Number(number): Number<u64>,
    uri: Uri,
) -> Response {
    let Some(path) = site.folders().path(number) else { return frame::missing() };
    let (roots, place) = (roots(&site, &visitor), path.clone());
    let looked = site.looks.read(&path, move || {
        let real = browse::allowed(&roots, &place)?;
        let above = real.parent().and_then(|above| browse::allowed(&roots, above));
        Some((browse::list(&real), real, above))
    });
    let (listing, path, above) = match looked.await {
        Ok(Some(looked)) => looked,
        Ok(None) => return frame::missing(),
        Err(silent) => (Err(std::io::Error::other(silent)), path, None),
    };
    let folder = {
        let mut folders = site.folders();
        folder(&mut folders, &path, above.as_deref(), listing)
    };
    let frame = Frame::of(&site, &visitor, &uri);
    Html(folder_page(&folder, &frame).into_string()).into_response()
}

fn folder(
    folders: &mut browse::Folders,
    path: &Path,
    above: Option<&Path>,
    listing: std::io::Result<Listing>,
) -> Folder {
    let fault = listing.as_ref().err().map(|why| format!("this folder cannot be read: {why}"));
    let listing = listing.unwrap_or_default();
    let inner = listing.entries.iter().filter(|entry| entry.folder);
    Folder {
        numbers: inner.map(|entry| folders.number(&path.join(&entry.name))).collect(),
        number: folders.number(path),
        above: above.map(|above| folders.number(above)),
        path: path.display().to_string(),
        listing,
        fault,
    }
}

/// Where one may start. `fixed`: the configuration names the folders.
pub(super) fn page(roots: &[Root], disks: &[Disk], fixed: bool, frame: &Frame) -> Markup {
    let others: Vec<_> = disks
        .iter()
        .filter(|disk| !roots.iter().any(|root| disk.at.as_os_str() == root.path.as_str()))
        .collect();
    frame.page("Files", "/files", &html! {
        (heading("Files", &html! {}))
        p class="quiet" { "Open a folder to choose what to share, or where to fetch to. Shared files stay where they are and are read from there; nothing is copied." }
        @if roots.is_empty() {
            p class="empty" { "No folder is allowed yet. " a href="/settings" { "Choose some in the settings" } @if !others.is_empty() { ", or allow a disk below" } "." }
        } @else {
            (table("Allowed folders", &html! {
                thead { tr { th scope="col" { "Folder" } th scope="col" class="number" { "Free" } } }
                tbody { @for root in roots { tr {
                    th scope="row" {
                        @if root.memory { a href={ "/files/" (root.number) } { "In memory" } br; small { "Gone after a power cut." } }
                        @else { a href={ "/files/" (root.number) } { (root.path) } }
                    }
                    td class="number" { @match root.room {
                        Room::Free(free) => (size(free)),
                        Room::Gone => (badge("warn", "not there")),
                        Room::Silent => (badge("bad", "does not answer")),
                    } }
                } } }
            }))
        }
        @if !others.is_empty() {
            section aria-labelledby="disks-title" {
                h2 id="disks-title" { "Other disks" }
                (disk_table(&others, fixed, frame))
            }
        }
    })
}

fn disk_table(disks: &[&Disk], fixed: bool, frame: &Frame) -> Markup {
    table(
        "Other disks",
        &html! {
            thead { tr {
                th scope="col" { "Mounted at" } th scope="col" { "Kind" }
                th scope="col" class="number" { "Free" } th scope="col" class="number" { "Size" }
                @if !fixed { th scope="col" { span class="hidden" { "Allow" } } }
            } }
            tbody { @for disk in disks { tr {
                th scope="row" { (disk.at.display()) }
                td { (disk.kind) (folders::limits(disk)) }
                td class="number" { @if !disk.silent { (size(disk.free)) } }
                td class="number" { @if !disk.silent { (size(disk.size)) } }
                @if !fixed { td class="number" {
                    (frame.form("/files/allow", "inline", &html! {
                        input type="hidden" name="disk" value=(disk.at.display());
                        button type="submit" aria-label={ "Use " (disk.at.display()) } { "Use it" }
                    }))
                } }
            } } }
        },
    )
}

/// What lies in a folder.
fn folder_page(folder: &Folder, frame: &Frame) -> Markup {
    frame.page("Files", "/files", &html! {
        (heading("Files", &html! {
            @if let Some(above) = folder.above { a href={ "/files/" (above) } { "Folder above" } }
            @else { a href="/files" { "All folders" } }
        }))
        p class="path" { code { (folder.path) } }
        (fault(folder.fault.as_deref()))
        div class="actions" {
            (share_button(frame, &folder.path, "Share this whole folder"))
            @if frame.token.is_some() { a class="button" href={ "/fetches/new/" (folder.number) } { "Fetch into this folder" } }
        }
        @if folder.listing.entries.is_empty() && folder.fault.is_none() { p class="empty" { "Nothing in here." } }
        @else { (entries(folder, frame)) }
        @if folder.listing.more > 0 {
            p class="quiet" { (folder.listing.more) " more are not shown." }
        }
    })
}

fn entries(folder: &Folder, frame: &Frame) -> Markup {
    let mut numbers = folder.numbers.iter();
    table(
        "Files and folders",
        &html! {
            thead { tr {
                th scope="col" { "Name" } th scope="col" class="number" { "Size" } th scope="col" { span class="hidden" { "Share" } }
            } }
            tbody { @for entry in &folder.listing.entries { tr {
                th scope="row" {
                    @if entry.folder {
                        a href={ "/files/" (numbers.next().copied().unwrap_or_default()) } { (entry.name) "/" }
                    } @else { (entry.name) }
                }
                td class="number" { @if !entry.folder { (size(entry.size)) } }
                td class="number" { (share_button(frame, &format!("{}/{}", folder.path.trim_end_matches('/'), entry.name), "Share")) }
            } } }
        },
    )
}

fn share_button(frame: &Frame, path: &str, words: &str) -> Markup {
    let name = path.rsplit('/').next().unwrap_or_default();
    frame.form(
        "/shares/new",
        "inline",
        &html! {
            input type="hidden" name="path" value=(path);
            button type="submit" aria-label=[(words == "Share").then(|| format!("Share {name}"))] { (words) }
        },
    )
}
