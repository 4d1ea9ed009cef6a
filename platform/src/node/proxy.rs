//! What the owner may tell the proxies.

use tokio::sync::oneshot;

use super::run::Node;
use super::{Handle, NodeError};
use crate::status::NewIdentity;

/// A command about them.
#[derive(Debug)]
pub(crate) enum Command {
    NewIdentity(oneshot::Sender<NewIdentity>),
}

impl Handle {
    /// Closes all streams of other programs, and shares no circuit and no answer with what was before.
    pub async fn new_identity(&self) -> Result<NewIdentity, NodeError> {
        self.ask(|reply| super::Command::Proxy(Command::NewIdentity(reply))).await
    }
}

impl Node {
    pub(super) fn obey_proxy(&self, command: Command) {
        match command {
            // Whoever asked may be gone by now; the deed stands.
            Command::NewIdentity(reply) => drop(reply.send(self.proxies.new_identity())),
        }
    }
}
