//! A share that this node offers: its service, its door, and its room while anybody is there.

mod spare;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bulbil_core::pump::Clock as _;
use bulbil_core::tracker::{Body, Visibility};
use log::warn;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::door::{self, Callee, Guide};
use super::room::{self, Ground, Pass, Room, ShareLayout};
use super::shelf::{self, Shelf};
use super::tracker::{LinkRecords, Tracker};
use crate::landing::Landing;
use crate::link::Link;
use crate::net::{Address, NetError, ServiceKey};
use crate::status::{self, ShareState};
use crate::store::{Content, Served};

/// A room nobody has been in for so long is given up; the next caller opens another. Its memory is what counts.
const EMPTY_ROOM: Duration = Duration::from_secs(120);

/// What an offer is made of.
pub(crate) struct OfferParts {
    pub(crate) metadata: Arc<Content>,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) files: u64,
    pub(crate) pass: Pass,
    pub(crate) key: ServiceKey,
    pub(crate) link: Link,
    pub(crate) public: bool,
    /// Who serves it, among those who hold the link. None without a tracker.
    pub(crate) links: Option<Rc<LinkRecords>>,
    /// Whether browsers may read the files.
    pub(crate) browser: bool,
}

/// See the module.
pub(crate) struct Offer {
    pub(crate) parts: OfferParts,
    pub(crate) info_hash: String,
    /// What is said about it in public: tags and text.
    about: RefCell<(String, String)>,
    ground: Ground,
    number: u64,
    landing: Rc<Landing>,
    state: RefCell<ShareState>,
    is_up: Cell<bool>,
    /// Absolute path of each file, by file number.
    sources: RefCell<Vec<PathBuf>>,
    room: RefCell<Option<Rc<Room>>>,
    /// Bytes served by rooms that are gone.
    uploaded: Cell<u64>,
    empty_since: Cell<Option<Instant>>,
    door: RefCell<Option<JoinHandle<()>>>,
    /// Where more lanes may come in, while that is reachable.
    spare: Cell<Option<Address>>,
}

impl Offer {
    /// Offers it; publishing goes on behind.
    pub(crate) fn open(
        parts: OfferParts,
        sources: Vec<PathBuf>,
        about: (String, String),
        ground: Ground,
        number: u64,
    ) -> Rc<Self> {
        let info_hash = parts.metadata.info_hash().to_string();
        let link = parts.link.clone();
        let metadata = Arc::clone(&parts.metadata);
        let offer = Rc::new(Self {
            landing: Landing::new(link, metadata, sources.clone(), parts.browser, ground.house.clone()),
            parts,
            about: RefCell::new(about),
            info_hash,
            ground,
            number,
            state: RefCell::default(),
            is_up: Cell::new(false),
            sources: RefCell::new(sources),
            room: RefCell::default(),
            uploaded: Cell::new(0),
            empty_since: Cell::new(None),
            door: RefCell::default(),
            spare: Cell::default(),
        });
        offer.open_door();
        offer
    }

    /// Publishes a private share, if that is not under way; those in the public catalogue are found through its door.
    fn open_door(self: &Rc<Self>) {
        let is_open = self.door.borrow().as_ref().is_some_and(|door| !door.is_finished());
        if !self.parts.public && !is_open {
            self.door.replace(Some(tokio::task::spawn_local(publish(Rc::clone(self)))));
        }
    }

    /// Takes it off the network at once: the service, and every conversation about it.
    pub(crate) fn close(&self) {
        if let Some(door) = self.door.take() {
            door.abort();
        }
        if let Some(room) = self.room.take() {
            room.close();
        }
        self.landing.close();
    }

    /// Serves the same files from where they lie now. Who was reading them asks again.
    pub(crate) fn relocate(self: &Rc<Self>, sources: Vec<PathBuf>) {
        self.landing.relocate(sources.clone());
        self.sources.replace(sources);
        if let Some(room) = self.room.take() {
            self.uploaded.set(self.uploaded.get().saturating_add(room.look(room::Swarm::sent)));
            room.close();
        }
        self.set_state(ShareState::default());
        self.set_reachable(self.is_up.get());
        self.open_door();
    }

    /// Where its files lie, by file number.
    pub(crate) fn sources(&self) -> Vec<PathBuf> {
        self.sources.borrow().clone()
    }

    /// Its files, nothing of them open yet.
    pub(crate) fn files(&self) -> Served {
        Served::new(Arc::clone(&self.parts.metadata), self.sources())
    }

    /// Whether a file could not be read, so that its owner has to do something.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.view().state, ShareState::Failed(_))
    }

    /// What browsers find at its link.
    pub(crate) fn landing(&self) -> Rc<Landing> {
        Rc::clone(&self.landing)
    }

    /// What is said about it from now on: tags and text. Not declared yet.
    pub(crate) fn set_about(&self, tags: String, text: String) {
        self.about.replace((tags, text));
        self.ground.news.notify_one();
    }

    /// Takes over what its predecessor served, for the count.
    pub(crate) fn succeed(&self, before: &Self) {
        self.uploaded.set(before.view().uploaded);
    }

    /// Says who serves it: to all if it is public, else to those who hold the link, once one of them has called.
    pub(crate) fn declare(&self, tracker: Option<&Rc<Tracker>>) {
        let (Some(tracker), Some(links)) = (tracker, &self.parts.links) else { return };
        if !self.parts.public {
            if links.is_used() {
                links.claim(self.address());
            }
            return;
        }
        let (listing, ours) = (Rc::downgrade(tracker), self.parts.pass.key());
        links.set_hear(Rc::new(move |record, signed| {
            if let Some(tracker) = listing.upgrade() {
                tracker.list_peer(signed, record.author.0 == ours.0);
            }
        }));
        links.claim(self.address());
        let (tags, text) = self.about.borrow().clone();
        let body = Body::Share {
            info_hash: self.parts.metadata.info_hash(),
            name: &self.parts.name,
            size: self.parts.size,
            tags: &tags,
            text: &text,
            visibility: Visibility::Public,
        };
        tracker.list(body, links);
    }

    pub(crate) fn set_state(&self, state: ShareState) {
        if *self.state.borrow() != state {
            self.state.replace(state);
            self.ground.news.notify_one();
        }
    }

    /// Where it is reached; the public catalogue's address for public shares is in the link only.
    pub(crate) fn address(&self) -> Address {
        self.parts.key.address(super::PORT)
    }

    pub(crate) fn current_room(&self) -> Option<Rc<Room>> {
        self.room.borrow().clone()
    }

    /// What the owner may see. Also gives up a room that has long been empty.
    pub(crate) fn view(&self) -> status::Share {
        let now = self.ground.clock.now();
        let (mut peers, mut sent) = (0, 0);
        let before = self.uploaded.get().saturating_add(self.landing.uploaded());
        if let Some(fault) = self.landing.take_fault() {
            self.set_state(ShareState::Failed(shelf::explain_read(fault)));
        }
        if let Some(room) = self.current_room() {
            (peers, sent) = room.look(|swarm| (swarm.peers(now).count(), swarm.sent()));
            if let Some(fault) = room.change(room::Swarm::take_read_fault) {
                self.set_state(ShareState::Failed(shelf::explain_read(fault)));
            }
            self.give_up_empty(peers, sent);
        }
        status::Share {
            info_hash: self.info_hash.clone(),
            name: self.parts.name.clone(),
            size: self.parts.size,
            files: self.parts.files,
            link: self.parts.link.to_string(),
            public: self.parts.public,
            tags: self.about.borrow().0.clone(),
            text: self.about.borrow().1.clone(),
            browser: self.parts.browser,
            state: self.state.borrow().clone(),
            uploaded: before.saturating_add(sent),
            peers: u32::try_from(peers).unwrap_or(u32::MAX),
        }
    }

    fn give_up_empty(&self, peers: usize, sent: u64) {
        if peers > 0 {
            self.empty_since.set(None);
            return;
        }
        let since = self.empty_since.get().unwrap_or_else(Instant::now);
        self.empty_since.set(Some(since));
        if since.elapsed() >= EMPTY_ROOM
            && let Some(room) = self.room.take()
        {
            room.close();
            self.uploaded.set(self.uploaded.get().saturating_add(sent));
            self.empty_since.set(None);
        }
    }

    fn open_room(&self) -> Result<Rc<Room>, String> {
        let served = self.files();
        let layout: ShareLayout = self.parts.metadata.layout().clone();
        let mut blocks =
            room::bits(bulbil_core::swarm::block_slots(&layout).unwrap_or(0)).ok_or("too large")?;
        (0..blocks.len()).for_each(|slot| _ = blocks.set(slot));
        Room::open(
            self.ground.clone(),
            self.parts.pass.clone(),
            self.number,
            Shelf::Served(served),
            layout,
            blocks,
        )
        .map_err(|why| why.to_string())
    }
}

impl Guide for Offer {
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
        if let Some(room) = self.current_room() {
            return Some(room);
        }
        match self.open_room() {
            Ok(room) => {
                room.set_names(self.names());
                self.room.replace(Some(Rc::clone(&room)));
                Some(room)
            }
            Err(why) => {
                warn!("a share cannot be served; `bulbil list` says which and why");
                self.set_state(ShareState::Failed(why));
                None
            }
        }
    }

    fn records(&self, _: &Pass) -> Option<Rc<dyn Callee>> {
        let links = self.parts.links.as_ref()?;
        links.claim(self.address());
        Some(Rc::clone(links) as Rc<dyn Callee>)
    }

    fn landings(&self) -> Vec<Rc<Landing>> {
        vec![self.landing()]
    }
}

/// Brings the service up and keeps its door, for as long as the offer stands.
async fn publish(offer: Rc<Offer>) {
    if offer.ground.network.ready().await.is_err() {
        return; // the node is stopping
    }
    let main = publish_as(&offer, &offer.parts.key, |up| offer.set_reachable(up));
    let (served, ()) = tokio::join!(main, offer.keep_spare());
    if let Err(why) = served {
        offer.set_state(ShareState::Failed(why.to_string()));
    }
}

/// Brings up the service of `key` and keeps its door until it ends. `hear` is told whenever it can be reached or no more.
async fn publish_as(offer: &Rc<Offer>, key: &ServiceKey, hear: impl Fn(bool)) -> Result<(), NetError> {
    // A browser has no client key. Nodes that derive one from the link connect all the same.
    let access = offer.parts.pass.access.as_ref().filter(|_| !offer.parts.browser);
    let service = offer.ground.network.serve(key, super::PORT, access).await?;
    let reachable = service.reachable();
    let guide: Rc<dyn Guide> = Rc::clone(offer) as Rc<dyn Guide>;
    tokio::select! {
        () = door::keep(service, guide) => {}
        () = watch(reachable, hear) => {}
    }
    Ok(())
}

/// Tells `hear` whether the service can be reached, now and whenever that changes.
pub(crate) async fn watch(mut reachable: tokio::sync::watch::Receiver<bool>, hear: impl Fn(bool)) {
    loop {
        hear(*reachable.borrow_and_update());
        if reachable.changed().await.is_err() {
            std::future::pending::<()>().await; // the door ends with the service
        }
    }
}

impl Offer {
    pub(crate) fn set_reachable(&self, up: bool) {
        self.is_up.set(up);
        if !matches!(*self.state.borrow(), ShareState::Failed(_)) {
            self.set_state(if up { ShareState::Reachable } else { ShareState::Publishing });
        }
    }
}
