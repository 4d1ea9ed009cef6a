//! What those who serve a public share say here about themselves. While its owner lives he lists them; when he is gone nobody
//! else can.
//!
//! Taken from anyone, under a key that tells nothing, but only about shares that are listed here, and a few of each: who said
//! so longest ago makes room for the next. Whether there is anybody at a name shows when it is called.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};

use bulbil_core::id::{NodeKey, RecordId};
use bulbil_core::tracker::{Body, Kind, Rank, Record, Visibility};

use super::Tracker;
use super::records::Records;

/// Of one share: as many as a swarm remembers.
pub(crate) const MAX_OF_ONE: usize = 64;

/// Of all shares together.
const MAX_GUESTS: usize = 1024;

/// One who serves a share.
struct Guest {
    share: [u8; 32],
    author: NodeKey,
    record: RecordId,
}

/// See the module.
#[derive(Default)]
pub(super) struct Guests {
    /// Who said so longest ago stands first.
    list: RefCell<VecDeque<Guest>>,
    /// Public shares that are listed here, and perhaps some that no longer are.
    shares: RefCell<HashSet<[u8; 32]>>,
    /// Whether there may be some that no longer are.
    stale: Cell<bool>,
    /// Who made room, to be forgotten once the store is free.
    gone: RefCell<Vec<RecordId>>,
}

impl Guests {
    /// How far away the author of a record is that a stranger hands us; `None` refuses it.
    pub(super) fn admit(&self, record: &Record<'_>) -> Option<Rank> {
        let Body::Peer { info_hash, .. } = record.body else { return None };
        if !self.shares.borrow().contains(&info_hash.0) {
            return None;
        }
        let (share, author, id) = (info_hash.0, record.author, record.id());
        let mut list = self.list.borrow_mut();
        let known = list.iter().position(|guest| guest.record == id);
        let of_one = list.iter().filter(|guest| guest.share == share).count();
        let victim = if known.is_some() {
            known
        } else if of_one >= MAX_OF_ONE {
            list.iter().position(|guest| guest.share == share)
        } else {
            (list.len() >= MAX_GUESTS).then_some(0)
        };
        let gone = victim.and_then(|at| list.remove(at)).filter(|guest| guest.record != id);
        self.gone.borrow_mut().extend(gone.map(|guest| guest.record));
        list.push_back(Guest { share, author, record: id });
        Some(Rank::STRANGER)
    }

    /// Whether this author was taken in for a share.
    pub(super) fn has(&self, author: &NodeKey) -> bool {
        self.list.borrow().iter().any(|guest| guest.author == *author)
    }

    /// Learns of a record that came into `served`.
    fn note(&self, record: &Record<'_>, served: &Records) {
        match record.body {
            Body::Share { info_hash, visibility: Visibility::Public, .. } => {
                let mut shares = self.shares.borrow_mut();
                if shares.len() < served.places() {
                    shares.insert(info_hash.0);
                } else {
                    self.stale.set(true); // some of them must have been pushed out
                }
            }
            Body::Tombstone { kind: Kind::Share, .. } => self.stale.set(true),
            _ => {}
        }
        let gone = self.gone.take();
        if !gone.is_empty() {
            served.forget(&gone);
        }
    }

    /// Lets go of those whose share is no longer listed, and of those who are gone from `served`.
    fn tidy(&self, served: &Records) {
        let mut shares = HashSet::new();
        served.each(|record| {
            if let Body::Share { info_hash, visibility: Visibility::Public, .. } = record.body {
                shares.insert(info_hash.0); // at most as many as there are places
            }
        });
        let list = self.list.take().into_iter().filter(|guest| served.edition(&guest.record).is_some());
        let (stay, gone): (VecDeque<Guest>, VecDeque<Guest>) =
            list.partition(|guest| shares.contains(&guest.share));
        served.forget(&gone.iter().map(|guest| guest.record).collect::<Vec<_>>());
        self.list.replace(stay);
        self.shares.replace(shares);
        self.stale.set(false);
    }
}

impl Tracker {
    /// A record came into the served store.
    pub(super) fn listed(&self, record: &Record<'_>) {
        self.guests.note(record, &self.served);
        self.ground.sources.heard(record);
    }

    /// Lets go of guests whose share is gone. `now`, or when it is known that one may be.
    pub(super) fn tidy_guests(&self, now: bool) {
        if now || self.guests.stale.get() {
            self.guests.tidy(&self.served);
        }
    }
}
