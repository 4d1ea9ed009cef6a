//! Onion services in front of other programs: whether people can reach them, and who may.

use std::time::Instant;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{badge, fault, field, heading, plural, table};
use super::question::{self, Question};
use super::site::Shared;
use super::visitor::Visitor;
use crate::node::NodeError;
use crate::publish::command::{AddClient, NewClient};
use crate::status::Status;
use crate::status::publish::Published;
use crate::words::{size, span};

/// A key that was just given out.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) new: NewClient,
    /// Name of its QR code.
    pub(super) code: Option<String>,
}

/// What a form said that went wrong, to be mended.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) service: String,
    pub(super) client: String,
}

impl Draft {
    /// The client's name, if the form was that of this service.
    fn of_service(&self, service: &Published) -> &str {
        if self.service == service.name { &self.client } else { "" }
    }
}

/// `GET /services`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&site.node.status(), None, None, &Draft::default(), &frame).into_string())
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
    let draft = Draft { service: service.clone(), client: client.clone() };
    let done = match fields.get("do") {
        "add" => match site.node.add_client(AddClient { service, client, key: None }).await {
            Ok(new) => {
                // Shown once: it is kept nowhere.
                let code = new.private.as_ref().and_then(|key| site.once.put(key, Instant::now()));
                let given = Given { new, code };
                let page = page(&site.node.status(), Some(&given), None, &Draft::default(), &frame);
                return Html(page.into_string()).into_response();
            }
            Err(why) => Err(why),
        },
        "revoke" => site.node.revoke_client(service, client).await,
        "open" if !question::is_answered(&fields) => {
            return Html(opening(&service, &frame).into_string()).into_response();
        }
        "open" => site.node.open_to_all(service).await,
        _ => Err(NodeError::Bad("this page cannot do that; nothing was changed".into())),
    };
    match done {
        Ok(()) => Redirect::to("/services?said=saved").into_response(),
        Err(why) => {
            let page = page(&site.node.status(), None, Some(&why.to_string()), &draft, &frame);
            (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
        }
    }
}

/// `GET /services/{name}/key.bmp`: the QR code of a key that was just given out, once.
pub(super) async fn code(State(site): State<Shared>, Path(name): Path<String>) -> Response {
    site.once.take(&name, Instant::now()).map_or_else(frame::missing, |image| {
        ([(header::CONTENT_TYPE, "image/bmp")], image.to_vec()).into_response()
    })
}

/// The page, as a pure function of the status.
pub(super) fn page(
    status: &Status,
    new: Option<&Given>,
    why: Option<&str>,
    draft: &Draft,
    frame: &Frame,
) -> Markup {
    frame.page("Services", "/services", &html! {
        (heading("Services", &frame.watch("/services")))
        (fault(why))
        @if let Some(new) = new { (key(new)) }
        @if status.publish.is_empty() {
            p class="empty" {
                "None yet. A service puts an onion address in front of another program of yours, such as a web site. "
                "It is described in the configuration, under " code { "[[publish]]" } "."
            }
        }
        @for (index, service) in status.publish.iter().enumerate() { (card(service, index, draft, frame)) }
    })
}

/// The question before a service is open to everybody.
pub(super) fn opening(service: &str, frame: &Frame) -> Markup {
    let question = Question {
        title: "Open it to everybody?",
        here: "/services",
        action: "/services",
        fields: &[("do", "open"), ("service", service)],
        yes: "Open it now",
        no: ("Leave it closed", "/services"),
    };
    let cost = html! {
        p { "Everybody who knows the address of " b { (service) } " can then find and call it." }
        p class="notice warn" role="alert" { "All keys that were given out are forgotten. To close it again, each of their owners needs a new one." }
    };
    question.page(&cost, frame)
}

fn key(given: &Given) -> Markup {
    html! {
        section class="card link" role="status" aria-labelledby="key-title" {
            h2 id="key-title" { "The key of " (given.new.client) }
            @if let Some(code) = &given.code {
                img src={ "/services/" (code) "/key.bmp" } alt="The key as a QR code" width="200" height="200";
            }
            div {
                p class="notice warn" { "It is shown now and never again. Hand it over before you leave this page." }
                @if let Some(private) = &given.new.private { p { code class="select" { (private) } } }
                p { small { "Tor Browser asks for its last part, after the last colon. Other Tor clients take the whole line in a file." } }
            }
        }
    }
}

fn card(service: &Published, index: usize, draft: &Draft, frame: &Frame) -> Markup {
    let id = format!("service-{index}");
    html! {
        section class="card" aria-labelledby=(id) {
            header {
                h2 id=(id) { (service.name) }
                @if service.healthy { (badge("good", "healthy")) } @else { (badge("warn", "in trouble")) }
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
            (clients(service, index, draft.of_service(service), frame))
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

fn clients(service: &Published, index: usize, client: &str, frame: &Frame) -> Markup {
    html! {
        h3 { "Who may find it" }
        @if service.restricted {
            @if service.clients.is_empty() { p class="quiet" { "Nobody: it is closed, and no key was given out." } }
            ul class="plain rows" { @for client in &service.clients {
                li {
                    span { (client.name) }
                    (frame.form("/services", "inline", &html! {
                        input type="hidden" name="service" value=(service.name);
                        input type="hidden" name="client" value=(client.name);
                        button type="submit" name="do" value="revoke" class="link" aria-label={ "Shut out " (client.name) } { "Shut out" }
                    }))
                }
            } }
        } @else { p class="quiet" { "Everybody who knows the address. The first key that is given out closes it to all others." } }
        (frame.form("/services", "row", &html! {
            input type="hidden" name="service" value=(service.name);
            (field(&format!("client-{index}"), "Name of a new client", "", &html! {
                input id={ "client-" (index) } name="client" required maxlength="64" value=(client);
            }))
            button type="submit" name="do" value="add" { "Give out a key" }
        }))
        @if service.restricted {
            (frame.form("/services", "actions", &html! {
                input type="hidden" name="service" value=(service.name);
                button type="submit" name="do" value="open" class="link" { "Open it to everybody" }
            }))
        }
    }
}
