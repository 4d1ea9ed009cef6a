//! Copies of our public records on a few of the nodes we trust, and of theirs here: what a node says can be found while it
//! is away. Who keeps what follows from names alone (`bulbil_core::tracker::ring`); a node that cannot be reached is stood in
//! for by the next.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bulbil_core::id::{NodeKey, PeerKey, RecordId};
use bulbil_core::pump::Clock as _;
use bulbil_core::tracker::record::Edition;
use bulbil_core::tracker::{Kind, Rank, Record, Ring};
use bulbil_core::transport::SendFrame as _;
use log::debug;
use tokio::sync::Notify;

use super::Tracker;
use super::neighbour::Neighbour;
use super::records::Records;
use super::talk::{Talk, Wants};
use crate::node::door::{Callee, Carrying};
use crate::node::halves::Halves;
use crate::state::Secret;

/// After a change others may follow at once; all of them go in one call.
const GATHER: Duration = Duration::from_secs(2);

/// Records that one node hands us in one conversation at most.
const MAX_HANDED: u32 = 2 * 1024;

/// Authors whose records we keep for others at most.
const MAX_KEPT: usize = 4096;

/// Rounds of standing in for nodes that turn out to be away.
const ROUNDS: usize = 3;

/// What is known of where copies are.
#[derive(Default)]
pub(super) struct Spread {
    /// Something of ours changed.
    pub(super) due: Notify,
    /// Nodes that could not be reached when last called.
    away: RefCell<HashSet<NodeKey>>,
    /// What each keeper was given since the last renewal.
    handed: RefCell<HashMap<(NodeKey, RecordId), Edition>>,
    /// For whom we keep what these authors said.
    kept: RefCell<HashMap<NodeKey, NodeKey>>,
}

impl Spread {
    /// A call to this node went through, or not.
    pub(super) fn reached(&self, node: NodeKey, yes: bool) {
        let mut away = self.away.borrow_mut();
        let news = if yes { away.remove(&node) } else { away.insert(node) };
        if news {
            self.due.notify_one(); // its part comes back to it, or moves on
        }
    }

    /// Keepers forget when their power goes: all is handed out again.
    pub(super) fn renew(&self) {
        self.handed.borrow_mut().clear();
        self.due.notify_one();
    }
}

/// Hands out what changed, for as long as the tracker is there.
pub(super) async fn run(tracker: Weak<Tracker>) {
    loop {
        let Some(now) = tracker.upgrade() else { return };
        now.spread.due.notified().await;
        tokio::time::sleep(GATHER).await;
        for _ in 0..ROUNDS {
            if now.hand_out().await {
                break;
            }
        }
    }
}

impl Tracker {
    /// Whether we keep what this author said for somebody we trust.
    pub(super) fn keeps_for(&self, author: &NodeKey) -> bool {
        let kept = self.spread.kept.borrow();
        kept.get(author).is_some_and(|by| self.reach.borrow().find(by).is_some())
    }

    /// Gives each keeper what it lacks of our records. `false` if one was away, so that others stand in for it now.
    async fn hand_out(&self) -> bool {
        let mut all_there = true;
        for (node, parts) in self.parts() {
            let neighbour = self.neighbours.borrow().iter().find(|one| one.node() == node).cloned();
            let Some(neighbour) = neighbour else { continue };
            let ids: Vec<RecordId> = parts.iter().map(|(id, _)| *id).collect();
            let outcome = self.hand(&neighbour, &self.served, &self.seed, &ids).await;
            match outcome {
                Ok(()) => {
                    let mut handed = self.spread.handed.borrow_mut();
                    handed.extend(parts.into_iter().map(|(id, edition)| ((node, id), edition)));
                    self.spread.away.borrow_mut().remove(&node);
                }
                Err(why) => {
                    debug!("a keeper is away: {why}");
                    self.spread.away.borrow_mut().insert(node);
                    all_there = false;
                }
            }
        }
        all_there
    }

    /// What each keeper has not been given yet. Whom we trust is nobody's business but those who ask us.
    fn parts(&self) -> HashMap<NodeKey, Vec<(RecordId, Edition)>> {
        let mut ring: Box<Ring<256>> = Box::new(Ring::new());
        for reached in self.reach.borrow().nodes() {
            _ = ring.join(reached.node); // as many as there can be
        }
        self.spread.away.borrow().iter().for_each(|node| ring.away(node));
        let own = self.served.with(|store| {
            let all = || store.iter().filter_map(|(bytes, rank)| Some((Record::decode(bytes).ok()?, rank)));
            let said = |(record, rank): &(Record<'_>, Rank)| {
                (*rank == Rank::OWN && record.body.about().0 == Kind::Share).then_some(record.body.about().1)
            };
            let shares: HashSet<[u8; 32]> = all().filter_map(|one| said(&one)).collect();
            // What we offer, and everyone who serves it.
            let ours = all().filter(|(record, rank)| {
                let (kind, subject) = record.body.about();
                kind != Kind::Trust && (*rank == Rank::OWN || shares.contains(&subject))
            });
            let ours = ours.filter_map(|(record, _)| Some((record.id(), store.edition(&record.id())?)));
            ours.collect::<Vec<(RecordId, Edition)>>()
        });
        let handed = self.spread.handed.borrow();
        let mut parts: HashMap<NodeKey, Vec<(RecordId, Edition)>> = HashMap::new();
        for (id, edition) in own {
            for keeper in ring.keepers(&id) {
                if handed.get(&(keeper, id)) != Some(&edition) {
                    parts.entry(keeper).or_default().push((id, edition));
                }
            }
        }
        parts
    }

    /// One conversation in which a node is told these of `records`, by the key of `seed`.
    pub(super) async fn hand(
        &self,
        neighbour: &Neighbour,
        records: &Rc<Records>,
        seed: &Secret<32>,
        ids: &[RecordId],
    ) -> Result<(), String> {
        let Ok(_call) = self.calls.acquire().await else { return Ok(()) };
        let mut halves = neighbour.open(seed).await?;
        let nothing = Box::new(|_: &Record<'_>| None);
        let talk = Talk::telling(records, self.ground.clock, halves.wear.clone(), nothing);
        for id in ids {
            talk.tell(*id);
        }
        tokio::select! {
            over = talk.run(&mut halves) => return Err(format!("it ended: {over:?}")),
            () = talk.settled() => {}
        }
        halves.tx.flush().await.map_err(|_| "the connection broke".to_owned())
    }

    /// What we take from a caller: of one we trust, its own shares and who serves them, to keep for it; of anybody else, that
    /// he serves a share that is listed here.
    fn takes(&self, caller: NodeKey) -> Wants {
        let me = self.me.clone();
        let left = Cell::new(MAX_HANDED);
        Box::new(move |record| {
            let tracker = me.upgrade()?;
            let degree = tracker.reach.borrow().find(&caller).map(|reached| reached.degree);
            let Some(degree) = degree else {
                tracker.rank_of(&record.author)?;
                left.set(left.get().checked_sub(1)?);
                return tracker.guests.admit(record);
            };
            let kind = record.body.about().0;
            let fits = kind == Kind::Peer || (kind == Kind::Share && record.author == caller);
            tracker.rank_of(&record.author).filter(|_| fits)?;
            left.set(left.get().checked_sub(1)?);
            let mut kept = tracker.spread.kept.borrow_mut();
            if kept.len() >= MAX_KEPT && !kept.contains_key(&record.author) {
                return None;
            }
            kept.insert(record.author, caller);
            Some(if kind == Kind::Share { Rank(degree) } else { Rank::STRANGER })
        })
    }
}

impl Callee for Tracker {
    /// Answers, and tells what changes. Takes what we are to keep for those we trust.
    fn converse(self: Rc<Self>, caller: PeerKey, mut halves: Halves) -> Carrying {
        Box::pin(async move {
            if self.is_blocked(&NodeKey(caller.0)) {
                return;
            }
            let clock = self.ground.clock;
            let Some(seat) = self.callers.enter(clock.now()) else { return };
            let talk = Talk::new(
                &self.served,
                (false, false),
                clock,
                halves.wear.clone(),
                self.takes(NodeKey(caller.0)),
            );
            drop(self);
            talk.run_in(&seat, &mut halves).await;
        })
    }
}
