//! What the configuration says is shared: made once, one after the other, when it is there. A block that cannot be shared costs that
//! block alone.

use std::cell::RefCell;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::time::Duration;

use log::warn;

use super::ShareRequest;
use super::run::Node;
use crate::config;
use crate::status::standing::{Standing, StandingState};

/// Between two looks for what is not there yet. One look is one system call for each block.
const LOOK: Duration = Duration::from_secs(2);

/// All blocks and how far each is.
#[derive(Debug, Default)]
pub(super) struct StandingList(RefCell<Vec<Standing>>);

impl StandingList {
    pub(super) fn new(blocks: &[config::Share]) -> Self {
        let standing = |block: &config::Share| Standing {
            path: block.path.display().to_string(),
            ..Standing::default()
        };
        Self(RefCell::new(blocks.iter().map(standing).collect()))
    }

    pub(super) fn view(&self) -> Vec<Standing> {
        self.0.borrow().clone()
    }

    fn set(&self, at: usize, state: StandingState) {
        if let Some(standing) = self.0.borrow_mut().get_mut(at) {
            standing.state = state;
        }
    }

    fn is_awaited(&self, at: usize) -> bool {
        self.0.borrow().get(at).is_some_and(|standing| standing.state == StandingState::Awaited)
    }
}

/// Shares every block as soon as its path is there. Ends when none is awaited, or with the node.
pub(super) async fn run(node: Weak<Node>) {
    loop {
        let Some(node) = node.upgrade() else { return };
        let mut awaited = false;
        for (at, block) in node.config.share.iter().enumerate() {
            if !node.standing.is_awaited(at) {
                continue;
            }
            if block.path.try_exists().is_ok_and(|there| !there) {
                awaited = true;
                continue;
            }
            node.stand(at, block).await;
        }
        if !awaited {
            return;
        }
        drop(node);
        tokio::time::sleep(LOOK).await;
    }
}

impl Node {
    async fn stand(self: &Rc<Self>, at: usize, block: &config::Share) {
        if let Some(info_hash) = self.shared_at(block) {
            self.standing.set(at, StandingState::Shared(info_hash));
            return self.show().await;
        }
        self.standing.set(at, StandingState::Hashing);
        let request = ShareRequest {
            paths: vec![block.path.clone()],
            name: block.name.clone(),
            piece_length: block.piece_bytes(),
            public: block.public,
            browser: block.browser,
        };
        let state = match self.share(request).await {
            Ok(share) => StandingState::Shared(share.info_hash),
            Err(why) => {
                warn!("a [[share]] block of the configuration cannot be shared; `bulbil list` says why");
                StandingState::Failed(why.to_string())
            }
        };
        self.standing.set(at, state);
        self.show().await;
    }

    /// The share that this block became before a restart: of the same name, and all of its files lie there.
    fn shared_at(&self, block: &config::Share) -> Option<String> {
        let last = || block.path.file_name().and_then(|name| name.to_str());
        let name = block.name.as_deref().or_else(last)?;
        let offers = self.offers.borrow();
        let is_it = |sources: &[std::path::PathBuf]| {
            let within = |source: &Path| source.starts_with(&block.path);
            !sources.is_empty() && sources.iter().all(|source| within(source))
        };
        let found = offers.iter().find(|offer| offer.parts.name == name && is_it(&offer.sources()));
        found.map(|offer| offer.info_hash.clone())
    }
}
