//! The end of a fetch that its owner wants no more.

use std::path::PathBuf;
use std::time::Duration;

use super::Fetch;
use crate::node::Forgotten;
use crate::status::FetchState;
use crate::store::Fetched;

/// For so long those who list the share can be told that we serve it no more.
const PARTING: Duration = Duration::from_secs(30);

impl Fetch {
    /// What it leaves behind.
    pub(in crate::node) fn farewell(&self) -> Forgotten {
        let view = self.view();
        let finished = self.late.get() || view.state == FetchState::Done;
        Forgotten {
            id: view.id,
            info_hash: view.info_hash,
            kept: self.kept(finished),
            name: view.name,
            size: view.size,
            done: view.done,
            finished,
        }
    }

    fn kept(&self, finished: bool) -> Option<PathBuf> {
        let (metadata, out) = (self.metadata.borrow(), &self.parts.out);
        let name = metadata.as_ref()?.name();
        let path = if finished { out.join(name) } else { Fetched::part(out, name) };
        path.symlink_metadata().is_ok().then_some(path)
    }

    /// Ends it, and says that we serve the share no more.
    pub(in crate::node) fn part(&self) {
        if let Some(links) = self.links.take() {
            links.retract();
            if let Some(tracker) = &self.parts.tracker {
                tracker.announce(&links);
            }
            tokio::task::spawn_local(async move {
                tokio::time::sleep(PARTING).await;
                drop(links);
            });
        }
        self.close();
    }
}
