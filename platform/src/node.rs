//! The face of a running node: what control, pages and the command line may ask of it.

mod about;
mod asked;
mod dial;
mod door;
mod dropped;
mod fetch;
mod fetches;
mod friends;
mod halves;
mod herald;
mod history;
mod lane;
mod lesson;
mod mail;
mod offer;
mod open;
mod page;
mod porch;
mod primary;
mod proxy;
mod remember;
mod report;
mod room;
mod run;
mod seats;
mod shares;
mod shelf;
mod shortage;
mod standing;
#[cfg(test)]
mod tests;
mod tracker;
mod voice;
mod warmth;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::keep::Passphrase;
use crate::metrics::Metrics;
use crate::status::{Event, Meeting, Share, Status};

pub use about::About;
pub use fetches::{Forgotten, MAX_FETCHES, Which};
pub use friends::{AcceptRequest, InviteRequest};
pub use history::{History, POINTS, Point, STEPS};
pub use mail::{InLetter, OutLetter, SendRequest, Sent};
pub(crate) use page::PageCommand;
pub(crate) use porch::Place;
pub(crate) use run::run;
pub(crate) use seats::{Seat, Seats};
pub use shares::MAX_SHARES;
pub use tracker::command::{MirrorRequest, TrustRequest};

/// Virtual port of every service of ours: what browsers try first, and nothing tells it from a web site.
pub(crate) const PORT: u16 = 80;

/// What to share.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ShareRequest {
    /// Absolute paths of files and folders. Several become one share whose name must then be given.
    pub paths: Vec<PathBuf>,
    /// Name of the share; by default the last component of the only path.
    #[serde(default)]
    pub name: Option<String>,
    /// Bytes of a piece; by default chosen from the size.
    #[serde(default)]
    pub piece_length: Option<u32>,
    /// Offer it in the public catalogue instead of under an onion of its own.
    #[serde(default)]
    pub public: bool,
    /// Let any browser read the files at the link. The address then needs no key, so only the token guards it.
    #[serde(default)]
    pub browser: bool,
}

/// What to fetch.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// A link.
    pub link: String,
    /// Absolute path of the folder to write into.
    pub out: PathBuf,
}

impl std::fmt::Debug for FetchRequest {
    /// Without the link.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchRequest").finish_non_exhaustive()
    }
}

/// Why the node refused. The text says what to do next, and goes to the owner only.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NodeError {
    /// The request makes no sense as it stands.
    #[error("{0}")]
    Bad(String),
    /// Nothing by that name here.
    #[error("{0}")]
    Missing(String),
    /// It could not be done now.
    #[error("{0}")]
    Failed(String),
    /// The node is stopping.
    #[error("the node is stopping; start it again with `bulbil run`")]
    Stopping,
}

/// A way to talk to the node's own task from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Arc<Status>>,
    events: broadcast::Sender<Event>,
    metrics: Arc<Metrics>,
    history: watch::Receiver<Arc<History>>,
}

/// What travels to the node's task.
#[derive(Debug)]
pub(crate) enum Command {
    Share(ShareRequest, oneshot::Sender<Result<Share, NodeError>>),
    Fetch(FetchRequest, oneshot::Sender<Result<u64, NodeError>>),
    Forget(Which, oneshot::Sender<Result<Forgotten, NodeError>>),
    Unshare(String, oneshot::Sender<Result<(), NodeError>>),
    Mail(mail::Ask),
    Friend(friends::Ask),
    Keep(Passphrase, oneshot::Sender<Result<Vec<u8>, NodeError>>),
    Page(PageCommand),
    Tracker(tracker::command::Command),
    Proxy(proxy::Command),
    Stop(oneshot::Sender<()>),
    Publish(crate::publish::command::Command),
}

/// The other end of a [`Handle`], owned by the node's task.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) history: watch::Sender<Arc<History>>,
}

/// Commands that may wait for the node; a caller past that waits for its turn.
const COMMANDS: usize = 64;

/// Events a slow listener may be behind before it loses the oldest.
const EVENTS: usize = 256;

impl Handle {
    /// A handle and the inbox that serves it.
    pub(crate) fn new() -> (Self, Inbox) {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (sender, status) = watch::channel(Arc::default());
        let (events, _) = broadcast::channel(EVENTS);
        let metrics = Arc::new(Metrics::new(&crate::config::Metrics::default()));
        let (recorder, history) = watch::channel(Arc::default());
        let handle = Self { commands, status, events: events.clone(), history, metrics };
        (handle, Inbox { commands: inbox, status: sender, events, history: recorder })
    }

    /// The same handle, with figures as coarse as this says.
    #[must_use]
    pub(crate) fn with_metrics(self, config: &crate::config::Metrics) -> Self {
        Self { metrics: Arc::new(Metrics::new(config)), ..self }
    }

    /// Hashes the files and offers them. Returns when the link exists; publishing goes on behind it.
    pub async fn share(&self, request: ShareRequest) -> Result<Share, NodeError> {
        self.ask(|reply| Command::Share(request, reply)).await?
    }

    /// Starts a fetch and returns its number; [`status`](Self::status) tells how it goes.
    pub async fn fetch(&self, request: FetchRequest) -> Result<u64, NodeError> {
        self.ask(|reply| Command::Fetch(request, reply)).await?
    }

    /// Ends a fetch, at once, and serves its copy no longer. What it wrote stays.
    pub async fn forget(&self, which: Which) -> Result<Forgotten, NodeError> {
        self.ask(|reply| Command::Forget(which, reply)).await?
    }

    /// Withdraws a share, at once.
    pub async fn unshare(&self, info_hash: String) -> Result<(), NodeError> {
        self.ask(|reply| Command::Unshare(info_hash, reply)).await?
    }

    /// Makes a friend code; [`status`](Self::status) tells what becomes of it.
    pub async fn invite(&self, request: InviteRequest) -> Result<Meeting, NodeError> {
        self.ask(|reply| Command::Friend(friends::Ask::Invite(request, reply))).await?
    }

    /// Takes a friend's code and begins to call; [`status`](Self::status) tells how it goes.
    pub async fn accept(&self, request: AcceptRequest) -> Result<Meeting, NodeError> {
        self.ask(|reply| Command::Friend(friends::Ask::Accept(request, reply))).await?
    }

    /// Ends a friend code, at once, or forgets one that has ended.
    pub async fn cancel_meeting(&self, id: u64) -> Result<(), NodeError> {
        self.ask(|reply| Command::Friend(friends::Ask::Cancel(id, reply))).await?
    }

    /// Everything worth keeping, as the bytes of a keep file.
    pub async fn keep(&self, passphrase: Passphrase) -> Result<Vec<u8>, NodeError> {
        self.ask(|reply| Command::Keep(passphrase, reply)).await?
    }

    /// Stops the node; returns when everything it had to write is written.
    pub async fn stop(&self) -> Result<(), NodeError> {
        self.ask(Command::Stop).await
    }

    /// The node as of now.
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// The node's figures as Prometheus reads them, at most as fresh as `metrics.every` says. For the owner alone.
    pub fn metrics(&self) -> String {
        self.metrics.tell(&self.status())
    }

    /// Traffic, memory and temperature of the last hour and day.
    pub fn history(&self) -> Arc<History> {
        self.history.borrow().clone()
    }

    /// Everything that happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Asks something of the published services.
    pub(crate) async fn of_publisher<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> crate::publish::command::Command,
    ) -> Result<T, NodeError> {
        self.ask(|reply| Command::Publish(command(reply))).await
    }

    /// Sends a command and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, NodeError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| NodeError::Stopping)?;
        answer.await.map_err(|_| NodeError::Stopping)
    }
}
