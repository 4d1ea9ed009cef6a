//! Tor: how far it is, the clock, and the page's own onion service.

use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::bridges::{self, Bridges};
use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{badge, fault, heading, plural};
use super::onion::{Face, Keys, Onion, Visit};
use super::overview;
use super::qr;
use super::question::{self, Question};
use super::site::{Shared, Site};
use super::visitor::{Place, Visitor};
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

/// `POST /tor/onion`: switches the page's own onion service, or gives it another key. What ends the address asks first, and
/// shows what comes after it: whoever calls by that address is not there any more to be told.
pub(super) async fn switch(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let (wanted, sure) = (fields.get("onion"), question::is_answered(&fields));
    if matches!(wanted, "off" | "renew") && !sure {
        let next = match (wanted, Keys::fresh()) {
            ("off", _) => None,
            (_, Ok(keys)) => Some(keys),
            (_, Err(why)) => return again(&site, &visitor, &uri, &why.to_string()),
        };
        if let Some(keys) = &next {
            site.onion.next.put(keys.clone(), Instant::now());
        }
        let (far, frame) = (visitor.place == Place::Onion, Frame::of(&site, &visitor, &uri));
        return Html(farewell(next.as_ref(), far, &frame).into_string()).into_response();
    }
    match change(&site, &visitor, &fields).await {
        Ok(next) if visitor.place == Place::Onion && wanted != "on" => {
            Onion::look_again_later(&site);
            Html(frame::alone("Good-bye", &gone(next.as_ref())).into_string()).into_response()
        }
        Ok(_) => {
            site.onion.look_again();
            Redirect::to("/tor?said=saved").into_response()
        }
        Err(why) => again(&site, &visitor, &uri, &why),
    }
}

/// Does it; gives the new keys, if it has new ones.
async fn change(site: &Site, visitor: &Visitor, fields: &Fields) -> Result<Option<Keys>, String> {
    let wanted = fields.get("onion");
    let (on, keys) = match wanted {
        "on" => (true, Some(Keys::fresh().map_err(|why| why.to_string())?)),
        "off" => (false, None),
        "renew" => {
            let shown = site.onion.next.take(fields.get("host"), Instant::now());
            (
                true,
                Some(shown.ok_or(
                    "that address was shown too long ago, and nothing was changed; ask for another one",
                )?),
            )
        }
        _ => return Err("this page cannot do that; nothing was changed".to_owned()),
    };
    let next = keys.clone().filter(|_| wanted == "renew");
    let renew = next.is_some();
    let change = move |entry: &mut PageEntry| {
        entry.onion = on;
        match keys {
            Some(keys) if renew => keys.replace(entry),
            Some(keys) => keys.fill(entry),
            None => {}
        }
    };
    site.change(&visitor.entry, change).await.map_err(|why| why.to_string())?;
    Ok(next)
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

/// The question before the address ends: for good, or for these `next` keys. `far` where the visitor calls by it.
pub(super) fn farewell(next: Option<&Keys>, far: bool, frame: &Frame) -> Markup {
    let host = next.map(Keys::host).unwrap_or_default();
    let (title, yes) = match next {
        Some(_) => ("Another address and key?", "I have both, change now"),
        None => ("Switch it off?", "Switch it off now"),
    };
    let all = [("onion", if next.is_some() { "renew" } else { "off" }), ("host", host.as_str())];
    let question = Question {
        title,
        here: "/tor",
        action: "/tor/onion",
        fields: all.get(..1 + usize::from(next.is_some())).unwrap_or_default(),
        yes,
        no: ("Leave it", "/tor"),
    };
    let cost = html! {
        @if far { p class="notice warn" role="alert" {
            "You are here by this very address: it ends with your answer, and this page with it. "
            @if next.is_some() { "Write down what follows first; it is not shown to you again." }
            @else { "Only from the machine itself or its local network can it be switched on again." }
        } }
        @match next {
            None => p { "Nobody reaches this page through Tor any more, until it is switched on again. It keeps its address and key." },
            Some(next) => {
                p { "The address and the key of now are dead for good, for everybody who has them. From then on these count:" }
                (address_and_key(&host, &next.client()))
            }
        }
    };
    question.page(&cost, frame)
}

/// What is said through an address that ends.
fn gone(next: Option<&Keys>) -> Markup {
    html! {
        section {
            h1 { "Good-bye" }
            @match next {
                None => p { "This address answers no more. From the machine itself or its local network it can be switched on again." },
                Some(next) => {
                    p { "This address answers no more. In a minute or so the page is found by this one:" }
                    (address_and_key(&next.host(), &next.client()))
                }
            }
        }
    }
}

fn address_and_key(host: &str, key: &str) -> Markup {
    html! {
        dl {
            dt { "Address" } dd { code class="select" { "http://" (host) "/" } }
            dt { "Client key" } dd { code class="select" { (key) } }
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
