//! The one HTTP API of a node: JSON over a Unix socket that only its owner can open.
//!
//! | Request | Body | Answer |
//! |---|---|---|
//! | `GET /status` | | [`Status`](crate::status::Status) |
//! | `GET /shares`, `/fetches`, `/peers` | | that part of it |
//! | `GET /events` | | one [`Event`](crate::status::Event) a line, first those that describe the present |
//! | `POST /shares` | [`ShareRequest`](crate::node::ShareRequest) | 201, [`Share`](crate::status::Share) |
//! | `DELETE /shares/{info_hash}` | | 204 |
//! | `POST /fetches` | [`FetchRequest`](crate::node::FetchRequest) | 201, `{"id"}` |
//! | `GET /metrics` | | figures for Prometheus, [coarse](crate::metrics) |
//! | `POST /mail` | [`SendRequest`](crate::node::SendRequest) | 201, [`Sent`](crate::node::Sent) |
//! | `GET /mail/inbox`, `/mail/outbox` | | a list of [`InLetter`](crate::node::InLetter) or [`OutLetter`](crate::node::OutLetter) |
//! | `DELETE /mail/inbox/{number}` | | 204 |
//! | `POST /friends/invite` | [`InviteRequest`](crate::node::InviteRequest) | 201, [`Meeting`](crate::status::Meeting) |
//! | `POST /friends/accept` | [`AcceptRequest`](crate::node::AcceptRequest) | 201, [`Meeting`](crate::status::Meeting) |
//! | `DELETE /friends/{id}` | | 204 |
//! | `POST /keep` | `{"passphrase"}` | the bytes of a keep file |
//! | `GET /publish` | | the published services |
//! | `GET /publish/{service}/health` | | that service; 200 if it is healthy, 503 if not |
//! | `GET /publish/{service}/clients` | | who may find it |
//! | `POST /publish/clients` | [`AddClient`](crate::publish::command::AddClient) | 201, [`NewClient`](crate::publish::command::NewClient) |
//! | `DELETE /publish/{service}/clients/{client}` | | 204 |
//! | `DELETE /publish/{service}/clients` | | 204: open to everybody |
//! | `GET /publish/{service}/keys` | | [`Backup`](crate::publish::command::Backup) |
//! | `POST /publish/keys` | [`Import`](crate::publish::command::Import) | [`Imported`](crate::publish::command::Imported) |
//! | `DELETE /page` | | 204: the page has no password any more |
//! | `POST /shares/{info_hash}/publish` | none, or [`About`](crate::node::About) | [`Share`](crate::status::Share), with its new link |
//! | `POST /shares/{info_hash}/unpublish` | | the same |
//! | `GET /trust`, `GET /mirrors` | | that part of the status |
//! | `POST /trust` | [`TrustRequest`](crate::node::TrustRequest) | 204 |
//! | `POST /trust/remove`, `/trust/block`, `/trust/unblock`, `/mirrors/remove` | `{"node"}`, a name or an address | 204 |
//! | `POST /trust/degree` | `{"degree", "apply"}` | [`TrustCost`](crate::status::TrustCost) |
//! | `POST /mirrors` | [`MirrorRequest`](crate::node::MirrorRequest) | 204 |
//! | `POST /search` | `{"words"}` | one [`SearchEvent`](crate::status::SearchEvent) a line, as they happen |
//! | `POST /new-identity` | | [`NewIdentity`](crate::status::NewIdentity) |
//! | `POST /selfcheck` | none, or [`Selfcheck`](crate::config::Selfcheck) | [`Report`](crate::selfcheck::Report), of the last minute or new |
//! | `POST /stop` | | 204, after everything is written |
//!
//! Errors are `{"error": "…"}` with 400 (the request), 404 (no such thing), 405, 408 (too slow), 413 (too long),
//! 500 (could not be done) or 503 (the node is stopping).

mod events;
mod failure;
mod fetches;
mod friends;
pub(crate) mod keep;
mod mail;
mod metrics;
mod page;
mod proxy;
mod publish;
mod routes;
pub mod seats;
pub mod serve;
mod socket;
mod tracker;

use std::path::Path;

use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::node::Handle;
use serve::Bounds;

pub use socket::SocketError;
pub(crate) use tracker::{DegreeRequest, NodeRequest, SearchRequest};

/// Connections at once: the owner's programs, each with one or two.
const CONNECTIONS: usize = 32;

/// The control socket of a node.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    socket: socket::Socket,
}

impl Control {
    /// Makes the socket, mode 0600. One that nobody answers at is replaced. Needs a running tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let (listener, socket) = socket::bind(path)?;
        Ok(Self { listener, socket })
    }

    /// Answers until `stop` turns true, then removes the socket.
    pub async fn run(self, node: Handle, stop: watch::Receiver<bool>) {
        let bounds = Bounds { connections: CONNECTIONS, each: None, lifetime: None };
        serve::run(self.listener, routes::router(node, stop.clone()), bounds, stop).await;
        drop(self.socket);
    }
}
