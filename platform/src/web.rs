//! The site: which path shows what, and who may go there.
//!
//! Pages are pure functions of one [`Status`] and of who is looking. No script, no third party, no
//! inline style. What changes something is a form with a token, and needs a session.

mod account;
mod bridges;
mod browse;
mod cookie;
mod fetches;
mod files;
mod first;
mod folders;
mod frame;
mod friends;
mod guard;
mod guesses;
mod jobs;
mod journal;
mod keep;
mod layout;
mod looks;
mod machine;
mod messages;
mod metrics;
mod offer;
mod once;
mod onion;
mod overview;
mod password;
mod peers;
mod plot;
mod preset;
mod proxies;
mod publish;
mod qr;
mod question;
mod restore;
mod search;
mod services;
mod session;
mod settings;
mod shares;
mod site;
mod statistics;
mod tor;
mod trust;
mod upload;
mod visitor;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use maud::{Markup, html};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Config;
use crate::control::serve::{self, Bounds};
use crate::net::Network;
use crate::node::Handle;
use crate::status::Status;
use frame::Frame;
pub(crate) use password::{Hasher, LONGEST, check as check_password, is_hash};
pub(crate) use preset::preset;
use site::{Shared, Site};
use visitor::{Sight, Visitor};

/// Connections at once: a browser opens up to six.
const CONNECTIONS: usize = 24;

/// Connections of one address of the local network: as many as a browser opens.
const EACH: usize = 6;

/// Longest life of a connection; pages are a few kilobytes.
const LIFETIME: Duration = Duration::from_mins(1);

/// Bytes of a form at most: a link, a message, some paths.
const FORM: usize = 64 * 1024;

/// The page's listener.
#[derive(Debug)]
pub struct Web {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
}

impl Web {
    /// Opens the listener.
    pub async fn bind(config: &Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.page.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, config: config.clone() })
    }

    /// Where it listens: the port that was free if none was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` turns true; also through Tor, if its owner wants that, once there is a `network`.
    pub async fn run(
        self,
        node: Handle,
        network: watch::Receiver<Option<Network>>,
        stop: watch::Receiver<bool>,
    ) {
        let loopback = self.address.ip().is_loopback();
        let Ok(site) = Site::new(node, &self.config, self.address.port(), loopback) else {
            log::error!("no page: the system gives no randomness; check that /dev/urandom exists");
            return;
        };
        let bounds = Bounds { connections: CONNECTIONS, each: Some(EACH), lifetime: Some(LIFETIME) };
        tokio::join!(
            serve::run(self.listener, router(&site), bounds, stop.clone()),
            onion_once_there(site, network, stop),
        );
    }
}

/// Serves the page's own onion service from the moment there is a network.
async fn onion_once_there(
    site: Shared,
    mut network: watch::Receiver<Option<Network>>,
    mut stop: watch::Receiver<bool>,
) {
    let started = async { network.wait_for(Option::is_some).await.ok()?.clone() };
    let network = tokio::select! {
        network = started => network,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    if let Some(network) = network {
        _ = site.network.set(network.clone());
        onion::run(site, network, stop).await;
    }
}

fn router(site: &Shared) -> Router {
    let open = Router::new()
        .route("/", get(home))
        .route("/style.css", get(style))
        .route("/icon.svg", get(icon))
        .route("/metrics", get(metrics::show))
        .route("/login", get(account::login).post(account::sign_in))
        .route("/first", get(first::show).post(first::begin))
        .route(guard::RESTORE, get(restore::show).post(restore::bring_back));
    let members =
        pages().merge(deeds()).merge(data()).layer(from_fn_with_state(site.clone(), guard::members));
    open.merge(members)
        .fallback(|| async { frame::missing() })
        .layer(from_fn_with_state(site.clone(), guard::check))
        .layer(DefaultBodyLimit::max(FORM))
        .with_state(site.clone())
}

/// What is looked at.
fn pages() -> Router<Shared> {
    Router::new()
        .route("/shares", get(shares::show))
        .route("/shares/{info_hash}", get(shares::one))
        .route("/shares/{info_hash}/qr.bmp", get(shares::code))
        .route("/shares/{info_hash}/publish", get(publish::ask))
        .route("/search", get(search::show))
        .route("/search/{id}", get(search::found))
        .route("/trust", get(trust::show))
        .route("/trust/qr.bmp", get(trust::code))
        .route("/fetches", get(fetches::show))
        .route("/fetches/new", get(fetches::new))
        .route("/fetches/new/{number}", get(fetches::into))
        .route("/files", get(files::show))
        .route("/files/{number}", get(files::open))
        .route("/messages", get(messages::show))
        .route("/proxies", get(proxies::show))
        .route("/services", get(services::show))
        .route("/services/{name}/key.bmp", get(services::code))
        .route("/machine", get(machine::show))
        .route("/peers", get(peers::show))
        .route("/tor", get(tor::show))
        .route("/tor/qr.bmp", get(tor::code))
        .route("/statistics", get(statistics::show))
        .route("/log", get(journal::show))
        .route("/settings", get(settings::show))
}

/// What changes something.
fn deeds() -> Router<Shared> {
    Router::new()
        .route("/logout", post(account::sign_out))
        .route("/files/allow", post(files::allow))
        .route("/shares/new", post(offer::choose))
        .route("/shares/add", post(offer::add))
        .route("/shares/forget", post(shares::forget))
        .route("/shares/{info_hash}/unshare", post(shares::unshare))
        .route("/shares/{info_hash}/publish", post(publish::publish))
        .route("/shares/{info_hash}/unpublish", post(publish::unpublish))
        .route("/shares/{info_hash}/clean", post(publish::clean))
        .route("/search", post(search::begin))
        .route("/trust/change", post(trust::change))
        .route("/trust/degree", post(trust::degree))
        .route("/fetches/new", post(fetches::draft))
        .route("/fetches/add", post(fetches::add))
        .route("/fetches/{number}/forget", post(fetches::forget))
        .route("/friends", post(friends::change))
        .route("/messages/send", post(messages::send))
        .route("/messages/discard", post(messages::discard))
        .route("/proxies/identity", post(proxies::identity))
        .route("/services", post(services::change))
        .route("/machine/power", post(machine::switch))
        .route("/settings/keep", post(keep::save))
        .route("/tor/onion", post(tor::switch))
        .route("/tor/bridges", post(bridges::change))
        .route("/settings/password", post(settings::change_password))
        .route("/settings/access", post(settings::change_access))
}

/// The same for programs.
fn data() -> Router<Shared> {
    Router::new()
        .route("/status.json", get(status_json))
        .route("/statistics.json", get(statistics::data))
        .route("/search/{id}/data.json", get(search::data))
        .route("/log.json", get(journal::data))
}

async fn status_json(State(site): State<Shared>) -> Response {
    Json(&*site.node.status()).into_response()
}

async fn home(State(site): State<Shared>, Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    let (status, mut frame) = (site.node.status(), Frame::of(&site, &visitor, &uri));
    match visitor.sight(site.page.first_run) {
        Sight::All => {}
        Sight::Figures => frame.figures_only = true,
        Sight::SignIn => return Redirect::to("/login").into_response(),
        Sight::FirstRun => return Redirect::to("/first").into_response(),
        Sight::Nothing => return frame::refused(),
    }
    Html(overview(&status, &frame).into_string()).into_response()
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("web/style.css"))
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], include_str!("web/icon.svg"))
}

/// The first page.
fn overview(status: &Status, frame: &Frame) -> Markup {
    frame.page("Bulbil", "/", &body(status, frame))
}

/// All sections of the first page.
fn body(status: &Status, frame: &Frame) -> Markup {
    html! {
        (overview::section(status, &html! { @if !frame.figures_only { (frame.watch("/")) } }))
        @if !frame.figures_only {
            @if frame.token.is_some() { (keep::hint(&status.keep)) }
            (fetches::part(status, frame))
            (shares::part(status, frame))
            (peers::section(status))
        }
    }
}

#[cfg(test)]
mod tests;
