//! The machine around the node: what became of its settings file, its network, what the process gave up, and power.

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{badge, heading, table};
use super::site::Shared;
use super::visitor::Visitor;
use crate::power::{self, Power};
use crate::status::Status;
use crate::status::board::{Board, Verdict};
use crate::status::hardening;
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

/// `POST /machine/power`
pub(super) async fn switch(State(site): State<Shared>, Extension(fields): Extension<Fields>) -> Response {
    let (wanted, words) = match fields.get("do") {
        "off" => (
            Power::Off,
            "The board switches itself off. Wait until its light stays out before you cut the power.",
        ),
        "reboot" => (Power::Reboot, "The board starts anew. The page is back in a minute or so."),
        _ => return Redirect::to("/machine").into_response(),
    };
    if !power::is_offered() {
        return Redirect::to("/machine").into_response();
    }
    power::ask(wanted);
    let node = site.node.clone();
    // The answer goes out first: the page stops with the node.
    tokio::spawn(async move { node.stop().await });
    let body = html! { section { h1 { "Good-bye" } p { (words) } p { a href="/" { "Back to the page" } } } };
    Html(frame::alone("Good-bye", &body).into_string()).into_response()
}

/// The page, as a pure function of the status.
pub(super) fn page(status: &Status, has_power: bool, frame: &Frame) -> Markup {
    frame.page("Machine", "/machine", &html! {
        (heading("Machine", &html! {}))
        @if let Some(board) = &status.board { (of_board(board)) }
        @if has_power {
            section aria-labelledby="power-title" {
                h2 id="power-title" { "Power" }
                p class="quiet" { "What was not kept is gone afterwards: " (status.keep.would_lose) "." }
                (frame.form("/machine/power", "actions", &html! {
                    button type="submit" name="do" value="reboot" { "Start anew" }
                    button type="submit" name="do" value="off" class="danger" { "Switch off" }
                }))
            }
        }
        section aria-labelledby="harden-title" {
            h2 id="harden-title" { "What the program gave up" }
            p class="quiet" { "So that a mistake in it can do less harm." }
            (table("What the program gave up", &html! {
                thead { tr { th scope="col" { "What" } th scope="col" { "State" } th scope="col" { "Why" } } }
                tbody { @for measure in &status.hardening { tr {
                    th scope="row" { (measure.name.replace('_', " ")) }
                    td { (state(measure.state)) }
                    td { (measure.why) }
                } } }
            }))
        }
    })
}

fn of_board(board: &Board) -> Markup {
    html! {
        dl class="figures" {
            div { dt { "Image" } dd { (board.image) } }
            div { dt { "Name" } dd { (board.name) } }
            div { dt { "Memory" } dd { (size(board.available)) " free of " (size(board.memory)) } }
        }
        section aria-labelledby="links-title" {
            h2 id="links-title" { "Network" }
            (table("Network", &html! {
                thead { tr { th scope="col" { "Interface" } th scope="col" { "Address" } th scope="col" { "State" } } }
                tbody { @for link in &board.links { tr {
                    th scope="row" { (link.interface) }
                    td { (link.address.as_deref().unwrap_or("none")) }
                    td { (link.doing) }
                } } }
            }))
        }
        section aria-labelledby="notes-title" {
            h2 id="notes-title" { "Settings on the card" }
            @if board.notes.is_empty() { p class="empty" { "bulbil.toml says nothing; everything is as it comes." } }
            @else {
                (table("Settings on the card", &html! {
                    thead { tr { th scope="col" { "Key" } th scope="col" { "Understood" } th scope="col" { "Why" } } }
                    tbody { @for note in &board.notes { tr {
                        th scope="row" { code { (note.key) } }
                        td { (verdict(note.verdict)) }
                        td { (note.why) }
                    } } }
                }))
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
