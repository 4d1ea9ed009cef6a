//! Whom the owner trusts, through whom, what a larger degree would cost; and whose records are copied.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::{self, Frame};
use super::friends;
use super::guard::Fields;
use super::layout::{badge, fault, field, heading, plural, table};
use super::qr;
use super::question::{self, Question};
use super::site::Shared;
use super::visitor::Visitor;
use crate::node::{MirrorRequest, NodeError, TrustRequest};
use crate::status::{Mirror, NodeState, Status, TrustCost, Trusted};
use crate::words::{size, span};

/// What a form said that went wrong, to be mended.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// What it wanted: the field `do`.
    pub(super) wanted: String,
    pub(super) node: String,
    pub(super) name: String,
    /// Whether its box was ticked.
    pub(super) ticked: bool,
    pub(super) words: String,
    pub(super) fault: Option<String>,
}

impl Draft {
    pub(super) fn of(fields: &Fields, why: &NodeError) -> Self {
        let text = |name| fields.get(name).to_owned();
        Self {
            wanted: text("do"),
            node: text("node"),
            name: if fields.has("friend") { text("friend") } else { text("name") },
            ticked: fields.ticked("untold") || fields.ticked("follow"),
            words: text("words"),
            fault: Some(why.to_string()),
        }
    }

    /// The same for one of the forms: empty for all but the one that was sent.
    pub(super) fn of_form(&self, wanted: &str) -> Self {
        if self.wanted == wanted { self.clone() } else { Self::default() }
    }
}

/// `GET /trust`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&site.node.status(), None, &Draft::default(), &frame).into_string())
}

/// `GET /trust/qr.bmp`: the node's own address.
pub(super) async fn code(State(site): State<Shared>) -> Response {
    let image = site.node.status().address.as_deref().and_then(qr::bitmap);
    image.map_or_else(frame::missing, |image| ([(header::CONTENT_TYPE, "image/bmp")], image).into_response())
}

/// `POST /trust/change`: the field `do` says what, `node` says whom.
pub(super) async fn change(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let (node, name) = (fields.get("node").trim().to_owned(), fields.get("name").trim());
    let name = (!name.is_empty()).then(|| name.to_owned());
    let done = match fields.get("do") {
        "trust" => {
            let request = TrustRequest { address: node, name, untold: fields.ticked("untold") };
            site.node.trust_add(request).await
        }
        "remove" => site.node.trust_remove(node).await,
        "block" if !question::is_answered(&fields) => {
            let frame = Frame::of(&site, &visitor, &uri);
            return Html(blocking(&site.node.status(), &node, &frame).into_string()).into_response();
        }
        "block" => site.node.trust_block(node).await,
        "unblock" => site.node.trust_unblock(node).await,
        "mirror" => {
            site.node.mirror_add(MirrorRequest { address: node, follow: fields.ticked("follow") }).await
        }
        "unmirror" => site.node.mirror_remove(node).await,
        _ => Err(NodeError::Bad("this page cannot do that".into())),
    };
    match done {
        Ok(()) => Redirect::to("/trust?said=saved").into_response(),
        Err(why) => {
            let frame = Frame::of(&site, &visitor, &uri);
            let page = page(&site.node.status(), None, &Draft::of(&fields, &why), &frame);
            (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
        }
    }
}

/// `POST /trust/degree`: tells the cost, and turns it on when asked again.
pub(super) async fn degree(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let cost =
        site.node.trust_degree(fields.get("degree").parse().unwrap_or(0), fields.ticked("apply")).await;
    let (cost, fault) = match cost {
        Ok(cost) if cost.applied => return Redirect::to("/trust?said=saved").into_response(),
        Ok(cost) => (Some(cost), None),
        Err(why) => (None, Some(why.to_string())),
    };
    let frame = Frame::of(&site, &visitor, &uri);
    let draft = Draft { fault, ..Draft::default() };
    Html(page(&site.node.status(), cost, &draft, &frame).into_string()).into_response()
}

/// The page, as a pure function of the status.
pub(super) fn page(status: &Status, cost: Option<TrustCost>, draft: &Draft, frame: &Frame) -> Markup {
    frame.page(
        "Trust",
        "/trust",
        &html! {
            (heading("Trust", &html! {}))
            (fault(draft.fault.as_deref()))
            (own(status))
            (trusted(status, &draft.of_form("trust"), frame))
            (friends::part(status, draft, frame))
            (reach(status, cost, frame))
            (mirrors(&status.mirrors, &draft.of_form("mirror"), frame))
            (blocked(&status.trust.blocked, frame))
        },
    )
}

fn own(status: &Status) -> Markup {
    html! {
        section class="card link" aria-labelledby="own-title" {
            h2 id="own-title" { "This node's own address" }
            @match &status.address {
                None => p class="empty" { "It has none: the tracker is off in the configuration." },
                Some(address) => {
                    img src="/trust/qr.bmp" alt="The address as a QR code" width="140" height="140";
                    div {
                        p { @if status.address_reachable { (badge("good", "reachable")) } @else { (badge("busy", "publishing")) } }
                        p { code class="select" { (address) } }
                        p { small { "Give it to those who should trust, mirror or write to this node. It leads to nobody's house, but it is always the same." } }
                    }
                }
            }
        }
    }
}

fn trusted(status: &Status, draft: &Draft, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="trusted-title" {
            h2 id="trusted-title" { "Trusted nodes" @if !status.trust.nodes.is_empty() { " " span class="count" { (status.trust.nodes.len()) } } }
            @if status.trust.nodes.is_empty() { p class="empty" { "None yet. Their public shares become searchable here." } }
            @else {
                (table("Trusted nodes", &html! {
                    thead { tr {
                        th scope="col" { "Node" } th scope="col" { "Why" } th scope="col" { "State" }
                        th scope="col" class="number" { "Records" } th scope="col" { span class="hidden" { "Change" } }
                    } }
                    tbody { @for node in &status.trust.nodes { (row(node, frame)) } }
                }))
            }
            (frame.form("/trust/change", "card", &html! {
                h3 { "Trust another node" }
                input type="hidden" name="do" value="trust";
                (address_field("trust-node", "Onion address", &draft.node))
                (field("name", "What to call it", "", &html! { input id="name" name="name" maxlength="64" value=(draft.name); }))
                (tick("untold", draft.ticked, "Keep it to myself", "Nobody comes to trust it through this node."))
                p { button type="submit" class="main" { "Trust" } }
            }))
        }
    }
}

fn row(node: &Trusted, frame: &Frame) -> Markup {
    let called = node.name.clone().unwrap_or_else(|| short(&node.address));
    html! {
        tr {
            th scope="row" { (called) @if node.name.is_some() { br; code { (short(&node.address)) } } }
            td {
                @if node.degree == 1 { "by you" @if !node.told { ", untold" } }
                @else { "degree " (node.degree) ", through " (node.through.iter().map(|who| short(who)).collect::<Vec<_>>().join(", ")) }
            }
            td { (state(&node.state)) @if let Some(age) = node.age_s { br; small { (span(age)) " ago" } } }
            td class="number" { (node.records) }
            td class="number" {
                @if node.degree == 1 { (deed(frame, "remove", &node.address, "link", "Remove", &called)) " " }
                (deed(frame, "block", &node.address, "link", "Block", &called))
            }
        }
    }
}

fn reach(status: &Status, cost: Option<TrustCost>, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="degree-title" {
            h2 id="degree-title" { "How far trust reaches" }
            p class="quiet" {
                "Degree " (status.trust.degree) ": "
                @if status.trust.degree <= 1 { "only those whom you trust yourself." }
                @else { "also those whom they trust, up to " (status.trust.degree) " steps and " (status.trust.budget) " nodes." }
                @if status.trust.capped { " The limit leaves some out." }
            }
            @if let Some(cost) = cost {
                div class="notice warn" role="status" {
                    "Degree " (cost.degree) " would trust " (plural(cost.nodes, "node", "nodes")) ", " (cost.added) " of them new, with up to "
                    (size(cost.bytes)) " of records."
                    @if cost.unknown > 0 { " Of " (cost.unknown) " it is not known yet whom they trust: there may be more." }
                    @if cost.capped { " The limit on nodes ends it earlier." }
                    (frame.form("/trust/degree", "", &html! {
                        input type="hidden" name="degree" value=(cost.degree);
                        p { button type="submit" name="apply" value="yes" class="main" { "Turn it on" } }
                    }))
                }
            }
            (frame.form("/trust/degree", "card row", &html! {
                (field("degree", "Degree", "", &html! {
                    input id="degree" name="degree" type="number" min="1" max=(bulbil_core::limits::MAX_DEGREE) required value=(status.trust.degree.max(1));
                }))
                button type="submit" { "What would it cost?" }
            }))
        }
    }
}

fn mirrors(mirrors: &[Mirror], draft: &Draft, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="mirrors-title" {
            h2 id="mirrors-title" { "Mirrors" @if !mirrors.is_empty() { " " span class="count" { (mirrors.len()) } } }
            @if mirrors.is_empty() { p class="empty" { "None. A mirror is a full copy of a node's records, served from here too." } }
            @else {
                (table("Mirrors", &html! {
                    thead { tr {
                        th scope="col" { "Node" } th scope="col" { "Kept" } th scope="col" { "State" }
                        th scope="col" class="number" { "Records" } th scope="col" { span class="hidden" { "Change" } }
                    } }
                    tbody { @for mirror in mirrors { tr {
                        th scope="row" { code { (short(&mirror.address)) } }
                        td { @if mirror.follow { "up to date" } @else { "as it was" } }
                        td { (state(&mirror.state)) @if let Some(age) = mirror.age_s { br; small { "equal " (span(age)) " ago" } } }
                        td class="number" { (mirror.progress.here) @if let Some(there) = mirror.progress.there { " of " (there) } }
                        td class="number" { (deed(frame, "unmirror", &mirror.address, "link", "Forget", &short(&mirror.address))) }
                    } } }
                }))
            }
            (frame.form("/trust/change", "card", &html! {
                h3 { "Mirror a node" }
                input type="hidden" name="do" value="mirror";
                (address_field("mirror-node", "Onion address", &draft.node))
                (tick("follow", draft.ticked, "Keep it up to date", "Otherwise it is copied once."))
                p { button type="submit" { "Mirror" } }
            }))
        }
    }
}

fn blocked(blocked: &[String], frame: &Frame) -> Markup {
    html! {
        @if !blocked.is_empty() {
            section aria-labelledby="blocked-title" {
                h2 id="blocked-title" { "Blocked" " " span class="count" { (blocked.len()) } }
                ul class="plain" { @for node in blocked {
                    li { code { (short(node)) } " " (deed(frame, "unblock", node, "link", "Unblock", &short(node))) }
                } }
            }
        }
    }
}

/// The question before a node is blocked.
pub(super) fn blocking(status: &Status, node: &str, frame: &Frame) -> Markup {
    let known = status.trust.nodes.iter().find(|known| known.address == node);
    let called = known.and_then(|known| known.name.clone()).unwrap_or_else(|| short(node));
    let question = Question {
        title: "Block it?",
        here: "/trust",
        action: "/trust/change",
        fields: &[("do", "block"), ("node", node)],
        yes: "Block it now",
        no: ("Leave it", "/trust"),
    };
    let cost = html! {
        p { "Nothing of " b { (called) } " is taken any more, whoever vouches for it, and nobody is trusted through it." }
        p class="notice warn" role="alert" { "If you trust or mirror it, that ends too, and unblocking it later does not bring that back." }
    };
    question.page(&cost, frame)
}

/// A button that does something to a node.
fn deed(frame: &Frame, what: &str, node: &str, kind: &str, words: &str, called: &str) -> Markup {
    frame.form("/trust/change", "inline", &html! {
        input type="hidden" name="node" value=(node);
        button type="submit" name="do" value=(what) class=(kind) aria-label={ (words) " " (called) } { (words) }
    })
}

fn address_field(id: &str, label: &str, value: &str) -> Markup {
    field(
        id,
        label,
        "56 letters and digits and .onion",
        &html! {
            input id=(id) name="node" value=(value) required spellcheck="false" autocapitalize="off" maxlength="100" aria-describedby={ (id) "-hint" };
        },
    )
}

/// A box to tick.
fn tick(name: &str, ticked: bool, label: &str, hint: &str) -> Markup {
    html! {
        div class="choice" {
            input type="checkbox" name=(name) value="yes" id=(name) checked[ticked] aria-describedby={ (name) "-hint" };
            div { label for=(name) { (label) } small id={ (name) "-hint" } { (hint) } }
        }
    }
}

fn state(state: &NodeState) -> Markup {
    match state {
        NodeState::Unknown => html! { "not asked yet" },
        NodeState::Connecting => badge("busy", "connecting"),
        NodeState::Copying => badge("busy", "copying"),
        NodeState::Current => badge("good", "current"),
        NodeState::Visited => badge("good", "asked"),
        NodeState::Waiting(why) => html! { (badge("warn", "waiting")) br; small { (why) } },
    }
}

/// The beginning of an address; names stay as they are.
pub(super) fn short(address: &str) -> String {
    match address.strip_suffix(".onion").and_then(|letters| letters.get(..12)) {
        Some(first) => format!("{first}….onion"),
        None => address.to_owned(),
    }
}
