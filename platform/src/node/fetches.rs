//! The fetches of a node: begun, begun again, taken up after a restart, and forgotten.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use log::{info, warn};
use serde::{Deserialize, Serialize};

use super::fetch::{Fetch, FetchParts, News};
use super::room::Pass;
use super::run::{Node, random};
use super::{FetchRequest, NodeError};
use crate::link::Link;
use crate::net::{AccessKey, ServiceKey};
use crate::state::{FetchEntry, SecretText};
use crate::store::Content;

/// Fetches of one node. Beyond that those that are over make room, the oldest first.
pub const MAX_FETCHES: usize = 256;

/// Which fetch is meant.
#[derive(Clone, Debug)]
pub enum Which {
    /// The one of this number on this node.
    Number(u64),
    /// The only one of this share: 64 hexadecimal digits, in lower case.
    InfoHash(String),
}

/// A fetch that was forgotten, and what it leaves behind.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Forgotten {
    /// The number it had.
    pub id: u64,
    /// 64 hexadecimal digits, if they were known.
    pub info_hash: Option<String>,
    /// Name, if it was known.
    pub name: Option<String>,
    /// Bytes of all files, if that was known.
    pub size: Option<u64>,
    /// Bytes that were verified and written.
    pub done: u64,
    /// Whether that was all of it, under its own name.
    pub finished: bool,
    /// What stays on the disk: the share, or the hidden folder from which the same fetch would go on. None if there is nothing.
    pub kept: Option<PathBuf>,
}

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
        let over = match &again {
            Some(fetch) => Some(Rc::clone(fetch)),
            None => self.make_room()?,
        };
        let id = self.state.borrow().last_fetch.saturating_add(1);
        let record = FetchEntry {
            id,
            link: SecretText(request.link.clone()),
            out: request.out.clone(),
            info_hash: again.as_ref().and_then(|fetch| fetch.info_hash()),
            done: false,
            onion: random()?,
            peer: random()?,
        };
        let gone = over.as_ref().map(|fetch| fetch.parts.id);
        self.amend(|state| {
            state.last_fetch = id;
            state.fetches.retain(|entry| Some(entry.id) != gone);
            state.fetches.push(record.clone());
        })?;
        if let Some(fetch) = over {
            self.let_go(&fetch);
        }
        self.start_fetch(record)?;
        Ok(id)
    }

    /// The fetch that makes room for one more, if one has to.
    fn make_room(&self) -> Result<Option<Rc<Fetch>>, NodeError> {
        let fetches = self.fetches.borrow();
        if fetches.len() < MAX_FETCHES {
            return Ok(None);
        }
        let oldest = fetches.iter().find(|fetch| fetch.is_over()).cloned();
        let full = || {
            NodeError::Failed(format!(
                "{MAX_FETCHES} fetches run already, which is the limit; wait until one is done, or end one with `bulbil forget`"
            ))
        };
        oldest.map(Some).ok_or_else(full)
    }

    /// Ends a fetch and serves its copy no longer, at once. What it wrote stays.
    pub(super) fn forget(self: &Rc<Self>, which: &Which) -> Result<Forgotten, NodeError> {
        let fetch = self.pick(which)?;
        let gone = fetch.farewell();
        self.drop_fetch(&fetch).map_err(|why| {
            NodeError::Failed(format!(
                "the fetch is ended, but that could not be saved: {why}; the node goes on trying, and until then a restart would take it up again"
            ))
        })?;
        Ok(gone)
    }

    fn pick(&self, which: &Which) -> Result<Rc<Fetch>, NodeError> {
        let is_meant = |fetch: &&Rc<Fetch>| match which {
            Which::Number(id) => fetch.parts.id == *id,
            Which::InfoHash(info_hash) => fetch.info_hash().as_ref() == Some(info_hash),
        };
        let fetches = self.fetches.borrow();
        let meant: Vec<&Rc<Fetch>> = fetches.iter().filter(is_meant).collect();
        match meant.as_slice() {
            [] => Err(NodeError::Missing(
                "no fetch has this number or info-hash; `bulbil list` shows them".into(),
            )),
            [fetch] => Ok(Rc::clone(fetch)),
            several => {
                let numbers: Vec<String> = several.iter().map(|fetch| fetch.parts.id.to_string()).collect();
                let numbers = numbers.join(", ");
                Err(NodeError::Bad(format!(
                    "several fetches have this info-hash; name one by its number: {numbers}"
                )))
            }
        }
    }

    /// Ends a fetch, and keeps no metadata that nothing else needs.
    fn let_go(&self, fetch: &Rc<Fetch>) {
        fetch.part();
        self.fetches.borrow_mut().retain(|other| !Rc::ptr_eq(other, fetch));
        if let Some(info_hash) = fetch.info_hash() {
            self.drop_torrent(&info_hash);
        }
    }

    /// Ends a fetch and remembers it no longer.
    fn drop_fetch(self: &Rc<Self>, fetch: &Rc<Fetch>) -> Result<(), NodeError> {
        self.state.borrow_mut().fetches.retain(|entry| entry.id != fetch.parts.id);
        self.let_go(fetch);
        self.note(|_| ()) // after room was made for it
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
        let link = parse(&record.link.0)?;
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
            was_done: record.done,
            tracker: self.tracker.clone(),
        };
        let node = Rc::downgrade(self);
        let tell = Rc::new(move |id, news: News<'_>| {
            if let Some(node) = node.upgrade() {
                node.hear_of_fetch(id, &news);
            }
        });
        let fetch = Fetch::start(parts, self.ground.clone(), self.number(), tell);
        self.fetches.borrow_mut().push(fetch);
        Ok(())
    }

    fn hear_of_fetch(self: &Rc<Self>, id: u64, news: &News<'_>) {
        match news {
            News::Learned(metadata) => self.learned(id, metadata),
            News::Done => {
                if let Err(why) = self.edit_fetch(id, |record| record.done = true) {
                    warn!("that a fetch is done could not be saved yet: {why}");
                }
            }
            News::Gone => {
                info!("a fetch that was done before is forgotten: its files were moved away");
                let dropped = self.pick(&Which::Number(id)).and_then(|fetch| self.drop_fetch(&fetch));
                if let Err(why) = dropped {
                    warn!("that a fetch was forgotten could not be saved yet: {why}");
                }
                self.ground.news.notify_one();
            }
        }
    }

    /// Keeps what a restart needs to go on without asking again.
    fn learned(self: &Rc<Self>, id: u64, metadata: &Content) {
        let info_hash = metadata.info_hash().to_string();
        let learn = |record: &mut FetchEntry| record.info_hash = Some(info_hash.clone());
        if let Err(why) = self.keep(metadata).and_then(|()| self.edit_fetch(id, learn)) {
            warn!("a restart would have to learn a share again: {why}");
        }
    }

    fn edit_fetch(self: &Rc<Self>, id: u64, edit: impl FnMut(&mut FetchEntry)) -> Result<(), NodeError> {
        self.note(|state| state.fetches.iter_mut().filter(|record| record.id == id).for_each(edit))
    }
}

fn parse(link: &str) -> Result<Link, NodeError> {
    link.parse().map_err(|why: crate::link::BadLink| NodeError::Bad(why.to_string()))
}
