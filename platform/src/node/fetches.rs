//! The fetches of a node: begun, begun again, and taken up after a restart.

use std::rc::Rc;
use std::sync::Arc;

use log::warn;

use super::fetch::{Fetch, FetchParts};
use super::room::Pass;
use super::run::{Node, random};
use super::{FetchRequest, NodeError};
use crate::link::Link;
use crate::net::{AccessKey, ServiceKey};
use crate::state::FetchEntry;
use crate::store::Content;

/// Fetches of one node, finished ones too.
pub const MAX_FETCHES: usize = 256;

impl Node {
    /// Begins a fetch. One of the same link into the same folder that runs already is that fetch; one that is over is
    /// begun again: what it wrote may be gone by now, or what was in its way.
    pub(super) fn fetch(self: &Rc<Self>, request: &FetchRequest) -> Result<u64, NodeError> {
        let link = parse(&request.link)?;
        if !request.out.is_dir() {
            return Err(NodeError::Bad("the folder to fetch into does not exist; create it first".into()));
        }
        let again = self.fetches.borrow().iter().find(|fetch| fetch.is(&link, &request.out)).cloned();
        if let Some(fetch) = again.as_ref().filter(|fetch| !fetch.is_over()) {
            return Ok(fetch.parts.id); // its caller watches it like the first one did
        }
        if again.is_none() && self.fetches.borrow().len() >= MAX_FETCHES {
            return Err(NodeError::Failed(format!(
                "{MAX_FETCHES} fetches are the limit; restart the node to forget the finished ones"
            )));
        }
        let id = {
            let mut state = self.state.borrow_mut();
            state.last_fetch = state.last_fetch.saturating_add(1);
            state.last_fetch
        };
        let record = FetchEntry {
            id,
            link: request.link.clone(),
            out: request.out.clone(),
            info_hash: again.as_ref().and_then(|fetch| fetch.info_hash()),
            onion: random()?,
            peer: random()?,
        };
        let over = again.as_ref().map(|fetch| fetch.parts.id);
        {
            let mut state = self.state.borrow_mut();
            state.fetches.retain(|entry| Some(entry.id) != over);
            state.fetches.push(record.clone());
        }
        self.save()?;
        if let Some(fetch) = again {
            fetch.close();
            self.fetches.borrow_mut().retain(|other| !Rc::ptr_eq(other, &fetch));
        }
        self.start_fetch(record)?;
        Ok(id)
    }

    /// Goes on with the fetches of before a restart.
    pub(super) fn take_up(self: &Rc<Self>, records: Vec<FetchEntry>) {
        for record in records {
            if let Err(why) = self.start_fetch(record) {
                warn!("a fetch of before could not be taken up: {why}");
            }
        }
    }

    fn start_fetch(self: &Rc<Self>, record: FetchEntry) -> Result<(), NodeError> {
        let link = parse(&record.link)?;
        let access = (!link.public).then(|| AccessKey::derive(link.token.as_bytes()));
        let pass = Pass { token: link.token.clone(), seed: record.peer, access };
        let parts = FetchParts {
            id: record.id,
            link,
            out: record.out,
            pass,
            key: ServiceKey::from_seed(record.onion.0),
            fsync: self.config.swarm.fsync,
            metadata: record.info_hash.and_then(|info_hash| self.load(&info_hash)).map(Arc::new),
            tracker: self.tracker.clone(),
        };
        let node = Rc::downgrade(self);
        let learned = Rc::new(move |id, metadata: &Content| {
            if let Some(node) = node.upgrade() {
                node.learned(id, metadata);
            }
        });
        let fetch = Fetch::start(parts, self.ground.clone(), self.number(), learned);
        self.fetches.borrow_mut().push(fetch);
        Ok(())
    }

    /// Keeps what a restart needs to go on without asking again.
    fn learned(&self, id: u64, metadata: &Content) {
        for record in self.state.borrow_mut().fetches.iter_mut().filter(|record| record.id == id) {
            record.info_hash = Some(metadata.info_hash().to_string());
        }
        if let Err(why) = self.keep(metadata).and_then(|()| self.save()) {
            warn!("a restart would have to learn a share again: {why}");
        }
    }
}

fn parse(link: &str) -> Result<Link, NodeError> {
    link.parse().map_err(|why: crate::link::BadLink| NodeError::Bad(why.to_string()))
}
