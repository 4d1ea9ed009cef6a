//! Onion services in front of other programs: whether people can reach them, and who may.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::Frame;
use super::guard::Fields;
use super::layout::{badge, fault, field, heading, plural, table};
use super::site::Shared;
use super::visitor::Visitor;
use crate::publish::command::{AddClient, NewClient};
use crate::status::Status;
use crate::status::publish::Published;
use crate::words::{size, span};

/// `GET /services`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&site.node.status(), None, None, &frame).into_string())
}

/// `POST /services`: the field `do` says what.
pub(super) async fn change(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let (service, client) = (fields.get("service").to_owned(), fields.get("client").trim().to_owned());
    let frame = Frame::of(&site, &visitor, &uri);
    let done = match fields.get("do") {
        "add" => match site.node.add_client(AddClient { service, client, key: None }).await {
            Ok(new) => {
                // Shown once: it is kept nowhere.
                let page = page(&site.node.status(), Some(&new), None, &frame);
                return Html(page.into_string()).into_response();
            }
            Err(why) => Err(why),
        },
        "revoke" => site.node.revoke_client(service, client).await,
        _ => site.node.open_to_all(service).await,
    };
    match done {
        Ok(()) => Redirect::to("/services?said=saved").into_response(),
        Err(why) => {
            let page = page(&site.node.status(), None, Some(&why.to_string()), &frame);
            (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
        }
    }
}

/// The page, as a pure function of the status.
pub(super) fn page(status: &Status, new: Option<&NewClient>, why: Option<&str>, frame: &Frame) -> Markup {
    frame.page("Services", "/services", &html! {
        (heading("Published services", &html! {}))
        (fault(why))
        (frame.watch("/services"))
        @if let Some(new) = new { (key(new)) }
        @if status.publish.is_empty() {
            p class="empty" { "None. The configuration puts onion services in front of other programs, under [[publish]]." }
        }
        @for (index, service) in status.publish.iter().enumerate() { (card(service, index, frame)) }
    })
}

fn key(new: &NewClient) -> Markup {
    html! {
        div class="notice good" role="status" {
            p { "The key of " (new.client) ". It is shown once and kept nowhere; hand it over now." }
            @if let Some(private) = &new.private { p { code class="select" { (private) } } }
            p { small { "Tor Browser asks for its last part, after the last colon." } }
        }
    }
}

fn card(service: &Published, index: usize, frame: &Frame) -> Markup {
    let id = format!("service-{index}");
    html! {
        section class="card" aria-labelledby=(id) {
            header {
                h2 id=(id) { (service.name) }
                @if service.healthy { (badge("good", "healthy")) } @else { (badge("warn", "not well")) }
            }
            @for url in &service.urls { p { code class="select" { (url) } } }
            @if let Some(trouble) = &service.trouble { p class="notice warn" { (trouble) } }
            p class="line" {
                span { @match service.reachable {
                    Some(true) => "reached through Tor", Some(false) => "not reached through Tor", None => "not tried yet",
                } @if let Some(age) = service.probed_s { " " (span(age)) " ago" } }
                span { (plural(u64::from(service.streams), "stream", "streams")) }
                span { (size(service.received)) " in" }
                span { (size(service.sent)) " out" }
                @if service.refused > 0 { span { (service.refused) " refused" } }
            }
            (backends(service))
            (clients(service, index, frame))
        }
    }
}

fn backends(service: &Published) -> Markup {
    table(
        &format!("Backends of {}", service.name),
        &html! {
            thead { tr {
                th scope="col" class="number" { "Port" } th scope="col" { "Backend" } th scope="col" { "State" }
                th scope="col" class="number" { "Streams" } th scope="col" class="number" { "Served" }
            } }
            tbody { @for route in &service.routes { @for backend in &route.backends { tr {
                td class="number" { (route.port) }
                th scope="row" { code { (backend.target) } }
                td { @if backend.up { (badge("good", "up")) } @else { (badge("bad", "down")) } }
                td class="number" { (backend.streams) }
                td class="number" { (backend.served) }
            } } } }
        },
    )
}

fn clients(service: &Published, index: usize, frame: &Frame) -> Markup {
    html! {
        h3 { "Who may find it" }
        @if service.restricted {
            @if service.clients.is_empty() { p class="quiet" { "Nobody: it is closed, and no key was given out." } }
            ul class="plain" { @for client in &service.clients {
                li {
                    (client.name) " "
                    (frame.form("/services", "inline", &html! {
                        input type="hidden" name="service" value=(service.name);
                        input type="hidden" name="client" value=(client.name);
                        button type="submit" name="do" value="revoke" class="link" aria-label={ "Shut out " (client.name) } { "Shut out" }
                    }))
                }
            } }
            (frame.form("/services", "inline", &html! {
                input type="hidden" name="service" value=(service.name);
                button type="submit" name="do" value="open" class="link" { "Open it to everybody" }
            }))
        } @else { p class="quiet" { "Everybody who knows the address. The first key that is given out closes it to all others." } }
        (frame.form("/services", "row", &html! {
            input type="hidden" name="service" value=(service.name);
            (field(&format!("client-{index}"), "Name of a new client", "", &html! {
                input id={ "client-" (index) } name="client" required maxlength="64";
            }))
            button type="submit" name="do" value="add" { "Give out a key" }
        }))
    }
}
