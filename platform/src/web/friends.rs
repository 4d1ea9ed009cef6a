//! Friend codes: a few words, read out, by which two nodes meet once and come to know each other.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::Frame;
use super::guard::Fields;
use super::layout::{badge, field, section};
use super::site::Shared;
use super::trust::{self, Draft};
use super::visitor::Visitor;
use crate::node::{AcceptRequest, InviteRequest, NodeError};
use crate::status::{Meeting, MeetingState, Status};
use crate::words::span;

/// `POST /friends`: the field `do` says what.
pub(super) async fn change(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    uri: Uri,
) -> Response {
    let name = Some(fields.get("friend").trim().to_owned()).filter(|name| !name.is_empty());
    let done = match fields.get("do") {
        "invite" => site.node.invite(InviteRequest { name }).await.map(drop),
        "accept" => {
            let words = fields.get("words").to_owned();
            site.node.accept(AcceptRequest { words, name, wait_s: None }).await.map(drop)
        }
        "cancel" => site.node.cancel_meeting(fields.get("meeting").parse().unwrap_or(0)).await,
        _ => Err(NodeError::Bad("this page cannot do that; nothing was changed".into())),
    };
    match done {
        Ok(()) => Redirect::to("/trust#friends").into_response(),
        Err(why) => {
            let frame = Frame::of(&site, &visitor, &uri);
            let page = trust::page(&site.node.status(), None, &Draft::of(&fields, &why), &frame);
            (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
        }
    }
}

/// The section of the page about trust.
pub(super) fn part(status: &Status, draft: &Draft, frame: &Frame) -> Markup {
    let (invited, met) = (draft.of_form("invite"), draft.of_form("accept"));
    section(
        "friends",
        "Meet a friend",
        status.meetings.len(),
        &html! {
            p class="quiet" {
                "Read a few words to a friend, on the telephone or face to face. Both nodes meet once, prove that they know the words, and trust each other from then on."
            }
            @for meeting in &status.meetings { (card(meeting, frame)) }
            @if frame.token.is_some() {
                div class="pair" {
                    (frame.form("/friends", "card", &html! {
                        (field("invite-name", "What to call your friend", "", &html! { input id="invite-name" name="friend" maxlength="64" value=(invited.name); }))
                        p { button type="submit" name="do" value="invite" { "Give me words to read out" } }
                    }))
                    (frame.form("/friends", "card", &html! {
                        (field("words-heard", "The words your friend read to you", "", &html! {
                            input id="words-heard" name="words" required spellcheck="false" autocapitalize="off" maxlength="200" value=(met.words);
                        }))
                        (field("accept-name", "What to call your friend", "", &html! { input id="accept-name" name="friend" maxlength="64" value=(met.name); }))
                        p { button type="submit" name="do" value="accept" { "Meet" } }
                    }))
                }
            }
        },
    )
}

fn card(meeting: &Meeting, frame: &Frame) -> Markup {
    let who = meeting.name.clone().unwrap_or_else(|| "A friend".to_owned());
    html! {
        article class="card" {
            header { h3 { (who) } (state(&meeting.state)) }
            @if let Some(words) = &meeting.words { p class="words" { (words) } }
            @match &meeting.state {
                MeetingState::Calling(why) if !why.is_empty() => p class="quiet" { (why) },
                MeetingState::Failed(why) => p class="notice bad" { (why) },
                _ => {}
            }
            p class="line" {
                @if !meeting.state.is_over() { span { (span(meeting.left_s)) " left" } }
                @if meeting.wrong_guesses > 0 { span { (meeting.wrong_guesses) " called with wrong words" } }
            }
            div class="actions" {
                (frame.form("/friends", "inline", &html! {
                    input type="hidden" name="meeting" value=(meeting.id);
                    button type="submit" name="do" value="cancel" class="link" aria-label={ "End the meeting with " (who) } {
                        @if meeting.state.is_over() { "Forget" } @else { "End" }
                    }
                }))
            }
        }
    }
}

fn state(state: &MeetingState) -> Markup {
    match state {
        MeetingState::Publishing => badge("busy", "preparing"),
        MeetingState::Waiting => badge("busy", "waiting for a call"),
        MeetingState::Calling(_) => badge("busy", "calling"),
        MeetingState::Met(_) => badge("good", "met"),
        MeetingState::Failed(_) => badge("bad", "failed"),
    }
}
