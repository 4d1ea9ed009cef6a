//! Signing in and out, and the password.

use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::cookie::{self, Cookie};
use super::frame;
use super::guard::Fields;
use super::guesses::Wait;
use super::layout::{fault, field};
use super::password::{self, Busy};
use super::session;
use super::site::{Shared, Site};
use super::visitor::Visitor;
use crate::state::{PageEntry, Secret};

/// What a hasher that is busy makes of a try.
const BUSY: &str = "too many are signing in at this moment; try again in a few seconds";

/// What a system without randomness makes of it.
const NO_RANDOMNESS: &str = "the system gives no randomness; check that /dev/urandom exists";

/// `GET /login`
pub(super) async fn login(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    if visitor.session.is_some() {
        return Redirect::to("/").into_response();
    }
    if visitor.entry.password.is_none() {
        return Redirect::to("/first").into_response();
    }
    with_form(&site, &headers, StatusCode::OK, "Sign in", |token| form(token, site.is_board(), None))
}

/// `POST /login`
pub(super) async fn sign_in(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    headers: HeaderMap,
) -> Response {
    let Some(kept) = visitor.entry.password.clone() else { return Redirect::to("/first").into_response() };
    let again = |status, why: &str| {
        with_form(&site, &headers, status, "Sign in", |token| form(token, site.is_board(), Some(why)))
    };
    let source = visitor.source();
    if let Err(wait) = site.guesses().admit(source, Instant::now()) {
        let mut response = again(StatusCode::TOO_MANY_REQUESTS, &wait.to_string());
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.seconds()));
        return response;
    }
    let given = Zeroizing::new(fields.get("password").to_owned());
    match site.hasher.fits(&kept, visitor.known.is_some(), given).await {
        Err(Busy) => {
            site.guesses().give_back(source, Instant::now());
            again(StatusCode::SERVICE_UNAVAILABLE, BUSY)
        }
        Ok(false) => again(StatusCode::FORBIDDEN, "that is not the password"),
        Ok(true) => {
            site.guesses().forgive(source);
            welcome(&site, &visitor.entry, visitor.known, "/")
        }
    }
}

/// `POST /logout`
pub(super) async fn sign_out(State(site): State<Shared>, Extension(visitor): Extension<Visitor>) -> Response {
    if let Some(secret) = &visitor.session {
        site.sessions().close(secret);
    }
    let mut response = Redirect::to("/").into_response();
    response.headers_mut().extend(Cookie::Session.set(site.port, "").map(|value| (SET_COOKIE, value)));
    response
}

/// `POST /settings/password`; on a mistake the settings are shown again by `retry`.
pub(super) async fn change(
    site: &Shared,
    visitor: &Visitor,
    fields: &Fields,
) -> Result<Response, (StatusCode, String)> {
    let (new, again) = (fields.get("new"), fields.get("again"));
    let unfit = |why: password::Unfit| (StatusCode::UNPROCESSABLE_ENTITY, why.to_string());
    let busy = |Busy| (StatusCode::SERVICE_UNAVAILABLE, BUSY.to_owned());
    password::check(new, again).map_err(unfit)?;
    let kept = visitor.entry.password.clone().unwrap_or_default();
    // Someone at an open browser may not guess faster than others.
    let late = |wait: Wait| (StatusCode::TOO_MANY_REQUESTS, wait.to_string());
    site.guesses().admit(visitor.source(), Instant::now()).map_err(late)?;
    let given = Zeroizing::new(fields.get("password").to_owned());
    if !site.hasher.fits(&kept, true, given).await.map_err(busy)? {
        return Err((StatusCode::FORBIDDEN, "that is not the present password".to_owned()));
    }
    let hash = site.hasher.hash(Zeroizing::new(new.to_owned())).await.map_err(busy)?;
    let seal = seal()?;
    let change = move |entry: &mut PageEntry| (entry.password, entry.seal) = (Some(hash), Some(seal));
    let failed = |why: crate::node::NodeError| (StatusCode::INTERNAL_SERVER_ERROR, why.to_string());
    let entry = site.change(&visitor.entry, change).await.map_err(failed)?;
    Ok(welcome(site, &entry, None, "/settings?said=password"))
}

/// A new seal: browsers that were known by the old one are strangers again.
pub(super) fn seal() -> Result<Secret<32>, (StatusCode, String)> {
    let mut seal = Secret([0; 32]);
    getrandom::fill(&mut seal.0)
        .map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, NO_RANDOMNESS.to_owned()))?;
    Ok(seal)
}

/// Opens a session for who gave the password, and knows the browser from now on.
pub(super) fn welcome(site: &Site, entry: &PageEntry, known: Option<[u8; 16]>, to: &str) -> Response {
    let mut id = known.unwrap_or_default();
    let drawn = known.is_some() || getrandom::fill(&mut id).is_ok();
    let secret = entry.seal.as_ref().and_then(|seal| site.sessions().open(&seal.0, Instant::now()));
    let (Some(secret), true) = (secret, drawn) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, NO_RANDOMNESS).into_response();
    };
    let mut response = Redirect::to(to).into_response();
    let known = entry.seal.as_ref().map(|seal| cookie::known_value(&seal.0, id));
    let cookies = [
        Cookie::Session.set(site.port, &secret),
        Cookie::Form.set(site.port, ""),
        known.and_then(|value| Cookie::Known.set(site.port, &value)),
    ];
    for value in cookies.into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

/// A page with a form for someone without a session: the browser gets a cookie that the form's token belongs to.
pub(super) fn with_form(
    site: &Site,
    headers: &HeaderMap,
    status: StatusCode,
    title: &str,
    body: impl FnOnce(&str) -> Markup,
) -> Response {
    let present = Cookie::Form.read(headers, site.port).filter(|value| value.len() == 52);
    let fresh = if present.is_none() { session::secret() } else { None };
    let Some(value) = present.as_ref().or(fresh.as_ref()) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, NO_RANDOMNESS).into_response();
    };
    let body = body(&cookie::form_token(&site.key, value));
    let mut response = (status, Html(frame::alone(title, &body).into_string())).into_response();
    let cookie = fresh.and_then(|value| Cookie::Form.set(site.port, &value));
    response.headers_mut().extend(cookie.map(|value| (SET_COOKIE, value)));
    response
}

/// The form, as a pure function of what it says; `board` where there is no shell.
pub(super) fn form(token: &str, board: bool, why: Option<&str>) -> Markup {
    html! {
        section class="narrow" {
            h1 { "Sign in" }
            (fault(why))
            form method="post" action="/login" {
                input type="hidden" name="token" value=(token);
                (field("password", "Password", "", &html! {
                    input id="password" name="password" type="password" required autofocus
                        autocomplete="current-password" maxlength=(password::LONGEST);
                }))
                p { button type="submit" class="main" { "Sign in" } }
            }
            p class="quiet" {
                @if board {
                    "Forgotten? Write " code { "reset = true" } " below a line " code { "[page]" } " into " code { "bulbil.toml" }
                    " on the board's card and start it: the first run begins again. Then take the line out."
                } @else {
                    "Forgotten? On the machine itself, " code { "bulbil page reset" } " starts the first run again."
                }
            }
        }
    }
}
