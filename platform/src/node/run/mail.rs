//! The node's post: where it gets its key, its names and its place in the state from.

use std::rc::{Rc, Weak};

use bulbil_core::id::NodeKey;

use super::Node;
use crate::net::Address;
use crate::node::NodeError;
use crate::node::mail::{Ask, Contacts, Post, PostParts};
use crate::state::{MailEntries, Secret};

impl Node {
    /// Opens the post, and lets it take the mail that comes to the node's own address.
    pub(super) fn open_mail(self: &Rc<Self>) {
        let node = Rc::downgrade(self);
        let keep = Rc::new(move |mail: MailEntries| {
            let node = node.upgrade().ok_or(NodeError::Stopping)?;
            node.state.borrow_mut().mail = mail;
            node.save()
        });
        let parts = PostParts {
            network: self.ground.network.clone(),
            clock: self.ground.clock,
            seed: Secret(*self.primary.key().seed()),
            me: self.primary.node(),
            number: self.number(),
            news: Rc::clone(&self.ground.news),
            contacts: Rc::new(Known(Rc::downgrade(self))),
            keep,
        };
        let entries = self.state.borrow().mail.clone();
        let post = self.post.get_or_init(|| Post::open(parts, entries));
        self.primary.set_mail(Rc::clone(post) as _);
    }

    pub(super) async fn mail(&self, ask: Ask) {
        match self.post.get() {
            Some(post) => Rc::clone(post).obey(ask).await,
            None => ask.refuse(),
        }
    }
}

/// Whom the owner trusts, and blocks.
struct Known(Weak<Node>);

impl Known {
    fn look<T>(&self, at: impl FnOnce(&crate::state::tracker::Tracker) -> Option<T>) -> Option<T> {
        at(&self.0.upgrade()?.state.borrow().tracker)
    }
}

impl Contacts for Known {
    fn node(&self, name: &str) -> Option<NodeKey> {
        self.look(|plan| {
            let entry = plan.trust.iter().find(|entry| entry.name.as_deref() == Some(name))?;
            Address::of_node(&entry.address).ok().map(|address| NodeKey(address.key))
        })
    }

    fn name(&self, node: &NodeKey) -> Option<String> {
        self.look(|plan| plan.trust.iter().find(|entry| is(&entry.address, node))?.name.clone())
    }

    fn blocks(&self, node: &NodeKey) -> bool {
        self.look(|plan| plan.blocked.iter().any(|blocked| is(blocked, node)).then_some(())).is_some()
    }
}

fn is(address: &str, node: &NodeKey) -> bool {
    Address::of_node(address).is_ok_and(|address| address.key == node.0)
}
