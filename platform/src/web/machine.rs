//! The machine around the node: its network, what the process gave up, and power.

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{badge, heading, list, plural};
use super::question::{self, Question};
use super::site::Shared;
use super::visitor::Visitor;
use crate::power::{self, Power};
use crate::status::board::{Board, Note, Verdict};
use crate::status::hardening;
use crate::status::{FetchState, Status};
use crate::words::size;

/// `GET /machine`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&site.node.status(), power::is_offered(), &frame).into_string())
}

/// `POST /machine/power`: asks first, then does it.
pub(super) async fn switch(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let (wanted, words) = match fields.get("do") {
        "off" => (
            Power::Off,
            "The board switches itself off. Wait until its light stays out before you cut the power.",
        ),
        "reboot" => (Power::Reboot, "The board starts again. The page is back in a minute or so."),
        _ => return Redirect::to("/machine").into_response(),
    };
    if !power::is_offered() {
        return Redirect::to("/machine").into_response();
    }
    if !question::is_answered(&fields) {
        let frame = Frame::of(&site, &visitor, &uri);
        return Html(sure(wanted, &site.node.status(), &frame).into_string()).into_response();
    }
    power::ask(wanted);
    let node = site.node.clone();
    // The answer goes out first: the page stops with the node.
    tokio::spawn(async move { node.stop().await });
    let body = html! { section { h1 { "Good-bye" } p { (words) } p { a href="/" { "Back to the page" } } } };
    Html(frame::alone("Good-bye", &body).into_string()).into_response()
}

/// The question before the power goes.
pub(super) fn sure(wanted: Power, status: &Status, frame: &Frame) -> Markup {
    let (title, code, words) = match wanted {
        Power::Off => ("Switch off?", "off", "Switch off now"),
        Power::Reboot => ("Start again?", "reboot", "Start again now"),
    };
    let running = status.fetches.iter().filter(|fetch| !is_over(&fetch.state)).count();
    let question = Question {
        title,
        here: "/machine",
        action: "/machine/power",
        fields: &[("do", code)],
        yes: words,
        no: ("Leave it on", "/machine"),
    };
    question.page(&html! {
        @if !status.keep.would_lose.is_empty() {
            p class="notice warn" role="alert" {
                "This is kept nowhere and would be gone for good: " (status.keep.would_lose) ". "
                a href="/settings#keep-title" { "Keep it first" }
            }
        }
        @if running > 0 { p { (plural(running as u64, "fetch is", "fetches are")) " not done yet; what is on a disk already stays there." } }
        @if wanted == Power::Off { p { "To switch it on again, somebody has to cut the power and give it back." } }
        @else { p { "The page is away for a minute or so, and Tor for some more." } }
    }, frame)
}

const fn is_over(state: &FetchState) -> bool {
    matches!(state, FetchState::Done | FetchState::Failed(_))
}

/// The page, as a pure function of the status.
pub(super) fn page(status: &Status, has_power: bool, frame: &Frame) -> Markup {
    frame.page("Machine", "/machine", &html! {
        (heading("Machine", &html! {}))
        @if let Some(board) = &status.board { (of_board(board)) }
        @if has_power {
            section aria-labelledby="power-title" {
                h2 id="power-title" { "Power" }
                (frame.form("/machine/power", "actions", &html! {
                    button type="submit" name="do" value="reboot" { "Start again" }
                    button type="submit" name="do" value="off" class="danger" { "Switch off" }
                }))
            }
        }
        section aria-labelledby="harden-title" {
            h2 id="harden-title" { "Protection" }
            p class="quiet" { "What the program cannot do any more, so that a mistake in it can do less harm." }
            (list("Protection", false, ["What", "State", "What it means"], status.hardening.iter().map(|measure| [
                html! { (measure.name.replace('_', " ")) },
                state(measure.state),
                html! { (measure.why) },
            ])))
        }
    })
}

fn of_board(board: &Board) -> Markup {
    let wrong = || board.notes.iter().filter(|note| note.verdict == Verdict::Wrong);
    let mut files: Vec<&str> =
        wrong().map(|note| note.file.as_str()).filter(|file| !file.is_empty()).collect();
    files.sort_unstable();
    files.dedup();
    html! {
        @for file in files {
            p class="notice warn" {
                (plural(wrong().filter(|note| note.file == file).count() as u64, "line", "lines"))
                " of " (file) " could not be used. " a href="/settings#notes-title" { "See which" }
            }
        }
        // What stands in no file was found out meanwhile, and the words say what to do.
        @for note in wrong().filter(|note| note.file.is_empty()) {
            p class="notice warn" { (note.title()) ": " (note.why) }
        }
        dl class="figures" {
            div { dt { "Image" } dd { (board.image) } }
            div { dt { "Name" } dd { (board.name) } }
            div { dt { "Memory" } dd { (size(board.available)) " free of " (size(board.memory)) } }
        }
        section aria-labelledby="links-title" {
            h2 id="links-title" { "Network" }
            (list("Network", false, ["Interface", "Address", "State"], board.links.iter().map(|link| [
                html! { (link.interface) },
                html! { (link.address.as_deref().unwrap_or("none")) },
                html! { (link.doing) },
            ])))
        }
    }
}

/// What became of each key of the card's files: a section of the settings.
pub(super) fn notes(notes: &[Note]) -> Markup {
    html! {
        section aria-labelledby="notes-title" {
            h2 id="notes-title" { "Settings on the card" }
            @if notes.is_empty() { p class="empty" { "The files on the boot partition say nothing; everything is as it comes." } }
            @else {
                p class="quiet" { "What became of each line of bulbil.toml, and of Raspberry Pi Imager's files, on the boot partition. They are read when the board starts." }
                (list("Settings on the card", false, ["Key", "Used", "Why"], notes.iter().map(|note| [
                    html! { code { (note.title()) } },
                    verdict(note.verdict),
                    html! { (note.why) },
                ])))
            }
        }
    }
}

fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Understood => badge("good", "yes"),
        Verdict::Ignored => badge("warn", "ignored"),
        Verdict::Wrong => badge("bad", "wrong"),
    }
}

fn state(state: hardening::State) -> Markup {
    match state {
        hardening::State::On => badge("good", "in force"),
        hardening::State::Off => badge("warn", "not in force"),
        hardening::State::Absent => html! { "not known to this system" },
    }
}
