//! What a power cut would cost, and a keep file against it.

use std::path::PathBuf;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::folders::Choice;
use super::frame::Frame;
use super::guard::Fields;
use super::layout::{fault, field};
use super::looks::Looks;
use super::question::{self, Question};
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
    let frame = Frame::of(&site, &visitor, &uri);
    let done = match fields.get("do") {
        "here" => keep_here(&site, &fields).await,
        "download" => download(&site, &fields).await,
        "stop" if !question::is_answered(&fields) => {
            return Html(stopping(&site.node.status().keep, &frame).into_string()).into_response();
        }
        "stop" => {
            let stopped = site.node.keep_nowhere().await.map_err(|why| why.to_string());
            stopped.map(|()| Redirect::to("/settings?said=unkept").into_response())
        }
        _ => Err("this page cannot do that; nothing was changed".to_owned()),
    };
    match done {
        Ok(response) => response,
        Err(why) => {
            let fault = (StatusCode::UNPROCESSABLE_ENTITY, why);
            settings::again(&site, &visitor, &fields, &uri, fault).await
        }
    }
}

async fn keep_here(site: &Shared, fields: &Fields) -> Result<Response, String> {
    let (file, passphrase) = read(fields, &site.looks).await?;
    site.node.keep_to(file, passphrase).await.map_err(|why| why.to_string())?;
    Ok(Redirect::to("/settings?said=kept").into_response())
}

async fn download(site: &Shared, fields: &Fields) -> Result<Response, String> {
    let bytes = site.node.keep(passphrase(fields)?).await.map_err(|why| why.to_string())?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{NAME}\"")),
    ];
    Ok((headers, bytes).into_response())
}

/// The path and the passphrase of a form.
pub(super) async fn read(fields: &Fields, looks: &Looks) -> Result<(PathBuf, Passphrase), String> {
    let file = PathBuf::from(fields.get("keep-file").trim());
    let folder = file.parent().filter(|_| file.is_absolute());
    let Some(folder) = folder else {
        return Err(format!("name the whole path of the keep file, such as /mnt/usb/{NAME}"));
    };
    let there = {
        let folder = folder.to_owned();
        looks.read(&file, move || folder.is_dir()).await
    };
    if !there.map_err(|silent| format!("\"{}\" cannot be looked at: {silent}", folder.display()))? {
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

/// The question before the node keeps itself no more.
pub(super) fn stopping(keep: &Keep, frame: &Frame) -> Markup {
    let question = Question {
        title: "Stop keeping?",
        here: "/settings",
        action: "/settings/keep",
        fields: &[("do", "stop")],
        yes: "Stop keeping now",
        no: ("Go on keeping", "/settings"),
    };
    let cost = html! {
        p { "What changes from now on is saved to no file by itself, and is gone when the power goes. The keep file stays where it is; delete it yourself if it should not." }
        p class="quiet" { "Where the configuration names a keep file, the next start begins to keep again." }
        @if !keep.would_lose.is_empty() { p class="notice warn" { "Not saved yet: " (keep.would_lose) "." } }
    };
    question.page(&cost, frame)
}

/// The section of the settings. `draft`: the path of a form that went wrong.
pub(super) fn part(keep: &Keep, folders: &Choice, draft: Option<&str>, frame: &Frame) -> Markup {
    let proposed = || folders.disk().map(|disk| disk.at.join(NAME).display().to_string()).unwrap_or_default();
    let file = draft.map_or_else(proposed, str::to_owned);
    html! {
        section aria-labelledby="keep-title" {
            h2 id="keep-title" { "What survives a power cut" }
            @if keep.automatic {
                p { "This node keeps itself: changes are saved to its keep file by themselves." }
                (frame.form("/settings/keep", "actions", &html! {
                    button type="submit" name="do" value="stop" class="link" { "Stop keeping" }
                }))
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
