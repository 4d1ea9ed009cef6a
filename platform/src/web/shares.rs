//! What is offered, and offering more.

use axum::Extension;
use axum::extract::{Path as Part, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::{self, Frame};
use super::guard::Fields;
use super::jobs::Job;
use super::layout::{badge, fault, heading, plural, section};
use super::publish;
use super::qr;
use super::question::{self, Question};
use super::site::Shared;
use super::visitor::Visitor;
use crate::status::standing::{Standing, StandingState};
use crate::status::{Share, ShareState, Status};
use crate::words::size;

/// `GET /shares`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Html<String> {
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&site.node.status(), &site.jobs.all(), None, &frame).into_string())
}

/// `GET /shares/{info_hash}`
pub(super) async fn one(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Part(info_hash): Part<String>,
    uri: Uri,
) -> Response {
    let (status, frame) = (site.node.status(), Frame::of(&site, &visitor, &uri));
    let share = status.shares.iter().find(|share| share.info_hash == info_hash);
    share.map_or_else(frame::missing, |share| {
        Html(share_page(share, None, &frame).into_string()).into_response()
    })
}

/// `GET /shares/{info_hash}/qr.bmp`
pub(super) async fn code(State(site): State<Shared>, Part(info_hash): Part<String>) -> Response {
    let status = site.node.status();
    let share = status.shares.iter().find(|share| share.info_hash == info_hash);
    let image = share.and_then(|share| qr::bitmap(&share.link));
    image.map_or_else(frame::missing, |image| ([(header::CONTENT_TYPE, "image/bmp")], image).into_response())
}

/// `POST /shares/{info_hash}/unshare`: asks first, because the link is gone for good.
pub(super) async fn unshare(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    Part(info_hash): Part<String>,
    uri: Uri,
) -> Response {
    if let Some(share) = to_ask_about(&site, &fields, &info_hash) {
        let frame = Frame::of(&site, &visitor, &uri);
        return Html(withdrawal(&share, &frame).into_string()).into_response();
    }
    let done = site.node.unshare(info_hash).await.map(|()| "/shares?said=unshared".to_owned());
    answer(&site, &visitor, &uri, done)
}

/// The share that a form is about, unless the form answers the question about it.
pub(super) fn to_ask_about(site: &Shared, fields: &Fields, info_hash: &str) -> Option<Share> {
    if question::is_answered(fields) {
        return None;
    }
    site.node.status().shares.iter().find(|share| share.info_hash == info_hash).cloned()
}

/// `POST /shares/forget`
pub(super) async fn forget(State(site): State<Shared>) -> Redirect {
    site.jobs.forget();
    Redirect::to("/shares")
}

/// Goes where the deed leads, or shows why it was not done.
pub(super) fn answer(
    site: &Shared,
    visitor: &Visitor,
    uri: &Uri,
    done: Result<String, crate::node::NodeError>,
) -> Response {
    match done {
        Ok(to) => Redirect::to(&to).into_response(),
        Err(why) => {
            let frame = Frame::of(site, visitor, uri);
            let page = page(&site.node.status(), &site.jobs.all(), Some(&why.to_string()), &frame);
            (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
        }
    }
}

/// All shares, newest first.
pub(super) fn page(status: &Status, jobs: &[Job], why: Option<&str>, frame: &Frame) -> Markup {
    frame.page(
        "Shares",
        "/shares",
        &html! {
            (heading("Shares", &html! {
                (frame.watch("/shares"))
                @if frame.token.is_some() { a class="button main" href="/files" { "Share something" } }
            }))
            (fault(why))
            (work(jobs, frame))
            (blocks(&status.standing))
            @if status.shares.is_empty() { p class="empty" { "Nothing is shared yet." } }
            @else { h2 class="hidden" { "All shares" } }
            @for share in status.shares.iter().rev() { (card(share, frame)) }
        },
    )
}

/// The section of the overview.
pub(super) fn part(status: &Status, frame: &Frame) -> Markup {
    section(
        "shares",
        "Shares",
        status.shares.len(),
        &html! {
            @if status.shares.is_empty() {
                p class="empty" {
                    "Nothing yet. "
                    @if frame.token.is_some() { a href="/files" { "Choose what to share" } "." }
                    @else { "Offer something with " code { "bulbil share PATH" } "." }
                }
            }
            @for share in status.shares.iter().rev() { (card(share, frame)) }
        },
    )
}

fn work(jobs: &[Job], frame: &Frame) -> Markup {
    html! {
        @for job in jobs {
            article class="card" {
                header { h2 { (job.name) } @if job.fault.is_some() { (badge("bad", "failed")) } @else { (badge("busy", "reading")) } }
                (fault(job.fault.as_deref()))
            }
        }
        @if jobs.iter().any(|job| job.fault.is_some()) { (frame.button("/shares/forget", "link", "Forget what failed")) }
    }
}

/// The blocks of the configuration that are no shares yet.
fn blocks(standing: &[Standing]) -> Markup {
    html! {
        @for block in standing {
            @match &block.state {
                StandingState::Shared(_) => {}
                StandingState::Awaited => (block_card(block, &badge("warn", "awaited"), &html! {
                    p { "The configuration shares this, but there is nothing at its path. Put it there or mount its disk; it is looked for again and again." }
                })),
                StandingState::Hashing => (block_card(block, &badge("busy", "reading"), &html! {})),
                StandingState::Failed(why) => (block_card(block, &badge("bad", "failed"), &html! {
                    p class="notice bad" { (why) }
                })),
            }
        }
    }
}

fn block_card(block: &Standing, badge: &Markup, words: &Markup) -> Markup {
    html! { article class="card" { header { h2 { (block.path) } (badge) } (words) } }
}

fn card(share: &Share, frame: &Frame) -> Markup {
    let path = format!("/shares/{}", share.info_hash);
    html! {
        article class="card" {
            header { h3 { a href=(path) { (share.name) } } (state(&share.state)) }
            (figures(share))
            @if let ShareState::Failed(why) = &share.state { p class="notice bad" { (why) } }
            div class="actions" {
                a href=(path) aria-label={ "Link of " (share.name) } { "Link" }
                @if frame.token.is_some() && !share.public { a href={ (path) "/publish" } aria-label={ "Publish " (share.name) } { "Publish" } }
                @if share.public {
                    (frame.form(&format!("{path}/unpublish"), "inline", &html! {
                        button type="submit" class="link" aria-label={ "Unpublish " (share.name) } { "Unpublish" }
                    }))
                }
                (frame.form(&format!("{path}/unshare"), "inline", &html! {
                    button type="submit" class="link" aria-label={ "Withdraw " (share.name) } { "Withdraw" }
                }))
            }
        }
    }
}

fn figures(share: &Share) -> Markup {
    html! {
        p class="line" {
            span { (size(share.size)) }
            span { (plural(share.files, "file", "files")) }
            span { @if share.public { "public" } @else { "private" } }
            span { (plural(u64::from(share.peers), "peer", "peers")) }
            span { (size(share.uploaded)) " served" }
        }
    }
}

/// One share with its link.
pub(super) fn share_page(share: &Share, why: Option<&str>, frame: &Frame) -> Markup {
    let path = format!("/shares/{}", share.info_hash);
    frame.page(
        &share.name,
        "/shares",
        &html! {
            (heading(&share.name, &html! { (state(&share.state)) }))
            (fault(why))
            (figures(share))
            @if share.public && !share.text.is_empty() { p { (share.text) } }
            @if let ShareState::Failed(why) = &share.state { p class="notice bad" { (why) } }
            section class="card link" aria-labelledby="link-title" {
                h2 id="link-title" { "Link" }
                img src={ (path) "/qr.bmp" } alt="The link as a QR code" width="200" height="200";
                div {
                    p { code class="select" { (share.link) } }
                    p { small {
                        @if share.public { "It stands in this node's public catalogue." }
                        @else { "Whoever has the link can fetch this. Give it away with care." }
                    } }
                    dl { dt { "Info-hash" } dd { code { (share.info_hash) } } }
                }
            }
            div class="actions" {
                @if frame.token.is_some() && !share.public { a class="button" href={ (path) "/publish" } { "Publish" } }
                @if share.public { (frame.button(&format!("{path}/unpublish"), "", "Make it private again")) }
                (frame.form(&format!("{path}/unshare"), "inline", &html! {
                    button type="submit" class="danger" { "Withdraw" }
                }))
            }
            @if share.public && frame.token.is_some() { (publish::said(share, frame)) }
        },
    )
}

/// The question before a share is withdrawn.
pub(super) fn withdrawal(share: &Share, frame: &Frame) -> Markup {
    let path = format!("/shares/{}", share.info_hash);
    let question = Question {
        title: "Withdraw it?",
        here: "/shares",
        action: &format!("{path}/unshare"),
        fields: &[],
        yes: "Withdraw it now",
        no: ("Leave it", &path),
    };
    let cost = html! {
        p { "Nobody can fetch " b { (share.name) } " from here any more. Its files stay where they are." }
        p class="notice warn" role="alert" { "Its link is dead for good. Shared again, it gets another one." }
    };
    question.page(&cost, frame)
}

fn state(state: &ShareState) -> Markup {
    match state {
        ShareState::Publishing => badge("busy", "publishing"),
        ShareState::Reachable => badge("good", "reachable"),
        ShareState::Failed(_) => badge("bad", "failed"),
    }
}
