//! The long part of a fetch: waiting for the last block, and putting everything in its place.

use std::rc::Rc;
use std::time::Duration;

use bulbil_core::pump::Clock as _;
use bulbil_core::store::StoreError;
use tokio::time::Instant;

use super::damage::DAMAGE;
use super::{Fetch, REFUSED, Trouble, busy};
use crate::node::room::{self, Room};
use crate::node::shelf::explain_write;
use crate::status::FetchState;
use crate::store::{Fetched, OpenError};

/// A fetch that heard from nobody for so long is given up; what is verified stays. Time without a network
/// does not count, nor time in which its own disk or another fetch kept it from asking.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// Until it is tried again to write to a full disk.
const FAULT_PAUSE: Duration = Duration::from_secs(5);

/// How often the state is looked at without an event.
const TICK: Duration = Duration::from_secs(1);

/// What is said when nobody was heard for so long.
const SILENCE: &str = "nobody who serves this was heard for 24 hours: the share was probably withdrawn; ask its owner for a \
    new link. What was verified is kept, and the same fetch goes on from there";

impl Fetch {
    /// Waits for the last block, and puts everything in its place.
    pub(super) async fn finish(&self, room: &Rc<Room>) -> Result<(), Trouble> {
        loop {
            let (whole, fault, alone) = room.look(|swarm| {
                (swarm.is_whole(), swarm.fault(), swarm.peers(self.ground.clock.now()).next().is_none())
            });
            if whole {
                return self.settle(room).await.map_err(|why| Trouble::Final(why.to_string()));
            }
            self.keep_flushing(room);
            if let Some(fault) = fault {
                let damaged = fault == StoreError::Changed;
                if damaged && self.damage.is_too_much(room.look(room::Swarm::verified)) {
                    return Err(Trouble::Final(DAMAGE.into()));
                }
                let why = explain_write(fault);
                self.set_state(FetchState::Waiting(why));
                tokio::time::sleep(FAULT_PAUSE).await; // there may be room again
                if !damaged {
                    self.note_heard(); // nobody was asked meanwhile
                }
                room.change(room::Swarm::resume);
                continue;
            }
            self.listen(room);
            if self.is_given_up() {
                return Err(Trouble::Final(SILENCE.into()));
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

    /// Has whole pieces forced to the device, where the owner wants that: one flush at a time, and never here.
    fn keep_flushing(&self, room: &Rc<Room>) {
        if self.flushing.get() {
            return;
        }
        let Some(flush) = room.store(|shelf| shelf.fetched().and_then(Fetched::due)) else { return };
        let (own, flushing) = (Rc::downgrade(room), Rc::clone(&self.flushing));
        flushing.set(true);
        room.spawn(async move {
            let done = tokio::task::spawn_blocking(move || flush.run()).await;
            flushing.set(false);
            if let (Ok(Err(error)), Some(room)) = (done, own.upgrade()) {
                room.store(|shelf| _ = shelf.fetched().map(|fetched| fetched.flush_failed(&error)));
            }
        });
    }

    /// Notes whether anybody was heard: a byte came that is right, or a lane was opened.
    fn listen(&self, room: &Room) {
        let sign = (room.look(room::Swarm::verified), room.opened());
        if self.sign.replace(sign) != sign || !self.ground.network.status().borrow().ready {
            self.note_heard();
        }
    }

    /// Begins the time of silence anew.
    pub(super) fn note_heard(&self) {
        self.heard.set(Instant::now());
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.heard.get().elapsed() > GIVE_UP
    }

    /// Puts a whole fetch in its place. Whatever waits for the device does so on another thread.
    async fn settle(&self, room: &Rc<Room>) -> Result<(), OpenError> {
        let failed = |error| OpenError::Write(self.parts.out.clone(), error);
        let flush = room.store(|shelf| shelf.fetched().map(|fetched| fetched.last_flush()));
        if let Some(flush) = flush.transpose()?.flatten() {
            let flushed = tokio::task::spawn_blocking(move || flush.run()).await;
            flushed.map_err(std::io::Error::other).flatten().map_err(failed)?;
        }
        let tidy = room.store(|shelf| shelf.fetched().map(Fetched::finish)).transpose()?.flatten();
        if let Some(tidy) = tidy {
            let tidied = tokio::task::spawn_blocking(move || tidy.run()).await;
            tidied.map_err(std::io::Error::other).flatten().map_err(failed)?;
        }
        Ok(())
    }
}
