//! The node's post: where it gets its key, its names and its place in the state from.

use std::rc::Rc;

use super::Node;
use crate::node::NodeError;
use crate::node::mail::{Ask, Nobody, Post, PostParts};
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
            contacts: Rc::new(Nobody),
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
