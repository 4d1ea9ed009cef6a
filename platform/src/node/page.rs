//! What the page asks of the node: its own entry in the state, and where the files of a share lie.

use std::fmt;
use std::path::PathBuf;

use tokio::sync::oneshot;

use super::run::Node;
use super::{Command, Handle, NodeError};
use crate::keep::Passphrase;
use crate::state::{PageEntry, Secret};

/// See the module.
#[derive(Debug)]
pub(crate) enum PageCommand {
    Read(oneshot::Sender<PageEntry>),
    Change(Option<Secret<32>>, Change, oneshot::Sender<Result<PageEntry, NodeError>>),
    Forget(oneshot::Sender<Result<(), NodeError>>),
    KeepNowhere(oneshot::Sender<()>),
    Sources(String, oneshot::Sender<Option<Vec<PathBuf>>>),
    KeepTo(PathBuf, Passphrase, oneshot::Sender<Result<(), NodeError>>),
}

/// What becomes of the page's entry: done where the entry lives, so that two that come together both count.
pub(crate) struct Change(Box<dyn FnOnce(&mut PageEntry) + Send>);

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Change")
    }
}

impl Handle {
    /// What the page keeps.
    pub(crate) async fn page(&self) -> Result<PageEntry, NodeError> {
        self.ask(|reply| Command::Page(PageCommand::Read(reply))).await
    }

    /// Changes what the page keeps, and gives the whole of it when that is written. `seal` is the one under which whoever asks
    /// was let in: under another one, nothing is changed.
    pub(crate) async fn change_page(
        &self,
        seal: Option<Secret<32>>,
        change: impl FnOnce(&mut PageEntry) + Send + 'static,
    ) -> Result<PageEntry, NodeError> {
        let change = Change(Box::new(change));
        self.ask(|reply| Command::Page(PageCommand::Change(seal, change, reply))).await?
    }

    /// Forgets the page's password; returns when that is written.
    pub(crate) async fn forget_page(&self) -> Result<(), NodeError> {
        self.ask(|reply| Command::Page(PageCommand::Forget(reply))).await?
    }

    /// The files of a share of ours, absolute; `None` if there is no such share.
    pub(crate) async fn sources(&self, info_hash: String) -> Result<Option<Vec<PathBuf>>, NodeError> {
        self.ask(|reply| Command::Page(PageCommand::Sources(info_hash, reply))).await
    }

    /// From now on the node keeps itself in this file; returns when it is written.
    pub(crate) async fn keep_to(&self, file: PathBuf, passphrase: Passphrase) -> Result<(), NodeError> {
        self.ask(|reply| Command::Page(PageCommand::KeepTo(file, passphrase, reply))).await?
    }

    /// From now on the node does not keep itself any more. The file stays.
    pub(crate) async fn keep_nowhere(&self) -> Result<(), NodeError> {
        self.ask(|reply| Command::Page(PageCommand::KeepNowhere(reply))).await
    }
}

/// Said to who was let in under another password.
const CHANGED: &str = "the password of this page was set or changed meanwhile, and nothing was done; sign in again and see what it says now";

impl Node {
    pub(super) async fn obey_page(&self, command: PageCommand) {
        // Whoever asked may be gone by now.
        match command {
            PageCommand::Read(reply) => _ = reply.send(self.state.borrow().page.clone()),
            PageCommand::Change(seal, Change(change), reply) => {
                let done = if self.state.borrow().page.seal == seal {
                    self.amend(|state| {
                        change(&mut state.page);
                        state.page.clone()
                    })
                } else {
                    Err(NodeError::Bad(CHANGED.into()))
                };
                _ = reply.send(done);
            }
            PageCommand::Forget(reply) => {
                let done = self.amend(|state| state.page = std::mem::take(&mut state.page).forgotten());
                _ = reply.send(done);
            }
            PageCommand::KeepNowhere(reply) => {
                self.keeper.keep_nowhere();
                self.show().await;
                _ = reply.send(());
            }
            PageCommand::Sources(info_hash, reply) => {
                let offers = self.offers.borrow();
                let offer = offers.iter().find(|offer| offer.info_hash == info_hash);
                _ = reply.send(offer.map(|offer| offer.sources()));
            }
            PageCommand::KeepTo(file, passphrase, reply) => {
                let done = self.keeper.keep_to(file, passphrase).await;
                self.show().await;
                _ = reply.send(done.map_err(|why| NodeError::Failed(why.to_string())));
            }
        }
    }
}
