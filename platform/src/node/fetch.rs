//! One fetch, from the link to the last byte, over any number of failures on the way.

mod learn;
mod touch;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bulbil_core::bits::Bits;
use bulbil_core::id::PeerKey;
use bulbil_core::pump::Clock as _;
use bulbil_core::rate::Backoff;
use bulbil_core::swarm::{block_slot, block_slots};
use log::{info, warn};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::door::{self, Callee, Guide};
use super::halves::Halves;
use super::open::name_of;
use super::room::{self, Ground, Pass, Room};
use super::shelf::{Shelf, explain_write};
use super::tracker::{LinkRecords, Source, Tracker};
use crate::link::Link;
use crate::net::ServiceKey;
use crate::status::{self, FetchState};
use crate::store::{Content, Fetched, OpenError};

/// A fetch that heard from nobody for so long is given up; what is verified stays.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// Milliseconds between two tries to reach the link, doubling.
const RETRY_MS: (u64, u64) = (2_000, 60_000);

/// What a fetch is made of.
pub(crate) struct FetchParts {
    pub(crate) id: u64,
    pub(crate) link: Link,
    pub(crate) out: PathBuf,
    pub(crate) pass: Pass,
    /// Of the service at which other fetchers of this share reach us.
    pub(crate) key: ServiceKey,
    pub(crate) fsync: crate::config::Fsync,
    /// Known from before a restart.
    pub(crate) metadata: Option<Arc<Content>>,
    /// Knows who else serves it, and whom to tell that we do.
    pub(crate) tracker: Option<Rc<Tracker>>,
}

/// See the module.
pub(crate) struct Fetch {
    pub(crate) parts: FetchParts,
    ground: Ground,
    number: u64,
    state: RefCell<FetchState>,
    metadata: RefCell<Option<Arc<Content>>>,
    room: RefCell<Option<Rc<Room>>>,
    /// Told when the metadata becomes known, so that the node can keep it.
    learned: Learned,
    reachable: Cell<bool>,
    /// Others who serve the same, as records say.
    known: RefCell<Vec<Source>>,
    links: RefCell<Option<Rc<LinkRecords>>>,
    task: RefCell<Option<JoinHandle<()>>>,
}

/// Hears the number of a fetch and what was learned about it.
pub(crate) type Learned = Rc<dyn Fn(u64, &Content)>;

/// A conversation that was opened and carries no blocks yet.
struct Lane {
    name: [u8; 34],
    key: PeerKey,
    halves: Halves,
}

/// Why an attempt ended.
enum Trouble {
    /// Worth another try.
    Passing(String),
    /// Worth another try: all places at the node are taken.
    Busy,
    /// The owner has to do something.
    Final(String),
}

/// What is said of a node all of whose places are taken.
fn busy(wait: Duration) -> String {
    format!("the node is busy; tried again in {} s", wait.as_millis().div_ceil(1000))
}

impl Fetch {
    /// Starts it.
    pub(crate) fn start(parts: FetchParts, ground: Ground, number: u64, learned: Learned) -> Rc<Self> {
        let fetch = Rc::new(Self {
            state: RefCell::default(),
            metadata: RefCell::new(parts.metadata.clone()),
            parts,
            ground,
            number,
            room: RefCell::default(),
            learned,
            reachable: Cell::new(false),
            known: RefCell::default(),
            links: RefCell::default(),
            task: RefCell::default(),
        });
        let running = tokio::task::spawn_local(Rc::clone(&fetch).run());
        fetch.task.replace(Some(running));
        fetch
    }

    /// Whether it is the fetch of this link into this folder.
    pub(crate) fn is(&self, link: &Link, out: &Path) -> bool {
        self.parts.out == out && self.parts.link == *link
    }

    /// Ends it where it is. What is verified is on disk.
    pub(crate) fn close(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        if let Some(room) = self.room.take() {
            room.close();
        }
    }

    fn set_state(&self, state: FetchState) {
        if *self.state.borrow() != state {
            self.state.replace(state);
            self.ground.news.notify_one();
        }
    }

    pub(crate) fn current_room(&self) -> Option<Rc<Room>> {
        self.room.borrow().clone()
    }

    /// What the owner may see.
    pub(crate) fn view(&self) -> status::Fetch {
        let metadata = self.metadata.borrow();
        let mut view = status::Fetch {
            id: self.parts.id,
            info_hash: metadata.as_ref().map(|metadata| metadata.info_hash().to_string()),
            name: metadata.as_ref().map(|metadata| metadata.name().to_owned()),
            out: self.parts.out.display().to_string(),
            size: metadata.as_ref().map(|metadata| metadata.layout().total()),
            state: self.state.borrow().clone(),
            ..status::Fetch::default()
        };
        if let Some(room) = self.current_room() {
            let now = self.ground.clock.now();
            room.look(|swarm| {
                view.done = swarm.verified();
                view.downloaded = swarm.received();
                view.uploaded = swarm.sent();
                view.rate = swarm.rate(now);
                for peer in swarm.peers(now) {
                    view.peers += 1;
                    view.lanes += u32::try_from(peer.lanes.count()).unwrap_or(0);
                }
            });
        }
        view
    }

    async fn run(self: Rc<Self>) {
        let mut retry = Backoff::new(RETRY_MS.0, RETRY_MS.1);
        let began = Instant::now();
        let outcome = loop {
            match self.attempt(&mut retry).await {
                Ok(()) => break None,
                Err(Trouble::Final(why)) => break Some(why),
                Err(Trouble::Busy) => {
                    let wait = Duration::from_millis(retry.failed(0));
                    self.set_state(FetchState::Waiting(busy(wait)));
                    tokio::time::sleep(wait).await;
                }
                Err(Trouble::Passing(why)) if began.elapsed() > GIVE_UP => {
                    break Some(format!("gave up after 24 hours: {why}"));
                }
                Err(Trouble::Passing(why)) => {
                    let wait = Duration::from_millis(retry.failed(0));
                    self.set_state(FetchState::Waiting(why));
                    tokio::time::sleep(wait).await;
                }
            }
        };
        match outcome {
            None => {
                info!("a fetch is done: every byte is verified and written");
                self.set_state(FetchState::Done); // and served on until the node stops
                self.declare();
            }
            Some(why) => {
                warn!("a fetch failed; `bulbil list` says which and why");
                if let Some(room) = self.room.take() {
                    room.close();
                }
                self.set_state(FetchState::Failed(why));
            }
        }
    }

    /// One try: from wherever the last one got to.
    async fn attempt(self: &Rc<Self>, retry: &mut Backoff) -> Result<(), Trouble> {
        let mut lane = None;
        if self.metadata.borrow().is_none() {
            let (metadata, opened) = self.learn().await?;
            retry.succeeded();
            (self.learned)(self.parts.id, &metadata);
            self.metadata.replace(Some(Arc::new(metadata)));
            lane = Some(opened);
        }
        let room = self.enter().await?;
        let name = name_of(self.parts.link.address);
        room.set_origin(&name, lane.as_ref().is_some_and(|lane: &Lane| lane.name == name));
        if let Some(Lane { name, key, halves }) = lane {
            let own = Rc::clone(&room);
            room.spawn(async move { own.carry(key, Some(&name), halves).await });
        }
        self.finish(&room).await
    }

    /// Opens the store and the room, and lets other fetchers reach us.
    async fn enter(self: &Rc<Self>) -> Result<Rc<Room>, Trouble> {
        if let Some(room) = self.current_room() {
            return Ok(room);
        }
        let metadata =
            self.metadata.borrow().clone().ok_or_else(|| Trouble::Passing("not learned yet".into()))?;
        let (out, fsync) = (self.parts.out.clone(), self.parts.fsync);
        // Looking at what is there already hashes it all: not on this thread.
        let opening = tokio::task::spawn_blocking({
            let metadata = Arc::clone(&metadata);
            move || {
                let store = Fetched::open(metadata, &out, fsync)?;
                Ok::<_, OpenError>((here(&store), store))
            }
        });
        let opened =
            opening.await.map_err(|_| Trouble::Passing("opening the files was interrupted".into()))?;
        let (blocks, store) = opened.map_err(open_trouble)?;
        let layout = metadata.layout().clone();
        let blocks = blocks.ok_or_else(|| Trouble::Final(room::TooLarge.to_string()))?;
        let room = Room::open(
            self.ground.clone(),
            self.parts.pass.clone(),
            self.number,
            Shelf::Fetched(store),
            layout,
            blocks,
        )
        .map_err(|why| Trouble::Final(why.to_string()))?;
        self.room.replace(Some(Rc::clone(&room)));
        self.set_state(FetchState::Fetching);
        let serving = Rc::clone(self);
        room.spawn(async move { serving.serve().await });
        self.get_in_touch(&room, metadata.info_hash());
        Ok(room)
    }

    /// Takes calls from other fetchers, for as long as the room stands.
    async fn serve(self: Rc<Self>) {
        let network = &self.ground.network;
        if network.ready().await.is_err() {
            return;
        }
        let pass = &self.parts.pass;
        let service = match network.serve(&self.parts.key, super::PORT, pass.access.as_ref()).await {
            Ok(service) => service,
            Err(why) => {
                warn!("other fetchers cannot reach this node: {why}");
                return;
            }
        };
        let reachable = service.reachable();
        let guide: Rc<dyn Guide> = Rc::clone(&self) as Rc<dyn Guide>;
        tokio::select! {
            () = door::keep(service, guide) => {}
            () = super::offer::watch(reachable, |up| self.set_reachable(up)) => {}
        }
    }

    /// Others are told our name once it can be called.
    fn set_reachable(&self, up: bool) {
        if let Some(room) = self.current_room().filter(|_| up && !self.reachable.replace(up)) {
            let name = name_of(self.parts.key.address(super::PORT));
            room.set_names(name.as_slice().try_into().into_iter().collect());
            self.declare();
        }
    }

    /// Waits for the last block, and puts everything in its place.
    async fn finish(&self, room: &Rc<Room>) -> Result<(), Trouble> {
        loop {
            let (whole, fault, alone) = room.look(|swarm| {
                (swarm.is_whole(), swarm.fault(), swarm.peers(self.ground.clock.now()).next().is_none())
            });
            if whole {
                return room.store(Shelf::finish).map_err(|why| Trouble::Final(why.to_string()));
            }
            if let Some(fault) = fault {
                let why = explain_write(fault);
                self.set_state(FetchState::Waiting(why));
                tokio::time::sleep(FAULT_PAUSE).await; // there may be room again
                room.change(room::Swarm::resume);
                continue;
            }
            match room.trouble() {
                _ if alone && room.is_busy() => self.set_state(FetchState::Waiting(busy(room.until_due()))),
                (_, true) if alone => return Err(Trouble::Final(REFUSED.into())),
                (Some(why), _) if alone => self.set_state(FetchState::Waiting(why.to_string())),
                _ => self.set_state(FetchState::Fetching),
            }
            // Woken by events; the tick only refreshes what is shown.
            _ = tokio::time::timeout(TICK, room.turned.notified()).await;
        }
    }
}

/// Until it is tried again to write to a full disk.
const FAULT_PAUSE: Duration = Duration::from_secs(5);

/// How often the state is looked at without an event.
const TICK: Duration = Duration::from_secs(1);

/// The one thing that is said of wrong tokens, revoked and missing shares.
const REFUSED: &str =
    "the node refused this link: it is wrong, or the share was withdrawn; ask its owner for a new one";

/// Room may be made while we wait; everything else is the owner's to change.
fn open_trouble(why: OpenError) -> Trouble {
    match why {
        OpenError::Full(..) => Trouble::Passing(why.to_string()),
        other => Trouble::Final(other.to_string()),
    }
}

/// The blocks that are there already, as the swarm counts them.
fn here(store: &Fetched) -> Option<Bits<Box<[u64]>>> {
    let layout = store.content().layout();
    let mut blocks = room::bits(block_slots(layout)?)?;
    for id in store.content().blocks().filter(|id| store.has(*id)) {
        blocks.set(block_slot(layout, id));
    }
    Some(blocks)
}

impl Guide for Fetch {
    fn is_short(&self) -> bool {
        self.ground.short.refuses()
    }

    fn passes(&self) -> Vec<Pass> {
        vec![self.parts.pass.clone()]
    }

    fn room(&self, _: &Pass) -> Option<Rc<Room>> {
        self.current_room()
    }

    fn records(&self, _: &Pass) -> Option<Rc<dyn Callee>> {
        Some(self.links.borrow().clone()? as Rc<dyn Callee>)
    }
}
