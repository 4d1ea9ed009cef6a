//! What is being fetched.

use maud::{Markup, html};

use super::layout::{self, badge, bar};
use crate::status::{Fetch, FetchState, Status};
use crate::words::{percent, rate, size, time_left};

/// All fetches, newest first.
pub(super) fn section(status: &Status) -> Markup {
    layout::section(
        "fetches",
        "Fetches",
        status.fetches.len(),
        &html! {
            @if status.fetches.is_empty() {
                p class="empty" { "Nothing yet. Start one with " code { "bulbil fetch LINK --out FOLDER" } "." }
            }
            @for fetch in status.fetches.iter().rev() { (card(fetch)) }
        },
    )
}

fn card(fetch: &Fetch) -> Markup {
    let name = fetch.name.clone().unwrap_or_else(|| format!("Fetch {}", fetch.id));
    let percent = fetch.size.map_or(0, |size| percent(fetch.done, size));
    html! {
        article class="card" {
            header { h3 { (name) } (state(&fetch.state)) }
            @if fetch.state != FetchState::Done {
                div class="boot" { (bar(&format!("Progress of {name}"), percent)) span class="number" { (percent) " %" } }
            }
            p class="line" { @for part in facts(fetch) { span { (part) } } }
            @if let FetchState::Waiting(why) = &fetch.state { p class="notice warn" { (why) } }
            @if let FetchState::Failed(why) = &fetch.state { p class="notice bad" { (why) } }
        }
    }
}

fn facts(fetch: &Fetch) -> Vec<String> {
    let mut facts = Vec::new();
    match (fetch.size, fetch.state == FetchState::Done) {
        (Some(whole), true) => facts.push(format!("{} verified", size(whole))),
        (Some(whole), false) => facts.push(format!("{} of {}", size(fetch.done), size(whole))),
        (None, _) => {}
    }
    if fetch.state == FetchState::Fetching {
        facts.push(rate(fetch.rate));
        let left = fetch.size.unwrap_or(0).saturating_sub(fetch.done);
        facts.extend(time_left(left, fetch.rate).map(|span| format!("{span} left")));
    }
    if fetch.peers > 0 {
        facts.push(plural(fetch.peers, "peer", "peers"));
        facts.push(plural(fetch.lanes, "lane", "lanes"));
    }
    if fetch.uploaded > 0 {
        facts.push(format!("{} given on", size(fetch.uploaded)));
    }
    facts.push(format!("into {}", fetch.out));
    facts
}

fn plural(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn state(state: &FetchState) -> Markup {
    match state {
        FetchState::Connecting => badge("busy", "connecting"),
        FetchState::Waiting(_) => badge("warn", "waiting"),
        FetchState::Learning => badge("busy", "reading metadata"),
        FetchState::Fetching => badge("busy", "fetching"),
        FetchState::Done => badge("good", "done"),
        FetchState::Failed(_) => badge("bad", "failed"),
    }
}
