//! Messages between nodes: what came, what waits, and writing one.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::Frame;
use super::guard::Fields;
use super::layout::{badge, fault, field, heading, plural, section};
use super::site::Shared;
use super::trust::short;
use super::visitor::Visitor;
use crate::node::{InLetter, OutLetter, SendRequest};
use crate::status::Status;
use crate::words::span;

/// Bytes of a message at most, as the post takes them.
const LONGEST: usize = 4_096;

/// What the page shows besides the status.
#[derive(Clone, Debug, Default)]
pub(super) struct Letters {
    pub(super) inbox: Vec<InLetter>,
    pub(super) outbox: Vec<OutLetter>,
    /// Seconds since 1970.
    pub(super) now_s: u64,
    /// What was being written when something went wrong.
    pub(super) to: String,
    pub(super) text: String,
    pub(super) fault: Option<String>,
}

/// `GET /messages`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&site.node.status(), &letters(&site).await, &frame).into_string())
}

/// `POST /messages/send`: the message is in the outbox when the next page comes.
pub(super) async fn send(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let (to, text) = (fields.get("to").trim().to_owned(), fields.get("text").to_owned());
    let request = SendRequest { to: to.clone(), text: text.clone(), wait: false };
    let Err(why) = site.node.send(request).await else {
        return Redirect::to("/messages?said=sent").into_response();
    };
    let letters = Letters { to, text, fault: Some(why.to_string()), ..letters(&site).await };
    let page = page(&site.node.status(), &letters, &Frame::of(&site, &visitor, &uri));
    (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
}

/// `POST /messages/discard`
pub(super) async fn discard(State(site): State<Shared>, Extension(fields): Extension<Fields>) -> Redirect {
    if let Ok(number) = fields.get("number").parse() {
        _ = site.node.discard(number).await; // gone already is as good
    }
    Redirect::to("/messages?said=done")
}

async fn letters(site: &Shared) -> Letters {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Letters {
        inbox: site.node.inbox().await.unwrap_or_default(),
        outbox: site.node.outbox().await.unwrap_or_default(),
        now_s: now.as_secs(),
        ..Letters::default()
    }
}

/// The page, as a pure function of the letters.
pub(super) fn page(status: &Status, letters: &Letters, frame: &Frame) -> Markup {
    frame.page(
        "Messages",
        "/messages",
        &html! {
            (heading("Messages", &frame.watch("/messages")))
            (fault(letters.fault.as_deref()))
            (section("inbox", "Inbox", letters.inbox.len(), &html! {
                @if letters.inbox.is_empty() { p class="empty" { "Nothing came yet." } }
                @for letter in letters.inbox.iter().rev() { (came(letter, letters.now_s, frame)) }
            }))
            @if !letters.outbox.is_empty() {
                (section("outbox", "On its way", letters.outbox.len(), &html! {
                    @for letter in letters.outbox.iter().rev() { (waits(letter)) }
                }))
            }
            (write(status, letters, frame))
        },
    )
}

fn came(letter: &InLetter, now_s: u64, frame: &Frame) -> Markup {
    let who = letter.name.clone().unwrap_or_else(|| short(&letter.peer));
    html! {
        article class="card" {
            header {
                h3 { @if letter.undelivered { "To " (who) } @else { (who) } }
                @if letter.undelivered { (badge("bad", "not delivered")) }
                @else { small { (span(now_s.saturating_sub(letter.at_s))) " ago" } }
            }
            @if letter.undelivered { p class="notice bad" { "It could not be delivered within a day, and is given up." } }
            p class="text" { (letter.text) }
            div class="actions" {
                @if let Some(link) = &letter.link {
                    (frame.form("/fetches/new", "inline", &html! {
                        input type="hidden" name="link" value=(link);
                        button type="submit" { "Fetch what it links to" }
                    }))
                }
                (frame.form("/messages/discard", "inline", &html! {
                    input type="hidden" name="number" value=(letter.number);
                    button type="submit" class="link" aria-label={ "Throw away the message of " (who) } { "Throw away" }
                }))
            }
        }
    }
}

fn waits(letter: &OutLetter) -> Markup {
    let who = letter.name.clone().unwrap_or_else(|| short(&letter.peer));
    html! {
        article class="card" {
            header {
                h3 { "To " (who) }
                @if letter.next_s.is_some() { (badge("warn", "waiting")) } @else { (badge("busy", "sending")) }
            }
            p class="text" { (letter.text) }
            p class="line" {
                span { (span(letter.age_s)) " old" }
                @if letter.failures > 0 { span { (plural(u64::from(letter.failures), "try failed", "tries failed")) } }
                @if let Some(next) = letter.next_s { span { "next try in " (span(next)) } }
            }
        }
    }
}

fn write(status: &Status, letters: &Letters, frame: &Frame) -> Markup {
    html! {
        @if frame.token.is_some() {
            section aria-labelledby="write-title" {
                h2 id="write-title" { "Write" }
                (frame.form("/messages/send", "card", &html! {
                    (field("to", "To", "The name of a trusted node, or an onion address.", &html! {
                        input id="to" name="to" required list="names" spellcheck="false" autocapitalize="off" value=(letters.to) aria-describedby="to-hint";
                        datalist id="names" {
                            @for name in status.trust.nodes.iter().filter_map(|node| node.name.as_ref()) { option value=(name) {} }
                        }
                    }))
                    (field("text", "Message", "A link in it can be fetched with one click.", &html! {
                        textarea id="text" name="text" rows="4" required maxlength=(LONGEST) aria-describedby="text-hint" { (letters.text) }
                    }))
                    p { button type="submit" class="main" { "Send" } }
                }))
            }
        }
    }
}
