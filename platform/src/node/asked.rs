//! What the owner asks of the parts that stand beside the shares.

use std::rc::Rc;

use tokio::sync::oneshot;

use super::NodeError;
use super::friends::Ask;
use super::run::Node;
use crate::keep::Passphrase;

impl Node {
    /// Seals everything worth keeping.
    pub(super) async fn seal(
        &self,
        passphrase: Passphrase,
        reply: oneshot::Sender<Result<Vec<u8>, NodeError>>,
    ) {
        let sealed = self.keeper.seal(passphrase).await;
        self.show().await;
        _ = reply.send(sealed.map_err(|why| NodeError::Failed(why.to_string()))); // whoever asked may be gone
    }

    /// Makes or takes a friend code, or ends one.
    pub(super) async fn meet(&self, ask: Ask) {
        let answer = self.friends.obey(ask);
        self.show().await;
        answer();
    }

    /// From now on whoever is met is trusted.
    pub(super) fn welcome_friends(self: &Rc<Self>) {
        let node = Rc::downgrade(self);
        self.friends.introduce_to(move |friend, name| {
            node.upgrade().map_or(Ok(()), |node| node.befriend(friend, name)).map_err(|why| why.to_string())
        });
    }
}
