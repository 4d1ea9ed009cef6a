//! What a power cut would cost, and a keep file against it.

use std::path::PathBuf;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::folders::Choice;
use super::frame::Frame;
use super::guard::Fields;
use super::layout::{fault, field};
use super::settings;
use super::site::Shared;
use super::visitor::Visitor;
use crate::keep::{MIN_PASSPHRASE, Passphrase};
use crate::status::Keep;
use crate::words::span;

/// What a keep file is called.
pub(super) const NAME: &str = "bulbil.keep";

/// What the first run says about it.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// Whether a keep file is wanted.
    pub(super) wanted: bool,
    pub(super) file: String,
    /// Whether the configuration names one already.
    pub(super) automatic: bool,
}

/// `POST /settings/keep`: a keep file, for the browser to put away, or one that the node writes by itself from now on.
pub(super) async fn save(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let wrong = |why: String| settings::again(&site, &visitor, &uri, (StatusCode::UNPROCESSABLE_ENTITY, why));
    if fields.get("do") == "here" {
        let (file, passphrase) = match read(&fields) {
            Ok(read) => read,
            Err(why) => return wrong(why),
        };
        return match site.node.keep_to(file, passphrase).await {
            Ok(()) => Redirect::to("/settings?said=kept").into_response(),
            Err(why) => wrong(why.to_string()),
        };
    }
    let passphrase = match passphrase(&fields) {
        Ok(passphrase) => passphrase,
        Err(why) => return wrong(why),
    };
    match site.node.keep(passphrase).await {
        Ok(bytes) => {
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{NAME}\"")),
            ];
            (headers, bytes).into_response()
        }
        Err(why) => wrong(why.to_string()),
    }
}

/// The path and the passphrase of a form.
pub(super) fn read(fields: &Fields) -> Result<(PathBuf, Passphrase), String> {
    let file = PathBuf::from(fields.get("keep-file").trim());
    let folder = file.parent().filter(|_| file.is_absolute());
    let Some(folder) = folder else {
        return Err(format!("name the whole path of the keep file, such as /mnt/usb/{NAME}"));
    };
    if !folder.is_dir() {
        return Err(format!(
            "there is no folder \"{}\" for the keep file; create it first",
            folder.display()
        ));
    }
    Ok((file, passphrase(fields)?))
}

fn passphrase(fields: &Fields) -> Result<Passphrase, String> {
    if fields.get("passphrase") != fields.get("once-more") {
        return Err("the two passphrases differ; type the same one twice".to_owned());
    }
    Passphrase::to_seal(fields.get("passphrase")).map_err(|why| why.to_string())
}

/// Forget everything, or keep it in a file: the question of the first run.
pub(super) fn choice(draft: &Draft) -> Markup {
    html! {
        @if draft.automatic {
            p { "The configuration names a keep file: what this node knows is saved to it by itself." }
        } @else {
            (option("memory", "Forget everything", !draft.wanted, "Everything is in memory. When the power goes, this node's address, its links, friends and messages are gone for good; files on disks stay."))
            (option("file", "Keep it in a sealed file", draft.wanted, "The node saves itself to a file on a disk, and can be brought back from it with the passphrase."))
            div class="only-file" {
                (fields(&draft.file, false))
                p class="notice warn" { "Write the passphrase down. Without it nobody can open the file, not even you." }
            }
        }
    }
}

fn option(value: &str, label: &str, chosen: bool, hint: &str) -> Markup {
    html! {
        div class="choice" {
            input type="radio" name="keep" value=(value) id={ "keep-" (value) } checked[chosen] aria-describedby={ "keep-" (value) "-hint" };
            div { label for={ "keep-" (value) } { (label) } small id={ "keep-" (value) "-hint" } { (hint) } }
        }
    }
}

fn fields(file: &str, required: bool) -> Markup {
    html! {
        (field("keep-path", "File", "On a disk that stays when the power goes.", &html! {
            input id="keep-path" name="keep-file" value=(file) spellcheck="false" autocapitalize="off" aria-describedby="keep-path-hint";
        }))
        (field("passphrase", "Passphrase of the file", &format!("At least {MIN_PASSPHRASE} characters. Without it nobody can open the file, not even you."), &html! {
            input id="passphrase" name="passphrase" type="password" required[required] minlength=(MIN_PASSPHRASE) autocomplete="new-password" aria-describedby="passphrase-hint";
        }))
        (field("once-more", "The passphrase again", "", &html! {
            input id="once-more" name="once-more" type="password" required[required] minlength=(MIN_PASSPHRASE) autocomplete="new-password";
        }))
    }
}

/// What the overview says of it: nothing where nothing would be lost.
pub(super) fn hint(keep: &Keep) -> Markup {
    html! {
        @if let Some(why) = &keep.failed { p class="notice bad" role="alert" { (why) } }
        @else if !keep.automatic && !keep.would_lose.is_empty() {
            p class="notice" {
                "All this lies in memory. If the power went now, this would be gone: " (keep.would_lose) ". "
                a href="/settings#keep-title" { "Keep it" }
            }
        }
    }
}

/// The section of the settings.
pub(super) fn part(keep: &Keep, folders: &Choice, frame: &Frame) -> Markup {
    let file = folders.disk().map(|disk| disk.at.join(NAME).display().to_string()).unwrap_or_default();
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
                (fields(&file, true))
                div class="actions" {
                    button type="submit" name="do" value="download" class="main" { "Download a keep file" }
                    button type="submit" name="do" value="here" { "Keep it there by itself from now on" }
                }
                p { small { "It holds this node's keys, links and friends, sealed in the age format. " code { "bulbil keep restore" } ", or the page of a new node, brings them back, here or on another board. A download needs no path." } }
            }))
        }
    }
}
