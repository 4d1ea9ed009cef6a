//! What the owner may ask of the tracker.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{Tracker, plan};
use crate::net::Address;
use crate::node::run::Node;
use crate::node::{self, About, Handle, NodeError};
use crate::state::tracker::Tracker as Plan;
use crate::status::{SearchEvent, Share, TrustCost};

/// Characters of a search.
const MAX_WORDS: usize = 256;

/// Lines of a search that wait for a slow reader.
const LINES: usize = 64;

/// Whom to trust.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRequest {
    /// Onion address of the node.
    pub address: String,
    /// What to call it. Given again, it replaces the one before.
    #[serde(default)]
    pub name: Option<String>,
    /// Not to tell others that we trust it: nobody who trusts us comes to trust it through us.
    #[serde(default)]
    pub untold: bool,
}

/// What to mirror.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorRequest {
    /// Onion address of the node.
    pub address: String,
    /// Whether the copy is kept up to date.
    pub follow: bool,
}

type Reply<T> = oneshot::Sender<Result<T, NodeError>>;

/// What travels to the node's task.
#[derive(Debug)]
pub(crate) enum Command {
    Publish(String, About, Reply<Share>),
    Unpublish(String, Reply<Share>),
    Trust(TrustRequest, Reply<()>),
    Distrust(String, Reply<()>),
    Block(String, Reply<()>),
    Unblock(String, Reply<()>),
    Degree(u8, bool, Reply<TrustCost>),
    Mirror(MirrorRequest, Reply<()>),
    Unmirror(String, Reply<()>),
    Search(String, Reply<mpsc::Receiver<SearchEvent>>),
}

impl Handle {
    /// Moves a share into the public catalogue, at once. Its link changes; the token stays.
    pub async fn publish(&self, info_hash: String) -> Result<Share, NodeError> {
        self.publish_about(info_hash, About::default()).await
    }

    /// The same, and says in public what the share is. Also changes what is said about one that is public already.
    pub async fn publish_about(&self, info_hash: String, about: About) -> Result<Share, NodeError> {
        self.order(|reply| Command::Publish(info_hash, about, reply)).await
    }

    /// Takes a share out of the public catalogue, at once: it gets an onion and a token that nobody knows yet.
    pub async fn unpublish(&self, info_hash: String) -> Result<Share, NodeError> {
        self.order(|reply| Command::Unpublish(info_hash, reply)).await
    }

    /// Trusts a node, or changes how it is called.
    pub async fn trust_add(&self, request: TrustRequest) -> Result<(), NodeError> {
        self.order(|reply| Command::Trust(request, reply)).await
    }

    /// Trusts a node no longer. Takes its name or its address.
    pub async fn trust_remove(&self, node: String) -> Result<(), NodeError> {
        self.order(|reply| Command::Distrust(node, reply)).await
    }

    /// Blocks a node, whoever vouches for it. Takes its name or its address.
    pub async fn trust_block(&self, node: String) -> Result<(), NodeError> {
        self.order(|reply| Command::Block(node, reply)).await
    }

    /// Takes a block back.
    pub async fn trust_unblock(&self, node: String) -> Result<(), NodeError> {
        self.order(|reply| Command::Unblock(node, reply)).await
    }

    /// Tells what a degree of trust would cost, and turns it on if it is to be applied.
    pub async fn trust_degree(&self, degree: u8, apply: bool) -> Result<TrustCost, NodeError> {
        self.order(|reply| Command::Degree(degree, apply, reply)).await
    }

    /// Copies a node's records and serves them from here.
    pub async fn mirror_add(&self, request: MirrorRequest) -> Result<(), NodeError> {
        self.order(|reply| Command::Mirror(request, reply)).await
    }

    /// Forgets a copy.
    pub async fn mirror_remove(&self, address: String) -> Result<(), NodeError> {
        self.order(|reply| Command::Unmirror(address, reply)).await
    }

    /// Finds shares; drop the receiver to stop it.
    pub async fn search(&self, words: String) -> Result<mpsc::Receiver<SearchEvent>, NodeError> {
        self.order(|reply| Command::Search(words, reply)).await
    }

    async fn order<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, NodeError> {
        self.ask(|reply| node::Command::Tracker(command(reply))).await?
    }
}

impl Node {
    /// Does what was asked. Whoever asked may be gone by now; the deed stands.
    pub(in crate::node) async fn obey_tracker(self: Rc<Self>, command: Command) {
        match command {
            Command::Publish(info_hash, about, reply) => {
                self.answer(reply, self.publish(&info_hash, about)).await;
            }
            Command::Unpublish(info_hash, reply) => self.answer(reply, self.unpublish(&info_hash)).await,
            Command::Trust(request, reply) => {
                let done = self.change(|wanted| plan::trust(wanted, &request, &self.own_host()));
                self.answer(reply, done).await;
            }
            Command::Distrust(node, reply) => {
                let done = self.change(|wanted| plan::distrust(wanted, &node));
                self.answer(reply, done).await;
            }
            Command::Block(node, reply) => {
                let done = self.change(|wanted| plan::block(wanted, &node));
                self.answer(reply, done).await;
            }
            Command::Unblock(node, reply) => {
                let done = self.change(|wanted| plan::unblock(wanted, &node));
                self.answer(reply, done).await;
            }
            Command::Degree(degree, apply, reply) => {
                let done = self.degree(degree, apply);
                self.answer(reply, done).await;
            }
            Command::Mirror(request, reply) => {
                let done = self.change(|wanted| plan::mirror(wanted, &request, &self.own_host()));
                self.answer(reply, done).await;
            }
            Command::Unmirror(address, reply) => {
                let done = self.change(|wanted| plan::unmirror(wanted, &address));
                self.answer(reply, done).await;
            }
            Command::Search(words, reply) => {
                _ = reply.send(self.search(words));
            }
        }
    }

    /// Trusts a node whose owner is a friend. A name that cannot be had is left out.
    pub(in crate::node) fn befriend(&self, friend: Address, name: Option<String>) -> Result<(), NodeError> {
        let trust = |name| {
            let request = TrustRequest { address: friend.host(), name, untold: false };
            self.change(|wanted| plan::trust(wanted, &request, &self.own_host()))
        };
        trust(name).or_else(|_| trust(None))
    }

    async fn answer<T>(&self, reply: Reply<T>, done: Result<T, NodeError>) {
        self.show().await;
        _ = reply.send(done);
    }

    fn own_host(&self) -> String {
        self.primary.address().host()
    }

    /// Changes what is wanted of the tracker, keeps it, and does it.
    fn change(&self, change: impl FnOnce(&mut Plan) -> Result<(), NodeError>) -> Result<(), NodeError> {
        let tracker = self.tracker()?;
        let mut wanted = self.plan();
        change(&mut wanted)?;
        self.set_plan(wanted.clone())?;
        tracker.apply(wanted);
        self.declare();
        let taken_back = tracker.taken_back();
        if self.state.borrow().tombstones == taken_back {
            return Ok(());
        }
        self.state.borrow_mut().tombstones = taken_back;
        self.save()
    }

    fn tracker(&self) -> Result<&Rc<Tracker>, NodeError> {
        self.tracker.as_ref().ok_or_else(|| {
            NodeError::Failed("the tracker is off; set enabled = true under [tracker] and start again".into())
        })
    }

    fn degree(&self, degree: u8, apply: bool) -> Result<TrustCost, NodeError> {
        if !(1..=bulbil_core::limits::MAX_DEGREE).contains(&degree) {
            let most = bulbil_core::limits::MAX_DEGREE;
            return Err(NodeError::Bad(format!("a degree of trust is a number from 1 to {most}")));
        }
        let mut cost = self.tracker()?.cost(degree);
        if apply {
            self.change(|wanted| {
                wanted.degree = degree;
                Ok(())
            })?;
            cost.applied = true;
        }
        Ok(cost)
    }

    fn search(&self, words: String) -> Result<mpsc::Receiver<SearchEvent>, NodeError> {
        let tracker = Rc::clone(self.tracker()?);
        if words.trim().is_empty() || words.chars().count() > MAX_WORDS {
            return Err(NodeError::Bad(format!(
                "search for one or more words, {MAX_WORDS} characters at most"
            )));
        }
        let (out, events) = mpsc::channel(LINES);
        tokio::task::spawn_local(tracker.search(words, out));
        Ok(events)
    }
}
