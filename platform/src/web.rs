//! The site: which path shows what. Pages are pure functions of one [`Status`].
//!
//! Loopback only and read-only, as there is no password yet. No script, no third party, no inline style.

mod fetches;
mod guard;
mod layout;
mod overview;
mod peers;
mod shares;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use maud::{Markup, html};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Page;
use crate::control::serve::{self, Bounds};
use crate::node::Handle;
use crate::status::Status;

/// Connections at once: a browser opens up to six.
const CONNECTIONS: usize = 16;

/// Longest life of a connection; pages are a few kilobytes and reload themselves.
const LIFETIME: Duration = Duration::from_mins(1);

/// The page's listener.
#[derive(Debug)]
pub struct Web {
    listener: TcpListener,
    address: SocketAddr,
    refresh_s: u64,
}

#[derive(Clone)]
struct Site {
    node: Handle,
    refresh_s: u64,
}

impl Web {
    /// Opens the listener.
    pub async fn bind(page: &Page) -> io::Result<Self> {
        let listener = TcpListener::bind(page.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, refresh_s: page.refresh.0 })
    }

    /// Where it listens: the port that was free if none was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` turns true.
    pub async fn run(self, node: Handle, stop: watch::Receiver<bool>) {
        let site = Site { node, refresh_s: self.refresh_s };
        let bounds = Bounds { connections: CONNECTIONS, lifetime: Some(LIFETIME) };
        serve::run(self.listener, router(site, self.address.port()), bounds, stop).await;
    }
}

fn router(site: Site, port: u16) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/style.css", get(style))
        .route(
            "/status.json",
            get(|State(site): State<Site>| async move { Json(&*site.node.status()).into_response() }),
        )
        .fallback(|| async { (StatusCode::NOT_FOUND, Html(layout::missing().into_string())) })
        .layer(axum::middleware::from_fn_with_state(port, guard::check))
        .with_state(site)
}

async fn home(State(site): State<Site>) -> Html<String> {
    Html(layout::page("Bulbil", Some(site.refresh_s), &body(&site.node.status())).into_string())
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("web/style.css"))
}

/// All sections of the first page.
fn body(status: &Status) -> Markup {
    html! {
        (overview::section(status))
        (fetches::section(status))
        (shares::section(status))
        (peers::section(status))
    }
}

#[cfg(test)]
mod tests;
