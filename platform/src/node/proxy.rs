//! What the owner may tell the proxies, and ask of the network they use.

use std::time::Duration;

use tokio::sync::oneshot;

use super::run::Node;
use super::{Handle, NodeError};
use crate::config::Selfcheck;
use crate::selfcheck::Report;
use crate::status::NewIdentity;

/// Between two looks whether the node's address is up.
const LOOK: Duration = Duration::from_secs(1);

/// A command about them.
#[derive(Debug)]
pub(crate) enum Command {
    NewIdentity(oneshot::Sender<NewIdentity>),
    Selfcheck(Option<Selfcheck>, oneshot::Sender<Report>),
}

impl Handle {
    /// Closes all streams of other programs, and shares no circuit and no answer with what was before.
    pub async fn new_identity(&self) -> Result<NewIdentity, NodeError> {
        self.ask(|reply| super::Command::Proxy(Command::NewIdentity(reply))).await
    }

    /// Checks the node with its own Tor, by these settings or its own. One at a time; a report of the last minute is given again.
    pub async fn selfcheck(&self, settings: Option<Selfcheck>) -> Result<Report, NodeError> {
        self.ask(|reply| super::Command::Proxy(Command::Selfcheck(settings, reply))).await
    }
}

impl Node {
    pub(super) async fn obey_proxy(&self, command: Command) {
        // Whoever asked may be gone by now; the deed stands.
        match command {
            Command::NewIdentity(reply) => drop(reply.send(self.proxies.new_identity())),
            Command::Selfcheck(settings, reply) => drop(reply.send(self.selfcheck(settings).await)),
        }
    }

    async fn selfcheck(&self, settings: Option<Selfcheck>) -> Report {
        let settings = settings.unwrap_or_else(|| self.config.selfcheck.clone());
        let own = self.config.tracker.enabled.then_some(async {
            while !self.primary.is_reachable() {
                tokio::time::sleep(LOOK).await;
            }
            self.primary.address()
        });
        self.desk.report(&self.ground.network, &settings, own, !self.config.publish.is_empty()).await
    }
}
