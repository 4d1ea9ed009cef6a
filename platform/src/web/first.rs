//! The first run: a password, who may look, where files may go, what survives a power cut.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::account;
use super::folders::{self, Choice};
use super::frame;
use super::guard::Fields;
use super::keep;
use super::layout::{fault, field};
use super::onion;
use super::password;
use super::site::{Shared, Site};
use super::visitor::{Place, Visitor};
use crate::config::FirstRun;
use crate::state::{Audience, PageEntry};

/// What the form says again after a mistake.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) audience: Audience,
    pub(super) folders: Choice,
    pub(super) keep: keep::Draft,
    /// Filled in from the local network, or on a board: the local network must not be shut out.
    pub(super) from_lan: bool,
    /// Whether the local network may set the password.
    pub(super) open: bool,
    /// Whether the configuration has the password forgotten at each start.
    pub(super) reset: bool,
}

/// `GET /first`
pub(super) async fn show(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    if visitor.entry.password.is_some() {
        return Redirect::to("/").into_response();
    }
    if !visitor.may_begin(site.page.first_run) {
        return frame::refused();
    }
    let draft = Draft::fresh(&site, visitor.place).await;
    account::with_form(&site, &headers, StatusCode::OK, "Welcome", |token| form(token, &draft, None))
}

/// `POST /first`
pub(super) async fn begin(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    headers: HeaderMap,
) -> Response {
    if visitor.entry.password.is_some() {
        return Redirect::to("/login").into_response();
    }
    if !visitor.may_begin(site.page.first_run) {
        return frame::refused();
    }
    match set_up(&site, &fields, visitor.place).await {
        Ok(response) => response,
        Err((status, why)) => {
            let fresh = Draft::fresh(&site, visitor.place).await;
            let draft = Draft {
                audience: audience(&fields, fresh.from_lan),
                folders: fresh.folders.clone().said(&fields),
                keep: keep::Draft {
                    wanted: fields.get("keep") == "file",
                    file: fields.get("keep-file").to_owned(),
                    ..fresh.keep
                },
                ..fresh
            };
            account::with_form(&site, &headers, status, "Welcome", |token| form(token, &draft, Some(&why)))
        }
    }
}

impl Draft {
    async fn fresh(site: &Site, place: Place) -> Self {
        let from_lan = needs_lan(site, place);
        let audience = if from_lan { Audience::Password } else { Audience::Machine };
        let folders = Choice::look(site, &[]).await.proposed();
        let keep = keep::Draft {
            automatic: site.node.status().keep.automatic,
            file: folders
                .disk()
                .map(|disk| disk.at.join(keep::NAME).display().to_string())
                .unwrap_or_default(),
            wanted: false,
        };
        let open = site.page.first_run == FirstRun::Network;
        Self { audience, folders, keep, from_lan, open, reset: site.page.reset }
    }
}

async fn set_up(site: &Shared, fields: &Fields, place: Place) -> Result<Response, (StatusCode, String)> {
    let (new, again) = (fields.get("password"), fields.get("again"));
    let wrong = |why: String| (StatusCode::UNPROCESSABLE_ENTITY, why);
    password::check(new, again).map_err(|why| wrong(why.to_string()))?;
    let folders = folders::read(fields, &site.downloads(), &site.looks).await.map_err(wrong)?;
    let kept = match fields.get("keep") {
        "file" => Some(keep::read(fields, &site.looks).await.map_err(wrong)?),
        _ => None,
    };
    let hash = site.hasher.hash(Zeroizing::new(new.to_owned())).await.map_err(|password::Busy| {
        (StatusCode::SERVICE_UNAVAILABLE, "this machine is busy; try again".to_owned())
    })?;
    // Hashing took a while: someone else may have been first.
    let failed = |why: crate::node::NodeError| (StatusCode::INTERNAL_SERVER_ERROR, why.to_string());
    let before = site.entry().await.map_err(failed)?;
    if before.password.is_some() {
        return Ok(Redirect::to("/login").into_response());
    }
    // Before the password is set: until then the form can be mended.
    if let Some((file, passphrase)) = kept {
        site.node.keep_to(file, passphrase).await.map_err(|why| wrong(why.to_string()))?;
    }
    let (audience, seal, onion) =
        (audience(fields, needs_lan(site, place)), account::seal()?, site.page.onion);
    let keys = onion::Keys::fresh().map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()))?;
    let change = move |entry: &mut PageEntry| {
        (entry.password, entry.seal) = (Some(hash), Some(seal));
        (entry.audience, entry.folders, entry.onion) = (audience, folders, onion);
        keys.fill(entry);
    };
    let entry = site.change(&before, change).await.map_err(failed)?;
    site.onion.look_again();
    Ok(account::welcome(site, &entry, None, "/?said=welcome"))
}

/// Whether the local network must not be shut out: whoever asks from there would lock themselves out, and so would the owner of a
/// board through its onion.
pub(super) fn needs_lan(site: &Site, place: Place) -> bool {
    matches!(place, Place::Lan(_)) || site.is_board()
}

/// Who may see what, as the form says it.
pub(super) fn audience(fields: &Fields, needs_lan: bool) -> Audience {
    match (fields.get("audience"), needs_lan) {
        ("figures", _) => Audience::Figures,
        ("password", _) | (_, true) => Audience::Password,
        _ => Audience::Machine,
    }
}

/// The form, as a pure function of what it says.
pub(super) fn form(token: &str, draft: &Draft, why: Option<&str>) -> Markup {
    html! {
        section class="narrow" {
            h1 { "Welcome to your node" }
            p class="quiet" { "Four questions, then it is yours. All of this can be changed later. "
                "Was this node kept in a file before? " a href="/first/restore" { "Bring it back" } "." }
            @if draft.open {
                p class="notice warn" {
                    "Until there is a password, whoever of the local network opens this page first makes the node theirs"
                    @if !draft.folders.chosen.is_empty() { ", with all folders that are ticked below" }
                    ". Finish this at once."
                }
            }
            @if draft.reset { (frame::forgets()) }
            (fault(why))
            form method="post" action="/first" autocomplete="off" {
                input type="hidden" name="token" value=(token);
                fieldset {
                    legend { "1. A password for this page" }
                    (password_fields("password"))
                }
                fieldset {
                    legend { "2. Who may see it" }
                    (audience_choice(draft.audience, draft.from_lan))
                }
                fieldset {
                    legend { "3. Where files may lie" }
                    (folders::choice(&draft.folders))
                }
                fieldset {
                    legend { "4. What survives a power cut" }
                    (keep::choice(&draft.keep))
                }
                p { button type="submit" class="main" { "Begin" } }
            }
        }
    }
}

/// A new password, typed twice.
pub(super) fn password_fields(name: &str) -> Markup {
    let hint =
        format!("At least {} characters; a few words in a row are easy to remember.", password::SHORTEST);
    html! {
        (field(name, "New password", &hint, &html! {
            input id=(name) name=(name) type="password" required autocomplete="new-password"
                minlength=(password::SHORTEST) maxlength=(password::LONGEST) aria-describedby={ (name) "-hint" };
        }))
        (field("again", "The same again", "", &html! {
            input id="again" name="again" type="password" required autocomplete="new-password"
                minlength=(password::SHORTEST) maxlength=(password::LONGEST);
        }))
    }
}

/// Three choices of who may see what.
pub(super) fn audience_choice(chosen: Audience, from_lan: bool) -> Markup {
    let choices = [
        ("machine", Audience::Machine, "Only this machine", "The local network does not see the page."),
        (
            "figures",
            Audience::Figures,
            "Figures for the local network",
            "Without names or links; all else needs the password.",
        ),
        (
            "password",
            Audience::Password,
            "The local network, with the password",
            "Without it, nothing is shown.",
        ),
    ];
    html! {
        @for (value, audience, label, hint) in choices.into_iter().skip(usize::from(from_lan)) {
            div class="choice" {
                input type="radio" name="audience" value=(value) id={ "audience-" (value) }
                    checked[audience == chosen] aria-describedby={ "audience-" (value) "-hint" };
                div {
                    label for={ "audience-" (value) } { (label) }
                    small id={ "audience-" (value) "-hint" } { (hint) }
                }
            }
        }
    }
}
