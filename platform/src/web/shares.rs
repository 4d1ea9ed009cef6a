//! What is offered.

use maud::{Markup, html};

use super::layout::{self, badge};
use crate::status::{Share, ShareState, Status};
use crate::words::size;

/// All shares, newest first.
pub(super) fn section(status: &Status) -> Markup {
    layout::section(
        "shares",
        "Shares",
        status.shares.len(),
        &html! {
            @if status.shares.is_empty() {
                p class="empty" { "Nothing yet. Offer something with " code { "bulbil share PATH" } "." }
            }
            @for share in status.shares.iter().rev() { (card(share)) }
        },
    )
}

fn card(share: &Share) -> Markup {
    html! {
        article class="card" {
            header { h3 { (share.name) } (state(&share.state)) }
            p class="line" {
                span { (size(share.size)) }
                span { (share.files) @if share.files == 1 { " file" } @else { " files" } }
                span { @if share.public { "public" } @else { "private" } }
                span { (share.peers) @if share.peers == 1 { " peer" } @else { " peers" } }
                span { (size(share.uploaded)) " served" }
            }
            @if let ShareState::Failed(why) = &share.state { p class="notice bad" { (why) } }
            details {
                summary { "Link and info-hash" }
                dl class="long" {
                    dt { "Link" } dd { code { (share.link) } }
                    dt { "Info-hash" } dd { code { (share.info_hash) } }
                }
                p { small { "Whoever has the link can fetch this. Give it away with care." } }
            }
        }
    }
}

fn state(state: &ShareState) -> Markup {
    match state {
        ShareState::Publishing => badge("busy", "publishing"),
        ShareState::Reachable => badge("good", "reachable"),
        ShareState::Failed(_) => badge("bad", "failed"),
    }
}
