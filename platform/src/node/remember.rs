//! What the node remembers: its state, and metadata beside it.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::NodeError;
use super::run::Node;
use crate::state::State;
use crate::store::Content;

/// Between two tries to save what has happened.
const AGAIN: Duration = Duration::from_secs(5);

impl Node {
    /// Changes what is remembered, on disk first: where that fails, nothing has changed.
    pub(super) fn amend<T>(&self, edit: impl FnOnce(&mut State) -> T) -> Result<T, NodeError> {
        let mut changed = self.state.borrow().clone();
        let done = edit(&mut changed);
        self.write(&changed)?;
        self.unsaved.set(false);
        self.state.replace(changed);
        Ok(done)
    }

    /// Remembers what has happened already and cannot be undone. If it cannot be saved, that is tried again until it can.
    pub(super) fn note(self: &Rc<Self>, edit: impl FnOnce(&mut State)) -> Result<(), NodeError> {
        edit(&mut self.state.borrow_mut());
        self.save().inspect_err(|_| self.save_later())
    }

    fn save_later(self: &Rc<Self>) {
        if self.unsaved.replace(true) {
            return;
        }
        let node = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(AGAIN).await;
                let Some(node) = node.upgrade() else { return };
                if !node.unsaved.get() || node.save().is_ok() {
                    return;
                }
            }
        });
    }

    pub(super) fn save(&self) -> Result<(), NodeError> {
        self.write(&self.state.borrow())?;
        self.unsaved.set(false);
        Ok(())
    }

    fn write(&self, state: &State) -> Result<(), NodeError> {
        self.state_dir.save(state).map_err(|why| NodeError::Failed(why.to_string()))
    }

    pub(super) fn torrent_path(&self, info_hash: &str) -> PathBuf {
        self.state_dir.path().join(format!("{info_hash}.torrent"))
    }

    /// Keeps metadata beside the state, as a `.torrent`.
    pub(super) fn keep(&self, metadata: &Content) -> Result<(), NodeError> {
        std::fs::write(self.torrent_path(&metadata.info_hash().to_string()), metadata.to_torrent()).map_err(
            |why| NodeError::Failed(format!("the state directory cannot be written: {why}; make room there")),
        )
    }

    /// Removes kept metadata, unless a share or a fetch still needs it.
    pub(super) fn drop_torrent(&self, info_hash: &str) {
        let state = self.state.borrow();
        let is_shared = state.shares.iter().any(|entry| entry.info_hash == info_hash);
        if !is_shared && !state.fetches.iter().any(|entry| entry.info_hash.as_deref() == Some(info_hash)) {
            _ = std::fs::remove_file(self.torrent_path(info_hash)); // in RAM, and useless from now on
        }
    }

    pub(super) fn load(&self, info_hash: &str) -> Option<Content> {
        let bytes = std::fs::read(self.torrent_path(info_hash)).ok()?;
        Content::from_torrent(&bytes).ok().filter(|metadata| metadata.info_hash().to_string() == info_hash)
    }
}
