//! Tor: how far it is, the clock, and the page's own onion service.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::bridges::{self, Bridges};
use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{badge, fault, heading, plural};
use super::onion::{self, Face, Visit};
use super::overview;
use super::qr;
use super::site::{Shared, Site};
use super::visitor::Visitor;
use crate::state::PageEntry;
use crate::status::Status;
use crate::words::span;

/// `GET /tor`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    let bridges = Bridges::of(&site, &visitor.entry);
    Html(page(&site.node.status(), site.onion.face().as_ref(), &bridges, None, &frame).into_string())
}

/// `GET /tor/qr.bmp`: the page's own address.
pub(super) async fn code(State(site): State<Shared>) -> Response {
    let image = site.onion.face().and_then(|face| qr::bitmap(&format!("http://{}/", face.host)));
    image.map_or_else(frame::missing, |image| ([(header::CONTENT_TYPE, "image/bmp")], image).into_response())
}

/// `POST /tor/onion`: switches the page's own onion service, or gives it another key.
pub(super) async fn switch(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let entry = changed(visitor.entry.clone(), fields.get("onion"));
    let kept = match entry {
        Ok(entry) => site.keep(entry).await.map_err(|why| why.to_string()),
        Err(why) => Err(why.to_string()),
    };
    match kept {
        Ok(()) => {
            site.onion.look_again();
            Redirect::to("/tor?said=saved").into_response()
        }
        Err(why) => again(&site, &visitor, &uri, &why),
    }
}

fn changed(entry: PageEntry, wanted: &str) -> Result<PageEntry, getrandom::Error> {
    let mut entry = PageEntry { onion: wanted != "off", ..entry };
    if wanted == "renew" {
        (entry.onion_seed, entry.onion_access) = (None, None);
    }
    onion::prepare(&mut entry)?;
    Ok(entry)
}

fn again(site: &Site, visitor: &Visitor, uri: &Uri, why: &str) -> Response {
    let frame = Frame::of(site, visitor, uri);
    let bridges = Bridges::of(site, &visitor.entry);
    let page = page(&site.node.status(), site.onion.face().as_ref(), &bridges, Some(why), &frame);
    (StatusCode::INTERNAL_SERVER_ERROR, Html(page.into_string())).into_response()
}

/// The page, as a pure function of the status and the page's own onion service.
pub(super) fn page(
    status: &Status,
    face: Option<&Face>,
    bridges: &Bridges,
    why: Option<&str>,
    frame: &Frame,
) -> Markup {
    let net = &status.net;
    frame.page(
        "Tor",
        "/tor",
        &html! {
            (heading(overview::headline(net), &html! { (frame.watch("/tor")) (frame.button("/proxies/identity", "", "New identity")) }))
            (fault(why))
            (overview::net(net))
            dl class="figures" {
                div { dt { "Bootstrap" } dd { (net.percent) " %" } }
                div { dt { "Onion services" } dd { (overview::services(net)) } }
                div { dt { "Clock" } dd { (clock(net.clock_skew_s)) } }
                div { dt { "Enters by" } dd { @if net.bridges == 0 { "public relays" } @else { (plural(u64::from(net.bridges), "bridge", "bridges")) } } }
            }
            (own(face, frame))
            (bridges::part(bridges, frame))
        },
    )
}

fn clock(skew: Option<i64>) -> String {
    match skew {
        None => "not compared yet".to_owned(),
        Some(skew) if skew.unsigned_abs() < 5 => "right".to_owned(),
        Some(skew) if skew > 0 => format!("{} ahead", span(skew.unsigned_abs())),
        Some(skew) => format!("{} behind", span(skew.unsigned_abs())),
    }
}

fn own(face: Option<&Face>, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="own-title" {
            h2 id="own-title" { "This page through Tor" }
            @match face {
                None => {
                    p class="quiet" {
                        "Off. When it is on, the page has an onion address of its own, which only who has its client key can find. It asks for the password too."
                    }
                    @if frame.signed_in { (switch_button(frame, "on", "main", "Switch on")) }
                    @else { p class="empty" { "It needs a password first." } }
                }
                Some(face) => (own_address(face, frame)),
            }
        }
    }
}

fn own_address(face: &Face, frame: &Frame) -> Markup {
    html! {
        div class="card link" {
            img src="/tor/qr.bmp" alt="The address as a QR code" width="160" height="160";
            div {
                p { @if face.reachable { (badge("good", "reachable")) } @else { (badge("busy", "publishing")) } }
                (visited(face.visit))
                (fault(face.fault.as_deref()))
                dl {
                    dt { "Address" } dd { code class="select" { "http://" (face.host) "/" } }
                    dt { "Client key" }
                    dd {
                        details { summary { "Show it" } code class="select" { (face.key) } }
                    }
                }
                p { small {
                    "Tor Browser asks for the client key when the address is opened. Other Tor clients want it in a file, as "
                    code { (face.host.trim_end_matches(".onion")) ":descriptor:x25519:KEY" } "."
                } }
            }
        }
        div class="actions" {
            (switch_button(frame, "off", "", "Switch off"))
            (switch_button(frame, "renew", "danger", "New address and key"))
        }
    }
}

fn visited(visit: Option<Visit>) -> Markup {
    html! {
        @match visit {
            None => {}
            Some(Visit::Answered(after)) => p class="quiet" {
                "The node fetched it through Tor itself, in " (after.as_millis() / 100 / 10) "." (after.as_millis() / 100 % 10) " s."
            },
            Some(Visit::Silent) => p class="notice warn" { "When the node last tried, it could not fetch it through Tor. It tries again by itself." },
        }
    }
}

fn switch_button(frame: &Frame, value: &str, kind: &str, words: &str) -> Markup {
    frame.form(
        "/tor/onion",
        "inline",
        &html! {
            button type="submit" name="onion" value=(value) class=(kind) { (words) }
        },
    )
}
