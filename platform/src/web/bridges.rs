//! Bridges, where Tor is blocked: entered on the page, checked, and used at once.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::Frame;
use super::guard::Fields;
use super::layout::{fault, field, plural};
use super::site::{Shared, Site};
use super::tor;
use super::visitor::Visitor;
use crate::net;
use crate::state::PageEntry;

/// What the section shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Bridges {
    /// One a line.
    pub(super) lines: String,
    /// How many are in use.
    pub(super) used: u32,
    /// What was wrong with the last try.
    pub(super) fault: Option<String>,
}

impl Bridges {
    pub(super) fn of(site: &Site, entry: &PageEntry) -> Self {
        let lines = entry.bridges.as_ref().unwrap_or(&site.bridges);
        Self { lines: lines.join("\n"), used: site.node.status().net.bridges, fault: None }
    }
}

/// `POST /tor/bridges`: one a line; none at all means public relays.
pub(super) async fn change(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let text = fields.get("bridges");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    match keep(&site, &visitor, lines).await {
        Ok(()) => Redirect::to("/tor?said=bridges").into_response(),
        Err(why) => {
            let bridges =
                Bridges { lines: text.to_owned(), fault: Some(why), ..Bridges::of(&site, &visitor.entry) };
            let frame = Frame::of(&site, &visitor, &uri);
            let page = tor::page(&site.node.status(), site.onion.face().as_ref(), &bridges, None, &frame);
            (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
        }
    }
}

async fn keep(site: &Site, visitor: &Visitor, lines: Vec<String>) -> Result<(), String> {
    net::check_bridges(&lines)?;
    let network = site.network.get().ok_or("the network is not there yet; try again in a moment")?;
    network.set_bridges(&lines)?;
    let change = move |entry: &mut PageEntry| entry.bridges = Some(lines);
    site.change(&visitor.entry, change).await.map(drop).map_err(|why| why.to_string())
}

/// The section of the page about Tor.
pub(super) fn part(bridges: &Bridges, frame: &Frame) -> Markup {
    html! {
        section id="bridges" aria-labelledby="bridges-title" {
            h2 id="bridges-title" { "Bridges" }
            p class="quiet" {
                @if bridges.used == 0 { "None is used: this node enters Tor by public relays. " }
                @else { "This node enters Tor by " (plural(u64::from(bridges.used), "bridge", "bridges")) ". " }
                "Where Tor is blocked, a bridge is a relay that stands on no public list."
            }
            (fault(bridges.fault.as_deref()))
            (frame.form("/tor/bridges", "card", &html! {
                (field("bridge-lines", "Bridges, one a line", "An address with its port, then the fingerprint: 192.0.2.7:443 0123456789ABCDEF… Plain bridges only: this program runs no transports such as obfs4. Empty for none.", &html! {
                    textarea id="bridge-lines" name="bridges" rows="3" spellcheck="false" autocapitalize="off" aria-describedby="bridge-lines-hint" { (bridges.lines) }
                }))
                p { button type="submit" { "Save and use" } }
            }))
        }
    }
}
