//! The last lines of the log, scrubbed.

use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use maud::{Markup, html};

use super::frame::Frame;
use super::layout::{badge, heading, list, plural};
use super::site::Shared;
use super::visitor::Visitor;
use crate::logger::{self, Line};
use crate::words::span;

/// `GET /log`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    Html(page(&logger::recent(), &Frame::of(&site, &visitor, &uri)).into_string())
}

/// `GET /log.json`
pub(super) async fn data() -> Response {
    Json(logger::recent()).into_response()
}

/// The page, as a pure function of the lines; newest first.
pub(super) fn page(lines: &[Line], frame: &Frame) -> Markup {
    frame.page("Log", "/log", &html! {
        (heading("Log", &frame.watch("/log")))
        p class="quiet" { "The last " (plural(lines.len() as u64, "line", "lines")) ". Names, addresses and paths are left out." }
        @if lines.is_empty() { p class="empty" { "Nothing was logged yet." } }
        @else {
            (list("Log", true, ["After", "Level", "What"], lines.iter().rev().map(|line| [
                html! { (span(line.after_s)) },
                level(line.level.trim()),
                html! { (line.text) },
            ])))
        }
    })
}

fn level(level: &str) -> Markup {
    match level {
        "error" => badge("bad", level),
        "warn" => badge("warn", level),
        _ => html! { (level) },
    }
}
