//! The frame around every page: its title, the way to the other pages, and the forms that belong to the visitor.

use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::cookie;
use super::site::Site;
use super::visitor::Visitor;

/// The pages, as the navigation names and groups them.
const PAGES: [(&str, &[(&str, &str)]); 4] = [
    (
        "Content",
        &[
            ("/", "Overview"),
            ("/shares", "Shares"),
            ("/fetches", "Fetches"),
            ("/files", "Files"),
            ("/search", "Search"),
        ],
    ),
    ("People", &[("/trust", "Trust"), ("/messages", "Messages"), ("/peers", "Peers")]),
    ("Network", &[("/tor", "Tor"), ("/proxies", "Proxies"), ("/services", "Services")]),
    (
        "Node",
        &[("/statistics", "Statistics"), ("/log", "Log"), ("/settings", "Settings"), ("/machine", "Machine")],
    ),
];

/// What was done, in words that fit any page. Addresses of pages carry the short form only.
const SAID: [(&str, &str); 16] = [
    ("shared", "Shared. Give the link to those who may have it."),
    ("reading", "The files are being read; the share appears when that is done."),
    ("unshared", "Withdrawn. Nobody can fetch it any more."),
    ("fetching", "The fetch has begun."),
    ("forgotten", "Forgotten. What it wrote stays where it is."),
    ("saved", "Saved."),
    ("password", "The password was changed. Every other browser has to sign in again."),
    ("welcome", "All set. This node is yours."),
    ("published", "It is in the public catalogue now."),
    ("unpublished", "It is private again, under a new link."),
    ("sent", "It is on its way; below stands what waits to be delivered."),
    ("identity", "A new identity was taken. What was open is closed."),
    ("done", "Done."),
    ("bridges", "Saved. New connections to Tor are made that way."),
    ("kept", "Saved. From now on the node saves itself there."),
    ("unkept", "The node does not save itself any more. The keep file stays where it is."),
];

/// What the frame depends on besides the page itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// What forms must carry; without it there are none.
    pub(super) token: Option<String>,
    /// Whether someone is signed in.
    pub(super) signed_in: bool,
    /// Whether there is a password at all.
    pub(super) has_password: bool,
    /// Whether figures alone are shown, to someone who is not signed in.
    pub(super) figures_only: bool,
    /// Seconds after which the page reloads itself, because the visitor asked for it.
    pub(super) live: Option<u64>,
    /// Seconds after which it would.
    pub(super) pace: u64,
    /// What was just done.
    pub(super) said: Option<&'static str>,
    /// Whether the configuration has the password forgotten at each start.
    pub(super) reset: bool,
}

impl Frame {
    /// For a visitor who may see everything.
    pub(super) fn of(site: &Site, visitor: &Visitor, uri: &Uri) -> Self {
        let asked = |name: &str| {
            let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let said = asked("said");
        Self {
            token: visitor.session.as_ref().map(|secret| cookie::form_token(&site.key, secret)),
            signed_in: visitor.session.is_some(),
            has_password: visitor.entry.password.is_some(),
            figures_only: false,
            live: asked("live").map(|_| site.page.refresh.0),
            pace: site.page.refresh.0,
            reset: site.page.reset,
            said: SAID.iter().find(|(code, _)| Some(*code) == said).map(|(_, words)| *words),
        }
    }

    /// A whole page. `here` is its address.
    pub(super) fn page(&self, title: &str, here: &str, body: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(title, self.live))
                body class=[(!self.figures_only).then_some("site")] {
                    a class="skip" href="#main" { "Skip to content" }
                    header class="top" {
                        p class="name" { a href="/" { "Bulbil" } }
                        @if !self.figures_only { (navigation(here)) }
                        (self.who())
                    }
                    main id="main" tabindex="-1" {
                        @if let Some(said) = self.said { p class="notice good" role="status" { (said) } }
                        @if self.reset && !self.figures_only { (forgets()) }
                        (body)
                    }
                    footer {
                        p {
                            "Bulbil " (env!("CARGO_PKG_VERSION"))
                            @if !self.figures_only { " · the same as data: " a href="/status.json" { "status.json" } }
                        }
                    }
                }
            }
        }
    }

    /// A form that sends `inner` to `action`; nothing where the visitor may not change anything.
    pub(super) fn form(&self, action: &str, class: &str, inner: &Markup) -> Markup {
        html! {
            @if let Some(token) = &self.token {
                form method="post" action=(action) class=(class) autocomplete="off" {
                    input type="hidden" name="token" value=(token);
                    (inner)
                }
            }
        }
    }

    /// A form that is one button.
    pub(super) fn button(&self, action: &str, kind: &str, words: &str) -> Markup {
        self.form(action, "inline", &html! { button type="submit" class=(kind) { (words) } })
    }

    /// The switch between a page that stands still and one that reloads itself.
    pub(super) fn watch(&self, here: &str) -> Markup {
        html! {
            span class="watch" {
                @if self.live.is_some() {
                    span class="pulse" {} "Updated every " (self.pace) " s " a href=(here) { "Stop" }
                } @else {
                    a href={ (here) "?live=1" } { "Update every " (self.pace) " s" }
                }
            }
        }
    }

    fn who(&self) -> Markup {
        html! {
            div class="who" {
                @if self.signed_in {
                    (self.button("/logout", "link", "Sign out"))
                } @else if self.has_password {
                    a href="/login" { "Sign in" }
                } @else {
                    a href="/first" { "Set a password" }
                }
            }
        }
    }
}

fn head(title: &str, live: Option<u64>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            @if let Some(seconds) = live {
                meta http-equiv="refresh" content=(seconds);
            }
            title { @if title == "Bulbil" { "Bulbil" } @else { (title) " · Bulbil" } }
            link rel="stylesheet" href="/style.css";
            link rel="icon" href="/icon.svg" type="image/svg+xml";
        }
    }
}

fn navigation(here: &str) -> Markup {
    html! {
        nav aria-label="Pages" {
            @for (group, pages) in PAGES {
                p id={ "nav-" (group) } { (group) }
                ul aria-labelledby={ "nav-" (group) } {
                    @for (address, name) in pages {
                        li { a href=(address) aria-current=[(*address == here).then_some("page")] { (name) } }
                    }
                }
            }
        }
    }
}

/// A page for those who see nothing else: the password, the first run, a refusal.
pub(super) fn alone(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, None))
            body class="alone" {
                header class="top" { p class="name" { "Bulbil" } }
                main id="main" { (body) }
            }
        }
    }
}

/// What is to be done once the password was reset.
pub(super) fn forgets() -> Markup {
    html! {
        p class="notice warn" {
            "The configuration says " code { "reset = true" } " under " code { "[page]" }
            ": the password is forgotten at each start. Take that line out again."
        }
    }
}

/// A path that is none.
pub(super) fn missing() -> Response {
    let body = html! {
        section { h1 { "Nothing here" } p { a href="/" { "Back to the overview" } } }
    };
    (StatusCode::NOT_FOUND, Html(alone("Not found", &body).into_string())).into_response()
}

/// Where this page shows nothing.
pub(super) fn refused() -> Response {
    let body = html! {
        section {
            h1 { "Not from here" }
            p { "This page is for the machine it runs on. There, its owner can open it to the local network: under Settings." }
        }
    };
    (StatusCode::FORBIDDEN, Html(alone("Not from here", &body).into_string())).into_response()
}

/// A form whose token is not the one that we gave.
pub(super) fn stale() -> Response {
    let body = html! {
        section {
            h1 { "This form is out of date" }
            p { "Nothing was done. Either the session has ended, or the form was not made by this page. " }
            p { a href="/" { "Start again from the overview" } }
        }
    };
    (StatusCode::FORBIDDEN, Html(alone("Out of date", &body).into_string())).into_response()
}
