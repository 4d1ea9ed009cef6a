//! One fetch, from the link to the last byte, over any number of failures on the way.

mod damage;
pub(in crate::node) mod enter;
mod finish;
mod learn;
mod part;
mod touch;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bulbil_core::id::PeerKey;
use bulbil_core::pump::Clock as _;
use bulbil_core::rate::Backoff;
use log::{info, warn};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::door::{self, Callee, Guide};
use super::halves::Halves;
use super::open::name_of;
use super::room::{self, Ground, Pass, Room};
use super::shelf::Shelf;
use super::tracker::{LinkRecords, Source, Tracker};
use crate::link::Link;
use crate::net::ServiceKey;
use crate::status::{self, FetchState};
use crate::store::Content;

/// Milliseconds between two tries to reach the link, doubling.
const RETRY_MS: (u64, u64) = (2_000, 60_000);

/// The longest of these pauses, in milliseconds, while nothing is known of the share and fewer tries failed than this: a
/// node that was started again is found soon, and one that stays away is not called all day.
const EAGER: (u64, u32) = (15_000, 40);

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
    /// It was done before a restart.
    pub(crate) was_done: bool,
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
    tell: Tell,
    /// Bytes that were verified when it failed.
    verified: Cell<u64>,
    /// When somebody was last heard, and by what sign: the bytes verified and the lanes opened until then.
    heard: Cell<Instant>,
    sign: Cell<(u64, u64)>,
    damage: damage::Damage,
    /// Written pieces are being forced to the device.
    flushing: Rc<Cell<bool>>,
    reachable: Cell<bool>,
    started: Instant,
    /// See [`Trouble::Late`].
    late: Cell<bool>,
    /// Tries to learn what the link stands for.
    tries: Cell<u32>,
    /// Others who serve the same, as records say.
    known: RefCell<Vec<Source>>,
    links: RefCell<Option<Rc<LinkRecords>>>,
    task: RefCell<Option<JoinHandle<()>>>,
}

/// What the node hears of a fetch.
pub(crate) enum News<'n> {
    /// The metadata became known.
    Learned(&'n Content),
    /// Every byte is verified and in its place.
    Done,
    /// It was done before a restart, and its files are no longer there, though their folder is.
    Gone,
}

/// Hears the number of a fetch and what there is to say of it.
pub(crate) type Tell = Rc<dyn Fn(u64, News<'_>)>;

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
    /// Worth another try for as long as it takes: the node was heard, and all its places are taken.
    Busy,
    /// The owner has to do something.
    Final(String),
    /// It was done before a restart, and its files are not to be seen: looked for for as long as it takes.
    Late(String),
    /// See [`News::Gone`].
    Gone,
}

/// What is said of a node all of whose places are taken.
fn busy(wait: Duration) -> String {
    again("the node is busy", wait)
}

/// Why nothing moves, and when it is tried again.
fn again(why: &str, wait: Duration) -> String {
    format!("{why}; tried again in {} s", wait.as_millis().div_ceil(1000))
}

impl Fetch {
    /// Starts it.
    pub(crate) fn start(parts: FetchParts, ground: Ground, number: u64, tell: Tell) -> Rc<Self> {
        let fetch = Rc::new(Self {
            state: RefCell::default(),
            metadata: RefCell::new(parts.metadata.clone()),
            parts,
            ground,
            number,
            room: RefCell::default(),
            tell,
            verified: Cell::default(),
            heard: Cell::new(Instant::now()),
            sign: Cell::default(),
            damage: damage::Damage::default(),
            flushing: Rc::default(),
            reachable: Cell::new(false),
            started: Instant::now(),
            late: Cell::new(false),
            tries: Cell::new(0),
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

    /// Whether it has come to an end, good or bad. One that was done and whose files are not to be seen has: it may be
    /// begun again.
    pub(crate) fn is_over(&self) -> bool {
        self.late.get() || matches!(*self.state.borrow(), FetchState::Done | FetchState::Failed(_))
    }

    /// What is fetched, once known.
    pub(crate) fn info_hash(&self) -> Option<String> {
        self.metadata.borrow().as_ref().map(|metadata| metadata.info_hash().to_string())
    }

    /// Ends it where it is. What is verified is on disk.
    pub(crate) fn close(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        if let Some(room) = self.room.take() {
            room.close();
            room.store(Shelf::let_go);
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
            info_hash: self.info_hash(),
            name: metadata.as_ref().map(|metadata| metadata.name().to_owned()),
            out: self.parts.out.display().to_string(),
            size: metadata.as_ref().map(|metadata| metadata.layout().total()),
            done: self.verified.get(),
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
        let outcome = loop {
            let (why, wait) = match self.attempt(&mut retry).await {
                Ok(()) => break None,
                Err(Trouble::Gone) => return (self.tell)(self.parts.id, News::Gone),
                Err(Trouble::Final(why)) => break Some(why),
                Err(Trouble::Passing(why)) if self.is_given_up() => {
                    break Some(format!("gave up after 24 hours: {why}"));
                }
                Err(Trouble::Passing(why)) => {
                    let wait = Duration::from_millis(retry.failed(0).min(self.longest_pause()));
                    (again(&why, wait), wait)
                }
                Err(Trouble::Busy) => {
                    self.note_heard();
                    let wait = Duration::from_millis(retry.failed(0));
                    (busy(wait), wait)
                }
                Err(Trouble::Late(why)) => (why, enter::LOOK),
            };
            self.set_state(FetchState::Waiting(why));
            tokio::time::sleep(wait).await;
        };
        match outcome {
            None => {
                info!("a fetch is done: every byte is verified and written");
                self.set_state(FetchState::Done); // and served on until the node stops
                if !self.parts.was_done {
                    (self.tell)(self.parts.id, News::Done);
                }
                self.declare();
            }
            Some(why) => {
                warn!("a fetch failed; `bulbil list` says which and why");
                if let Some(room) = self.room.take() {
                    self.verified.set(room.look(room::Swarm::verified));
                    room.close();
                    room.store(Shelf::let_go);
                }
                self.set_state(FetchState::Failed(why));
            }
        }
    }

    /// Milliseconds, before the next try.
    fn longest_pause(&self) -> u64 {
        let eager = self.metadata.borrow().is_none() && self.tries.get() < EAGER.1;
        if eager { EAGER.0 } else { RETRY_MS.1 }
    }

    /// One try: from wherever the last one got to.
    async fn attempt(self: &Rc<Self>, retry: &mut Backoff) -> Result<(), Trouble> {
        let mut lane = None;
        if self.metadata.borrow().is_none() {
            if self.parts.was_done {
                return Err(Trouble::Gone); // what is not known cannot be looked for
            }
            let (metadata, opened) = self.learn().await?;
            retry.succeeded();
            (self.tell)(self.parts.id, News::Learned(&metadata));
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
}

/// The one thing that is said of wrong tokens, revoked and missing shares.
const REFUSED: &str =
    "the node refused this link: it is wrong, or the share was withdrawn; ask its owner for a new one";

impl Guide for Fetch {
    fn is_short(&self) -> bool {
        self.ground.short.get()
    }

    fn refuses(&self) -> bool {
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
