//! What the page asks of the node: its own entry in the state, and where the files of a share lie.

use std::path::PathBuf;

use tokio::sync::oneshot;

use super::run::Node;
use super::{Command, Handle, NodeError};
use crate::keep::Passphrase;
use crate::state::PageEntry;

/// See the module.
#[derive(Debug)]
pub(crate) enum PageCommand {
    Read(oneshot::Sender<PageEntry>),
    Write(Box<PageEntry>, oneshot::Sender<Result<(), NodeError>>),
    Sources(String, oneshot::Sender<Option<Vec<PathBuf>>>),
    KeepTo(PathBuf, Passphrase, oneshot::Sender<Result<(), NodeError>>),
}

impl Handle {
    /// What the page keeps.
    pub(crate) async fn page(&self) -> Result<PageEntry, NodeError> {
        self.ask(|reply| Command::Page(PageCommand::Read(reply))).await
    }

    /// Keeps this for the page instead; returns when it is written.
    pub(crate) async fn keep_page(&self, entry: PageEntry) -> Result<(), NodeError> {
        self.ask(|reply| Command::Page(PageCommand::Write(Box::new(entry), reply))).await?
    }

    /// The files of a share of ours, absolute; `None` if there is no such share.
    pub(crate) async fn sources(&self, info_hash: String) -> Result<Option<Vec<PathBuf>>, NodeError> {
        self.ask(|reply| Command::Page(PageCommand::Sources(info_hash, reply))).await
    }

    /// From now on the node keeps itself in this file; returns when it is written.
    pub(crate) async fn keep_to(&self, file: PathBuf, passphrase: Passphrase) -> Result<(), NodeError> {
        self.ask(|reply| Command::Page(PageCommand::KeepTo(file, passphrase, reply))).await?
    }
}

impl Node {
    pub(super) async fn obey_page(&self, command: PageCommand) {
        // Whoever asked may be gone by now.
        match command {
            PageCommand::Read(reply) => _ = reply.send(self.state.borrow().page.clone()),
            PageCommand::Write(entry, reply) => {
                self.state.borrow_mut().page = *entry;
                _ = reply.send(self.save());
            }
            PageCommand::Sources(info_hash, reply) => {
                let offers = self.offers.borrow();
                let offer = offers.iter().find(|offer| offer.info_hash == info_hash);
                _ = reply.send(offer.map(|offer| offer.parts.sources.clone()));
            }
            PageCommand::KeepTo(file, passphrase, reply) => {
                let done = self.keeper.keep_to(file, passphrase).await;
                self.show().await;
                _ = reply.send(done.map_err(|why| NodeError::Failed(why.to_string())));
            }
        }
    }
}
