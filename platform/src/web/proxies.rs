//! What other programs use: listeners, what went through them, and a new identity.

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, Redirect};
use maud::{Markup, html};

use super::frame::Frame;
use super::layout::{badge, heading, plural, table};
use super::site::Shared;
use super::visitor::Visitor;
use crate::status::{Listener, ListenerState, Status};
use crate::words::size;

/// `GET /proxies`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    Html(page(&site.node.status(), &Frame::of(&site, &visitor, &uri)).into_string())
}

/// `POST /proxies/identity`
pub(super) async fn identity(State(site): State<Shared>) -> Redirect {
    match site.node.new_identity().await {
        Ok(_) => Redirect::to("/proxies?said=identity"),
        Err(_) => Redirect::to("/proxies"),
    }
}

/// The page, as a pure function of the status.
pub(super) fn page(status: &Status, frame: &Frame) -> Markup {
    let proxy = &status.proxy;
    frame.page("Proxies", "/proxies", &html! {
        (heading("Proxies", &html! {
            (frame.watch("/proxies"))
            (frame.button("/proxies/identity", "", "New identity"))
        }))
        p class="quiet" {
            (plural(u64::from(proxy.streams), "stream is", "streams are")) " open. "
            "A new identity closes them all, and nothing after it shares a circuit with what was before."
            @if proxy.identities > 0 { " Taken " (plural(proxy.identities, "time", "times")) " so far." }
        }
        @if proxy.listeners.is_empty() { p class="empty" { "None is open. The configuration opens them, under [proxy]." } }
        @else {
            (table("Listeners", &html! {
                thead { tr {
                    th scope="col" { "Kind" } th scope="col" { "Listens at" } th scope="col" { "State" }
                    th scope="col" class="number" { "Open" } th scope="col" class="number" { "Requests" }
                    th scope="col" class="number" { "Sent" } th scope="col" class="number" { "Received" } th scope="col" { "Failures" }
                } }
                tbody { @for listener in &proxy.listeners { (row(listener)) } }
            }))
        }
    })
}

fn row(listener: &Listener) -> Markup {
    html! {
        tr {
            th scope="row" class="short" { (listener.kind) }
            td { code { (listener.address) } }
            td {
                @match &listener.state {
                    ListenerState::Listening => (badge("good", "listening")),
                    ListenerState::Failed(why) => { (badge("bad", "failed")) br; small { (why) } }
                }
            }
            td class="number" { (listener.open) }
            td class="number" { (listener.requests) }
            td class="number" { (size(listener.up)) }
            td class="number" { (size(listener.down)) }
            td { @for (what, count) in &listener.errors { (count) " " (what.replace('_', " ")) br; } }
        }
    }
}
