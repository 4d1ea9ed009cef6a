//! One share's swarm at work: the machine, its store, and the tasks that carry frames for it.
//!
//! Everything in a room runs on the node's one thread. A borrow of the machine or the store never lasts over a wait.

mod members;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use bulbil_core::bits::{Bits, words_for};
use bulbil_core::content::{Layout, Span};
use bulbil_core::hello::Secrets;
use bulbil_core::id::PeerKey;
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::peer::Name;
use bulbil_core::pump::{self, Clock as _, Ended};
use bulbil_core::swarm::{self, Event, LaneId, NoLane, Over, Settings};
use bulbil_core::time::Millis;
use bulbil_core::transport::SendFrame as _;
use log::{debug, info};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use super::dial;
use super::halves::Halves;
use super::lane::LaneLine;
use super::open;
use super::shelf::Shelf;
use super::shortage::Short;
use super::tracker::Sources;
use super::warmth::Warmth;
use crate::clock::TokioClock;
use crate::link::Token;
use crate::net::{AccessKey, NetError, Network};
use crate::state::Secret;

/// Peers of one swarm at once.
pub(crate) const PEERS: usize = 16;

/// Lanes of one peer at most.
pub(crate) const LANES: usize = bulbil_core::limits::MAX_LANES;

/// A swarm whose memory is sized for its share.
pub(crate) type Swarm = swarm::Swarm<Box<[u64]>, Vec<Span>, PEERS, LANES>;

/// Where everything of a share lies.
pub(crate) type ShareLayout = Layout<Vec<Span>>;

/// What opens conversations about one share.
#[derive(Clone)]
pub(crate) struct Pass {
    pub(crate) token: Token,
    pub(crate) seed: Secret<32>,
    /// `None` where anyone may connect.
    pub(crate) access: Option<AccessKey>,
}

impl Pass {
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::new(*self.token.as_bytes(), &self.seed.0)
    }

    pub(crate) fn key(&self) -> PeerKey {
        self.secrets().key()
    }
}

/// What outlives and surrounds a room.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) network: Network,
    pub(crate) clock: TokioClock,
    pub(crate) settings: Settings,
    /// Set while memory is short: no new lanes then, and no new callers.
    pub(crate) short: Rc<Short>,
    /// Told whenever something happened that the owner may want to see.
    pub(crate) news: Rc<Notify>,
    /// Peers dropped for cause, for the status.
    pub(crate) dropped: super::dropped::DroppedList,
    /// Who serves what, as far as public records say.
    pub(crate) sources: Rc<Sources>,
    /// Told when it is time for the node to say again what it serves.
    pub(crate) renew: Rc<Notify>,
    /// Room for browsers, and what may leave for them and for all rooms together.
    pub(crate) house: crate::landing::House,
}

/// See the module.
pub(crate) struct Room {
    pub(crate) ground: Ground,
    pub(crate) pass: Pass,
    /// Number for circuits: no other room of this run has it.
    pub(crate) number: u64,
    pub(crate) info_hash: String,
    swarm: RefCell<Box<Swarm>>,
    store: RefCell<Shelf>,
    stirred: RefCell<HashMap<LaneId, Rc<Notify>>>,
    /// Timers and calls are looked at again.
    changed: Rc<Notify>,
    /// Something ended: whole, or a fault. Looked at by the fetch.
    pub(crate) turned: Notify,
    tasks: RefCell<JoinSet<()>>,
    /// One piece is hashed at a time, so that nobody who asks for many keeps the machine busy.
    warming: Semaphore,
    last_error: Cell<Option<NetError>>,
    /// Lanes that were opened so far.
    opened: Cell<u64>,
    refused: Cell<bool>,
    /// The last one called had no place for us.
    busy: Cell<bool>,
    /// The name in the owner's link: only its refusal says that the link is no good.
    origin: RefCell<Option<Name>>,
    /// What doors ask for that want another token than ours.
    tokens: RefCell<HashMap<Name, Token>>,
    /// Turns true when the room is closed: lanes end then, whoever took them.
    over: watch::Sender<bool>,
    me: Weak<Self>,
}

/// The memory for the swarm's bits could not be laid out; the share is larger than this node can handle.
#[derive(Debug, thiserror::Error)]
#[error("the share has too many pieces for this node; share it again with a larger piece length")]
pub(crate) struct TooLarge;

/// Bits in memory of their own.
pub(crate) fn bits(len: u32) -> Option<Bits<Box<[u64]>>> {
    Bits::new(vec![0; words_for(len)].into_boxed_slice(), len).ok()
}

impl Room {
    /// Opens a room over a store. `blocks` says what is here already.
    pub(crate) fn open(
        ground: Ground,
        pass: Pass,
        number: u64,
        store: Shelf,
        layout: ShareLayout,
        blocks: Bits<Box<[u64]>>,
    ) -> Result<Rc<Self>, TooLarge> {
        let slots = swarm::block_slots(&layout).ok_or(TooLarge)?;
        let (pieces, asked) = (bits(layout.pieces()).ok_or(TooLarge)?, bits(slots).ok_or(TooLarge)?);
        let mut random = [0; 8];
        _ = getrandom::fill(&mut random); // only spreads choices among equals
        let swarm = Swarm::new(
            layout,
            (pieces, blocks, asked),
            pass.key(),
            ground.settings,
            u64::from_le_bytes(random),
            ground.clock.now(),
        )
        .map_err(|_| TooLarge)?;
        let info_hash = store.info_hash_text();
        let room = Rc::new_cyclic(|me| Self {
            ground,
            pass,
            number,
            info_hash,
            swarm: RefCell::new(Box::new(swarm)),
            store: RefCell::new(store),
            stirred: RefCell::default(),
            changed: Rc::default(),
            turned: Notify::new(),
            tasks: RefCell::default(),
            warming: Semaphore::new(1),
            last_error: Cell::new(None),
            opened: Cell::new(0),
            refused: Cell::new(false),
            busy: Cell::new(false),
            origin: RefCell::default(),
            tokens: RefCell::default(),
            over: watch::Sender::new(false),
            me: me.clone(),
        });
        let timers = Rc::downgrade(&room);
        room.spawn(async move { run_timers(timers).await });
        Ok(room)
    }

    /// Runs a task that ends with the room.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {} // forget the finished ones
        tasks.spawn_local(task);
    }

    /// Looks at the machine.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Swarm) -> T) -> T {
        at(&self.swarm.borrow())
    }

    /// Changes the machine from outside, then does what that calls for.
    pub(crate) fn change<T>(&self, how: impl FnOnce(&mut Swarm) -> T) -> T {
        let done = how(&mut self.swarm.borrow_mut());
        self.changed.notify_one();
        self.follow_up();
        done
    }

    /// The store, between two frames.
    pub(crate) fn store<T>(&self, with: impl FnOnce(&mut Shelf) -> T) -> T {
        with(&mut self.store.borrow_mut())
    }

    /// Notes the name of the owner's link, and calls it unless it is `connected` and will be carried by
    /// [`carry`](Self::carry): one more call would be one lane too many.
    pub(crate) fn set_origin(&self, name: &[u8], connected: bool) {
        self.origin.replace(name.try_into().ok());
        if !connected {
            let now = self.ground.clock.now();
            self.change(|swarm| swarm.add_name(now, name));
        }
    }

    /// Names at which we take calls for this share.
    pub(crate) fn set_names(&self, names: Vec<Name>) {
        self.change(|swarm| swarm.set_names(names));
    }

    /// Why the last call failed, and whether the link's own node refused our token; cleared by the next success.
    pub(crate) fn trouble(&self) -> (Option<NetError>, bool) {
        (self.last_error.get(), self.refused.get())
    }

    /// How many lanes were opened so far, by either side.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.get()
    }

    pub(crate) fn call_failed(&self, name: &[u8], error: Option<NetError>) {
        let origin = self.origin.borrow().as_deref() == Some(name);
        self.refused.set(error.is_none() && origin);
        self.last_error.set(error);
        self.busy.set(false);
        let now = self.ground.clock.now();
        self.change(|swarm| swarm.dial_failed(now, name));
        self.turned.notify_one();
    }

    /// Gives an opened conversation to the machine and carries its frames until it ends.
    pub(crate) async fn carry(&self, key: PeerKey, dialed: Option<&[u8]>, mut halves: Halves) {
        let now = self.ground.clock.now();
        let id = match self.change(|swarm| swarm.lane_open(now, key, dialed, bits)) {
            Ok(id) => id,
            Err(why) => {
                debug!("lane not taken: {why:?}");
                if why == NoLane::Full && dialed.is_none() {
                    open::turn_away(&mut halves).await;
                }
                return;
            }
        };
        self.last_error.set(None);
        self.opened.set(self.opened.get().saturating_add(1));
        self.refused.set(false);
        self.busy.set(false);
        let notify = Rc::new(Notify::new());
        self.stirred.borrow_mut().insert(id, Rc::clone(&notify));
        let gone = Gone { room: self, id };
        let mut buf = vec![0; MAX_FRAME];
        let line = LaneLine::new(self, id, notify, halves.wear.clone());
        let mut over = self.over.subscribe();
        let mut rx = Warmth::new(self, halves.rx.as_mut());
        let end = tokio::select! {
            end = pump::run(&line, (&mut halves.tx, &mut rx), &self.ground.clock, &mut buf) => end,
            _ = over.wait_for(|over| *over) => Ended::Hangup,
        };
        drop(gone);
        match end {
            Ended::Line(Over::Rejected(peer, why)) => self.dropped(peer, &why.to_string()),
            Ended::Line(Over::Busy) => {
                self.busy.set(true);
                self.turned.notify_one();
            }
            Ended::Line(Over::Closed) => say_goodbye(&mut halves).await,
            Ended::Hangup | Ended::Stalled => debug!("lane ended: {end:?}"),
        }
    }

    /// Records a peer that was dropped for cause.
    pub(crate) fn dropped(&self, peer: u64, why: &str) {
        info!("dropped peer {peer}: it {why}");
        self.ground.dropped.push(peer, &self.info_hash, why);
        self.ground.news.notify_one();
    }

    pub(crate) fn hear(&self, lane: LaneId, frame: &[u8]) -> Result<(), Over> {
        let now = self.ground.clock.now();
        let event = self.swarm.borrow_mut().hear(now, lane, frame, &mut *self.store.borrow_mut());
        if matches!(event, Ok(Event::Whole(_) | Event::Fault(_))) {
            self.turned.notify_one();
        }
        self.follow_up();
        event.map(|_| ())
    }

    pub(crate) fn say(&self, lane: LaneId, tx: &mut [u8; MAX_FRAME]) -> Result<usize, Over> {
        let now = self.ground.clock.now();
        let said = self.ground.house.upload().lend(|upload| {
            let mut swarm = self.swarm.borrow_mut();
            let waits = swarm.dry_until();
            core::mem::swap(swarm.upload_mut(), upload);
            let said = swarm.say(now, lane, tx, &mut *self.store.borrow_mut());
            *upload = *swarm.upload_mut(); // what is left, and when there will be more
            if swarm.dry_until() != waits {
                self.changed.notify_one(); // the next try comes before what the timers wait for
            }
            said
        });
        if said.is_err() {
            self.follow_up();
        }
        said
    }

    pub(crate) fn retire(&self, lane: LaneId) {
        self.change(|swarm| swarm.retire(lane));
    }

    /// Does what is due and says when something will be due next.
    fn pass_time(&self) -> (Option<Millis>, TokioClock, Rc<Notify>) {
        let now = self.ground.clock.now();
        loop {
            let over = self.swarm.borrow_mut().handle_timeout(now);
            match over {
                Some(Over::Rejected(peer, why)) => self.dropped(peer, &why.to_string()),
                Some(Over::Closed | Over::Busy) => {}
                None => break,
            }
        }
        self.follow_up();
        let next = self.swarm.borrow().poll_timeout();
        (next, self.ground.clock, Rc::clone(&self.changed))
    }

    /// Ends every task and every lane of the room, at once.
    pub(crate) fn close(&self) {
        self.over.send_replace(true);
        self.tasks.borrow_mut().abort_all();
    }

    /// Wakes lanes that have something to say and makes the calls the machine wants.
    fn follow_up(&self) {
        let now = self.ground.clock.now();
        let mut swarm = self.swarm.borrow_mut();
        let lanes = self.stirred.borrow();
        while let Some(lane) = swarm.poll_stirred() {
            if let Some(notify) = lanes.get(&lane) {
                notify.notify_one();
            }
        }
        // A peer that is there keeps its lanes; without any peer one call is worth its memory.
        if self.ground.short.get() && swarm.peers(now).next().is_some() {
            return;
        }
        while let Some(call) = swarm.poll_dial(now) {
            if let Some(room) = self.me.upgrade() {
                self.spawn(dial::call(Rc::downgrade(&room), call));
            }
        }
    }
}

/// A last `Bye` may wait in the network's buffer.
async fn say_goodbye(halves: &mut Halves) {
    _ = tokio::time::timeout(open::GOODBYE, halves.tx.flush()).await; // the connection is closed either way
}

/// Tells the machine that a lane is gone, also when its task was ended from outside.
struct Gone<'r> {
    room: &'r Room,
    id: LaneId,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.room.stirred.borrow_mut().remove(&self.id);
        let now = self.room.ground.clock.now();
        self.room.change(|swarm| swarm.lane_closed(now, self.id));
    }
}

/// Lets time pass for the machine, until the room is gone. Holds the room only while it acts, never while it waits.
async fn run_timers(room: Weak<Room>) {
    loop {
        let Some((next, clock, changed)) = room.upgrade().map(|room| room.pass_time()) else { return };
        match next {
            Some(at) => tokio::select! {
                () = clock.until(at) => {}
                () = changed.notified() => {}
            },
            None => changed.notified().await,
        }
    }
}
