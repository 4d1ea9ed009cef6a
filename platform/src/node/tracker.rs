//! What the node tells others and asks of them: its records, whom it trusts, whom it mirrors, what it finds.
//!
//! Served to everyone who knows our address: our own records, and those of nodes we mirror. Records of trusted nodes are
//! copied as well, each node's into a store of its own, but only to be searched here; whoever wants them asks that node.

mod announce;
pub(super) mod command;
mod guests;
mod horizon;
mod keep;
mod link;
mod neighbour;
mod plan;
mod records;
mod search;
mod sources;
mod spread;
mod talk;
mod tombstones;
mod upkeep;
mod view;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bulbil_core::id::{InfoHash, NodeKey};
use bulbil_core::limits::RECORD_LIFE_S;
use bulbil_core::tracker::{Body, Kind, Rank, Record, Visibility};
use bulbil_core::trust::Horizon;
use ed25519_dalek::SigningKey;
use tokio::sync::{Notify, Semaphore};

use super::Seats;
use super::open;
use super::room::Ground;
use crate::net::{Address, ServiceKey};
use crate::state::Secret;
use crate::state::tracker::Tracker as Plan;
use neighbour::{Bond, Calling, Neighbour};
use records::{PLACE_BYTES, Records};

pub(crate) use link::LinkRecords;
pub(crate) use sources::{Source, Sources};

/// Seconds for which a node that serves a share says so; said again at half of it. A node that is gone is called in vain for
/// so long.
const PEER_LIFE_S: u64 = 7 * 24 * 3600;

/// Conversations about our records that others may have with us at once; some 100 KiB each.
const MAX_CALLERS: usize = 16;

/// The same about the records of all shares together.
const MAX_LINK_CALLERS: usize = 32;

/// Milliseconds in which a caller told and asked nothing, after which its place may be another's. It may call again, and
/// then hears what it missed.
const CALLER_IDLE_MS: u64 = 120_000;

/// Records of one trusted node: as many as a store keeps of one author.
const TRUSTED_PLACES: usize = bulbil_core::limits::AUTHOR_QUOTA;

/// Nodes called at once.
const MAX_CALLS: usize = 4;

/// A part of the node's memory that may hold the records we serve: 4 096 of them by default.
const MEMORY_SHARE: u64 = 64;

/// Numbers of our circuits start here: rooms count from one.
const FIRST_NUMBER: u64 = 1 << 62;

/// Everyone trusted.
type Reach = Horizon<256>;

/// See the module. Lives on the node's thread.
pub(crate) struct Tracker {
    ground: Ground,
    /// Where copies lie that a restart takes up.
    folder: PathBuf,
    seed: Secret<32>,
    us: NodeKey,
    budget: usize,
    served: Rc<Records>,
    callers: Seats,
    link_callers: Seats,
    plan: RefCell<Plan>,
    reach: RefCell<Box<Reach>>,
    neighbours: RefCell<Vec<Rc<Neighbour>>>,
    numbers: Cell<u64>,
    /// Trust may have changed.
    rethink: Notify,
    calls: Semaphore,
    spread: spread::Spread,
    announcements: announce::Announcements,
    guests: guests::Guests,
    me: Weak<Self>,
}

impl Tracker {
    /// Serves nothing and knows nobody yet. `memory` is that of the whole node, in bytes.
    pub(crate) fn new(
        key: &ServiceKey,
        (budget, memory): (usize, u64),
        folder: &Path,
        ground: Ground,
    ) -> Rc<Self> {
        let places = usize::try_from(memory / MEMORY_SHARE / PLACE_BYTES).unwrap_or(usize::MAX);
        let served = Records::new(places.clamp(512, 65_536), Visibility::Public);
        ground.sources.add(&served);
        let us = NodeKey(key.address(super::PORT).key);
        let tracker = Rc::new_cyclic(|me: &Weak<Self>| Self {
            ground,
            folder: folder.to_owned(),
            seed: Secret(*key.seed()),
            us,
            budget,
            served,
            callers: Seats::new(MAX_CALLERS, CALLER_IDLE_MS),
            link_callers: Seats::new(MAX_LINK_CALLERS, CALLER_IDLE_MS),
            plan: RefCell::default(),
            reach: RefCell::default(),
            neighbours: RefCell::default(),
            numbers: Cell::new(FIRST_NUMBER),
            rethink: Notify::new(),
            calls: Semaphore::new(MAX_CALLS),
            spread: spread::Spread::default(),
            announcements: announce::Announcements::default(),
            guests: guests::Guests::default(),
            me: me.clone(),
        });
        let listing = Rc::downgrade(&tracker);
        tracker.served.set_hear(Rc::new(move |record, _| {
            if let Some(tracker) = listing.upgrade() {
                tracker.listed(record);
            }
        }));
        tokio::task::spawn_local(upkeep::run(Rc::downgrade(&tracker)));
        tokio::task::spawn_local(announce::run(Rc::downgrade(&tracker)));
        tokio::task::spawn_local(spread::run(Rc::downgrade(&tracker)));
        tracker
    }

    /// Places for conversations about the records of shares.
    pub(crate) fn link_callers(&self) -> Seats {
        self.link_callers.clone()
    }

    /// Lists a public share and where it is served; `link` knows who else does.
    pub(crate) fn list(&self, share: Body<'_>, link: &LinkRecords) {
        self.served.claim(&self.key(), share, RECORD_LIFE_S);
        for (signed, ours) in link.signed() {
            self.list_peer(&signed, ours);
        }
        self.spread.due.notify_one();
    }

    /// Lists one more record about who serves a public share: `ours` that we do, or somebody else's that he does.
    pub(crate) fn list_peer(&self, signed: &[u8], ours: bool) {
        self.served.put(signed, if ours { Rank::OWN } else { Rank::STRANGER });
        self.spread.due.notify_one();
    }

    /// Takes a share out of the list, at once and everywhere. `seed` is that of our key in its swarm.
    pub(crate) fn unlist(&self, info_hash: InfoHash, seed: &Secret<32>) {
        self.served.retract(&self.key(), Kind::Share, info_hash.0);
        self.served.retract(&SigningKey::from_bytes(&seed.0), Kind::Peer, info_hash.0);
        self.spread.due.notify_one();
    }

    /// Ends every conversation.
    pub(crate) fn close(&self) {
        self.keep();
        self.neighbours.borrow().iter().for_each(|neighbour| neighbour.let_go());
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.seed.0)
    }

    /// Does what the owner wants from now on.
    pub(crate) fn apply(self: &Rc<Self>, plan: Plan) {
        let before = told(&self.plan.borrow());
        self.plan.replace(plan);
        let now = told(&self.plan.borrow());
        for gone in before.iter().filter(|address| !now.contains(address)) {
            self.served.retract(&self.key(), Kind::Trust, gone.key);
        }
        self.renew();
        self.reconsider();
        self.purge();
    }

    /// Says again what we say about ourselves.
    fn renew(&self) {
        for address in told(&self.plan.borrow()) {
            let name = open::name_of(address);
            let body = Body::Trust { node: NodeKey(address.key), name: &name };
            self.served.claim(&self.key(), body, RECORD_LIFE_S);
        }
    }

    /// Works out anew whom we trust, and keeps up with exactly those and the mirrored ones.
    fn reconsider(self: &Rc<Self>) {
        let web = self.web(self.plan.borrow().degree);
        self.reach.replace(Box::new(web.horizon(self.plan.borrow().degree, self.budget)));
        let wanted = self.wanted();
        let kept = |neighbour: &Neighbour| wanted.contains(&(neighbour.address, neighbour.bond));
        let (stay, gone): (Vec<_>, Vec<_>) = self.neighbours.take().into_iter().partition(|one| kept(one));
        for neighbour in gone {
            neighbour.let_go();
            if !wanted.iter().any(|(address, _)| *address == neighbour.address) {
                self.let_lie(&neighbour);
            }
        }
        self.neighbours.replace(stay);
        for (address, bond) in wanted {
            let known = self.neighbours.borrow().iter().any(|neighbour| neighbour.address == address);
            if !known {
                self.meet(address, bond);
            }
        }
        self.spread.due.notify_one();
        self.ground.news.notify_one();
    }

    /// Whom to keep up with: everyone mirrored, then everyone trusted, but nobody blocked.
    fn wanted(&self) -> Vec<(Address, Bond)> {
        let plan = self.plan.borrow();
        let blocked = addresses(&plan.blocked);
        let mut wanted: Vec<(Address, Bond)> = Vec::new();
        for mirror in &plan.mirrors {
            let bond = if mirror.follow { Bond::Follow } else { Bond::Once };
            if let Ok(address) = Address::of_node(&mirror.address)
                && !blocked.contains(&address)
            {
                wanted.push((address, bond));
            }
        }
        for reached in self.reach.borrow().nodes() {
            let address = Address { key: reached.node.0, port: super::PORT };
            if !wanted.iter().any(|(known, _)| known.key == address.key) {
                wanted.push((address, Bond::Trusted));
            }
        }
        wanted
    }

    /// Begins to keep up with a node.
    fn meet(self: &Rc<Self>, address: Address, bond: Bond) {
        let places = if bond == Bond::Trusted { TRUSTED_PLACES } else { self.served.places() };
        let number = self.numbers.get();
        self.numbers.set(number.wrapping_add(1));
        let neighbour = Neighbour::new(address, bond, places, self.ground.clone(), number);
        self.ground.sources.add(&neighbour.records);
        let me = self.me.clone();
        neighbour.records.set_hear(Rc::new(move |record, bytes| {
            if let Some(tracker) = me.upgrade() {
                tracker.heard(record, bytes, bond != Bond::Trusted);
            }
        }));
        self.neighbours.borrow_mut().push(Rc::clone(&neighbour));
        let (me, other) = (self.me.clone(), Rc::downgrade(&neighbour));
        neighbour.keep(async move {
            let (Some(tracker), Some(neighbour)) = (me.upgrade(), other.upgrade()) else { return };
            if bond != Bond::Trusted {
                tracker.take_up(&neighbour).await;
            }
            let calling = || tracker.calling(&neighbour);
            match bond {
                Bond::Follow => neighbour.follow(calling).await,
                Bond::Once => tracker.visit_until_there(&neighbour).await,
                Bond::Trusted => drop(tracker.visit(&neighbour, Duration::ZERO).await),
            }
        });
    }

    /// Asks a node for what changed, unless that was done within `age`.
    async fn visit(&self, neighbour: &Rc<Neighbour>, age: Duration) -> Result<(), String> {
        let Ok(_call) = self.calls.acquire().await else { return Ok(()) };
        let visited = neighbour.visit(age, || self.calling(neighbour)).await;
        self.spread.reached(neighbour.node(), visited.is_ok());
        visited
    }

    /// A copy that is made once is tried until it was made.
    async fn visit_until_there(&self, neighbour: &Rc<Neighbour>) {
        let mut retry = bulbil_core::rate::Backoff::new(5_000, 300_000);
        while self.visit(neighbour, Duration::MAX).await.is_err() {
            tokio::time::sleep(Duration::from_millis(retry.failed(0))).await;
        }
    }

    /// What a conversation with this node is opened with: those whom the owner trusts himself learn who we are, all
    /// others talk to a key that nobody will see again.
    fn calling(&self, neighbour: &Neighbour) -> Calling {
        let node = neighbour.node();
        let ours = self.reach.borrow().find(&node).is_some_and(|reached| reached.degree == 1);
        let random = || open::random().map_or_else(|_| self.seed.clone(), Secret);
        let seed = if ours { self.seed.clone() } else { random() };
        let me = self.me.clone();
        let wants = Box::new(move |record: &Record<'_>| {
            let tracker = me.upgrade()?;
            let rank = tracker.rank_of(&record.author)?;
            Some(if record.author == node { rank.min(Rank(1)) } else { rank })
        });
        Calling { seed, wants }
    }

    /// How far away an author is; `None` for those who are blocked, and for ourselves: nobody tells us what we said.
    fn rank_of(&self, author: &NodeKey) -> Option<Rank> {
        if *author == self.us || self.is_blocked(author) {
            return None;
        }
        Some(self.reach.borrow().find(author).map_or(Rank::STRANGER, |reached| Rank(reached.degree)))
    }

    fn is_blocked(&self, node: &NodeKey) -> bool {
        addresses(&self.plan.borrow().blocked).iter().any(|address| address.key == node.0)
    }

    /// A record came into a neighbour's store.
    fn heard(&self, record: &Record<'_>, bytes: &[u8], mirrored: bool) {
        match record.body.about().0 {
            Kind::Trust => self.rethink.notify_one(),
            Kind::Share => self.announcements.due.notify_one(),
            Kind::Peer => {}
        }
        if mirrored && let Some(rank) = self.rank_of(&record.author) {
            self.served.put(bytes, rank);
        } else {
            self.ground.sources.heard(record);
        }
    }
}

/// Addresses of those we tell others that we trust.
fn told(plan: &Plan) -> Vec<Address> {
    let told = plan.trust.iter().filter(|entry| entry.told);
    told.filter_map(|entry| Address::of_node(&entry.address).ok()).collect()
}

fn addresses(texts: &[String]) -> Vec<Address> {
    texts.iter().filter_map(|text| Address::of_node(text).ok()).collect()
}
