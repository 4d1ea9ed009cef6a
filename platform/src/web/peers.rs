//! Whom we talk to, and whom no more.

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Html;
use maud::{Markup, html};

use super::frame::Frame;
use super::layout::{self, badge};
use super::site::Shared;
use super::visitor::Visitor;
use crate::status::{Dropped, Fetch, FetchState, Lane, Peer, Status};
use crate::words::{rate, size};

/// `GET /peers`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    Html(page(&site.node.status(), &Frame::of(&site, &visitor, &uri)).into_string())
}

/// The page, as a pure function of the status.
pub(super) fn page(status: &Status, frame: &Frame) -> Markup {
    frame.page(
        "Peers",
        "/peers",
        &html! {
            (layout::heading("Peers", &frame.watch("/peers")))
            (section(status))
        },
    )
}

/// Conversations and their lanes, then peers that were dropped.
pub(super) fn section(status: &Status) -> Markup {
    let peers = layout::section(
        "peers",
        "Conversations",
        status.peers.len(),
        &html! {
            @if status.peers.is_empty() { p class="empty" { "Nobody is connected." } }
            @else { (table(status)) }
        },
    );
    html! {
        (peers)
        @if !status.dropped.is_empty() {
            (layout::section("dropped", "Dropped", status.dropped.len(), &dropped(status)))
        }
    }
}

fn table(status: &Status) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Table of peers" {
            table {
                thead { tr {
                    th scope="col" { "Peer" }
                    th scope="col" { "Share" }
                    th scope="col" class="number" { "Has" }
                    th scope="col" class="number" { "From it" }
                    th scope="col" class="number" { "To it" }
                    th scope="col" { "Lanes" }
                } }
                tbody { @for peer in &status.peers { (row(status, peer)) } }
            }
        }
    }
}

fn row(status: &Status, peer: &Peer) -> Markup {
    // Who has everything asks for nothing, and is not kept waiting.
    let (refused, refuses) =
        (peer.chokes_us && !has_all(status, &peer.info_hash), peer.choked && peer.has_percent < 100);
    html! {
        tr {
            th scope="row" class="short" { "#" (peer.id) }
            td { (name(status, &peer.info_hash)) }
            td class="number" { (peer.has_percent) " %" }
            td class="number" { (size(peer.downloaded)) @if refused { " " (badge("warn", "paused")) } }
            td class="number" { (size(peer.uploaded)) @if refuses { " " (badge("warn", "paused")) } }
            td { ul class="lanes" { @for lane in &peer.lanes { (circuit(*lane)) } } }
        }
    }
}

/// Whether we have the whole share.
fn has_all(status: &Status, info_hash: &str) -> bool {
    let done =
        |fetch: &Fetch| fetch.state == FetchState::Done && fetch.info_hash.as_deref() == Some(info_hash);
    status.shares.iter().any(|share| share.info_hash == info_hash) || status.fetches.iter().any(done)
}

fn circuit(lane: Lane) -> Markup {
    html! {
        li {
            span { (rate(lane.rate)) }
            small {
                @if lane.rtt_ms == 0 { "new" } @else { (lane.rtt_ms) " ms" }
                ", " (lane.in_flight) "/" (lane.depth) " asked"
            }
        }
    }
}

fn dropped(status: &Status) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Table of dropped peers" {
            table {
                thead { tr { th scope="col" { "Peer" } th scope="col" { "Share" } th scope="col" { "What it did" } } }
                tbody { @for Dropped { id, info_hash, why } in status.dropped.iter().rev() {
                    tr { th scope="row" class="short" { "#" (id) } td { (name(status, info_hash)) } td { (why) } }
                } }
            }
        }
    }
}

/// What the owner calls a share.
fn name(status: &Status, info_hash: &str) -> String {
    let share =
        status.shares.iter().find(|share| share.info_hash == info_hash).map(|share| share.name.clone());
    let fetch = || {
        let fetch = status.fetches.iter().find(|fetch| fetch.info_hash.as_deref() == Some(info_hash))?;
        fetch.name.clone()
    };
    share.or_else(fetch).unwrap_or_else(|| info_hash.chars().take(8).collect())
}
