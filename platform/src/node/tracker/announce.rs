//! Tells those who list a public share that we serve it too: once the share's owner is gone, nobody else would.
//!
//! Each conversation is about one share, under a key and on a circuit of its own. So nobody there learns which node serves
//! it, nor that one node serves two.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bulbil_core::id::{NodeKey, RecordId};
use bulbil_core::rate::Backoff;
use bulbil_core::tracker::Body;
use bulbil_core::tracker::record::Edition;
use log::debug;
use tokio::sync::Notify;

use super::guests::MAX_OF_ONE;
use super::neighbour::Neighbour;
use super::{LinkRecords, Tracker};
use crate::node::open;
use crate::state::Secret;

/// Several shares may become whole at once, and a list of shares comes in many frames.
const GATHER: Duration = Duration::from_secs(2);

/// Milliseconds until those who could not be reached are tried again, doubling.
const RETRY_MS: (u64, u64) = (30_000, 1_800_000);

/// Shares announced at most: as many as a node fetches.
const MAX_SHARES: usize = crate::node::MAX_FETCHES;

/// What was told is remembered up to here. Beyond, it may be told twice.
const MAX_TOLD: usize = 16 * 1024;

/// What is said, and to whom it was said since the last renewal.
#[derive(Default)]
pub(super) struct Announcements {
    /// We serve another share, or somebody lists another.
    pub(super) due: Notify,
    links: RefCell<Vec<Weak<LinkRecords>>>,
    told: RefCell<HashMap<(NodeKey, RecordId), Edition>>,
}

impl Announcements {
    /// Whoever was told may have forgotten it with its power: all is told again where it is not seen.
    pub(super) fn renew(&self) {
        self.told.borrow_mut().clear();
        self.due.notify_one();
    }
}

/// One conversation to be had.
struct Visit {
    to: Rc<Neighbour>,
    links: Rc<LinkRecords>,
    news: Vec<(RecordId, Edition)>,
}

/// Tells what changed, for as long as the tracker is there.
pub(super) async fn run(tracker: Weak<Tracker>) {
    let mut retry = Backoff::new(RETRY_MS.0, RETRY_MS.1);
    let mut again = None;
    loop {
        let Some(now) = tracker.upgrade() else { return };
        let retrying = async {
            match again {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = now.announcements.due.notified() => {}
            () = retrying => {}
        }
        tokio::time::sleep(GATHER).await;
        again = if now.tell_listers().await {
            retry.succeeded();
            None
        } else {
            Some(Duration::from_millis(retry.failed(0)))
        };
    }
}

impl Tracker {
    /// From now on whoever lists this share is told who serves it. By now we do.
    pub(crate) fn announce(&self, links: &Rc<LinkRecords>) {
        let mut all = self.announcements.links.borrow_mut();
        all.retain(|one| one.strong_count() > 0);
        let new = !all.iter().any(|one| std::ptr::eq(one.as_ptr(), Rc::as_ptr(links)));
        if new && all.len() < MAX_SHARES {
            all.push(Rc::downgrade(links));
        }
        self.announcements.due.notify_one();
    }

    /// Has every conversation that is due. `false` if somebody was away.
    async fn tell_listers(&self) -> bool {
        let mut away: Vec<NodeKey> = Vec::new();
        for Visit { to, links, news } in self.visits() {
            let (node, ids) = (to.node(), news.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            if away.contains(&node) {
                continue;
            }
            let Ok(seed) = open::random() else { continue };
            match self.hand(&to, links.records(), &Secret(seed), &ids).await {
                Ok(()) => {
                    let mut told = self.announcements.told.borrow_mut();
                    if told.len() >= MAX_TOLD {
                        told.clear();
                    }
                    told.extend(news.into_iter().map(|(id, edition)| ((node, id), edition)));
                }
                Err(why) => {
                    debug!("a node that lists a share of ours is away: {why}");
                    away.push(node);
                }
            }
        }
        away.is_empty()
    }

    /// Who lacks what. A share's own author hears it from those who hold the link.
    fn visits(&self) -> Vec<Visit> {
        let links: Vec<_> = self.announcements.links.borrow().iter().filter_map(Weak::upgrade).collect();
        let links: Vec<_> = links.into_iter().filter(|links| self.is_known(links)).collect();
        let mut visits = Vec::new();
        for neighbour in self.neighbours.borrow().iter() {
            let mut listed = HashSet::new();
            neighbour.records.each(|record| {
                if let Body::Share { info_hash, .. } = record.body
                    && record.author != neighbour.node()
                {
                    listed.insert(info_hash);
                }
            });
            for links in links.iter().filter(|links| listed.contains(&links.info_hash())) {
                let news = self.news_for(neighbour, links);
                if !news.is_empty() {
                    visits.push(Visit { to: Rc::clone(neighbour), links: Rc::clone(links), news });
                }
            }
        }
        visits
    }

    /// Whether everyone may know the share's token: else saying who serves it would give the link away.
    fn is_known(&self, links: &LinkRecords) -> bool {
        let says =
            |source: &super::Source| source.info_hash == links.info_hash() && source.token == *links.token();
        links.is_public() || !self.ground.sources.find(says).is_empty()
    }

    /// Who serves the share, as far as a node was not told and does not list it.
    fn news_for(&self, neighbour: &Neighbour, links: &LinkRecords) -> Vec<(RecordId, Edition)> {
        let told = self.announcements.told.borrow();
        let mut news = links.editions();
        news.retain(|(id, edition)| {
            let known = told.get(&(neighbour.node(), *id)).copied().max(neighbour.records.edition(id));
            known < Some(*edition)
        });
        news.truncate(MAX_OF_ONE);
        news
    }
}
