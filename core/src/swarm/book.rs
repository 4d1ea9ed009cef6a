//! Names to call: where the link led, and whom the others told us about.

use heapless::Vec;

use super::{NoLane, Swarm};
use crate::content::Span;
use crate::id::PeerKey;
use crate::limits::MAX_NAME;
use crate::peer::{Name, Words};
use crate::rate::Backoff;
use crate::time::Millis;

/// Names remembered.
const MAX_ENTRIES: usize = 64;

/// Calls under way at once.
const MAX_CALLS: usize = 6;

/// Milliseconds between two calls to a name that does not answer: doubling up to five minutes.
const RETRY_MS: (u64, u64) = (2_000, 300_000);

/// As the second of [`RETRY_MS`], for calls to a name the owner gave while that seems to be restarting: for some nine
/// minutes and the time the calls take.
const ORIGIN_MS: u64 = 20_000;

/// Calls in a row to a name the owner gave that reach nobody, until it is taken to be off for long.
const ORIGIN_TRIES: u32 = 30;

/// A call to make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dial {
    /// Whom to call.
    pub name: Name,
    /// A number no other call had: connections with different numbers must not share a circuit.
    pub lane: u32,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    key: Option<PeerKey>,
    /// Given by the owner: never forgotten for others' sake.
    origin: bool,
    /// Ourselves, or dropped for cause.
    dead: bool,
    retry: Backoff,
    /// Calls in a row that reached nobody.
    away: u32,
    next: Millis,
}

/// Names and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: Vec<Entry, MAX_ENTRIES>,
    /// Calls under way: the name called, and the place of the entry it was made for.
    calls: Vec<(Name, usize), MAX_CALLS>,
    dials: u32,
}

impl Book {
    fn find(&mut self, name: &[u8]) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.name.as_slice() == name)
    }

    /// A new name is called in its turn: those who waited longer go first.
    fn add(&mut self, now: Millis, name: &[u8], origin: bool) {
        if let Some(known) = self.find(name) {
            known.origin |= origin;
            return;
        }
        if name.is_empty() || name.len() > MAX_NAME {
            return;
        }
        let Ok(name) = Name::from_slice(name) else { return };
        let retry = Backoff::new(RETRY_MS.0, RETRY_MS.1);
        let entry = Entry { name, key: None, origin, dead: false, retry, away: 0, next: now };
        if let Err(entry) = self.entries.push(entry) {
            // Whoever failed most often makes room; if nobody did, the new name has to be told again later.
            let idle = |at: &usize| {
                self.entries.get(*at).is_some_and(|entry| !entry.origin && (entry.failed() || entry.dead))
                    && self.calls_for(*at) == 0
            };
            let worst = (0..self.entries.len()).filter(idle);
            let worst = worst.max_by_key(|at| self.entries.get(*at).map(|entry| entry.retry.failures()));
            if let Some(place) = worst.and_then(|at| self.entries.get_mut(at)) {
                *place = entry;
            }
        }
    }

    /// A peer spoke of this name.
    pub(crate) fn heard(&mut self, now: Millis, name: &[u8]) {
        self.add(now, name, false);
    }

    /// A call went through, to `key`, and was taken or not. One that was not asked for is the owner's own: its name counts
    /// as given by him.
    pub(crate) fn connected(&mut self, name: &[u8], key: PeerKey, taken: Result<(), NoLane>, now: Millis) {
        let at = self.ended(name).or_else(|| {
            self.add(now, name, true);
            self.entries.iter().position(|entry| entry.name.as_slice() == name)
        });
        let Some(at) = at else { return };
        let Some(entry) = self.entries.get_mut(at) else { return };
        let own = entry.name.as_slice() == name;
        match taken {
            // Under one of its further names a peer may have given us anybody.
            Ok(()) if own => {
                entry.key = Some(key);
                entry.answered();
            }
            Ok(()) => {}
            Err(NoLane::Banned | NoLane::Ourselves) if own => entry.dead = true,
            Err(_) => entry.next = now.plus(entry.retry.failed(0)),
        }
    }

    /// A call did not go through.
    fn failed(&mut self, name: &[u8], now: Millis, spread: u32) {
        if let Some(entry) = self.ended(name).and_then(|at| self.entries.get_mut(at)) {
            entry.next = now.plus(entry.unreached(spread));
        }
    }

    /// Whether whoever answers at `name` is the owner's own choice: a name he gave, or a call he made himself.
    pub(super) fn is_origin(&self, name: &[u8]) -> bool {
        let called = self.calls.iter().any(|(called, _)| called.as_slice() == name);
        let entry = self.entries.iter().find(|entry| entry.name.as_slice() == name);
        entry.map_or(!called, |entry| entry.origin)
    }

    /// Forgets a call under way and gives the place of the entry it was made for.
    fn ended(&mut self, name: &[u8]) -> Option<usize> {
        let call = self.calls.iter().position(|(called, _)| called.as_slice() == name)?;
        Some(self.calls.swap_remove(call).1)
    }

    /// This peer gave us something: the next time it is lost, it is called again soon.
    pub(crate) fn proved(&mut self, key: PeerKey) {
        for entry in self.entries.iter_mut().filter(|entry| entry.key == Some(key)) {
            entry.retry.succeeded();
        }
    }

    /// The last lane to this peer is gone, or one that never brought anything.
    pub(crate) fn lost(&mut self, key: PeerKey, now: Millis) {
        for entry in self.entries.iter_mut().filter(|entry| entry.key == Some(key)) {
            entry.next = now.plus(entry.retry.failed(0));
        }
    }

    pub(crate) fn banned(&mut self, key: PeerKey) {
        for entry in self.entries.iter_mut().filter(|entry| entry.key == Some(key)) {
            entry.dead = true;
        }
    }

    /// Calls under way for the entry at this place.
    fn calls_for(&self, at: usize) -> usize {
        self.calls.iter().filter(|(_, entry)| *entry == at).count()
    }

    /// Calls under way to this peer, by whatever name.
    fn calls_to(&self, key: PeerKey) -> usize {
        let to = |at: usize| self.entries.get(at).is_some_and(|entry| entry.key == Some(key));
        self.calls.iter().filter(|(_, at)| to(*at)).count()
    }
}

impl Entry {
    fn failed(&self) -> bool {
        self.retry.failures() > 0
    }

    /// Counts a call that reached nobody, and says how many milliseconds to wait before the next.
    fn unreached(&mut self, spread: u32) -> u64 {
        self.away = self.away.saturating_add(1);
        let back_soon = self.origin && self.away <= ORIGIN_TRIES;
        self.retry.failed_within(if back_soon { ORIGIN_MS } else { RETRY_MS.1 }, spread)
    }

    /// Somebody is there. What failed while the owner's choice was off says nothing about what comes now; others could come
    /// and go to be called for ever.
    fn answered(&mut self) {
        if core::mem::take(&mut self.away) > 0 && self.origin {
            self.retry.succeeded();
        }
    }
}

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// Adds a name that the owner wants called, such as the one in a link.
    pub fn add_name(&mut self, now: Millis, name: &[u8]) {
        self.book.add(now, name, true);
        self.next_tick = now;
    }

    /// Somebody said that a member of the swarm is there. Forgotten when others make better use of the place.
    pub fn hear_name(&mut self, now: Millis, name: &[u8]) {
        self.book.heard(now, name);
        self.next_tick = now;
    }

    /// A call that should be made now. Answer with [`lane_open`](Self::lane_open) or
    /// [`dial_failed`](Self::dial_failed). Call until `None`.
    pub fn poll_dial(&mut self, now: Millis) -> Option<Dial> {
        if self.is_whole() || self.fault.is_some() || self.book.calls.is_full() {
            return None;
        }
        let peer = self.peer_to_dial(now);
        let origin = peer.filter(|at| self.book.entries.get(*at).is_some_and(|entry| entry.origin));
        let at = origin.or_else(|| self.lane_to_dial(now)).or(peer)?;
        self.book.dials = self.book.dials.wrapping_add(1);
        let lane = self.book.dials;
        let entry = self.book.entries.get_mut(at)?;
        let mut name = entry.name.clone();
        // Further lanes go to the further names of a peer in turn, if it has any.
        let key = entry.key;
        let peer = self.peers.iter().flatten().find(|peer| Some(peer.key) == key);
        if let Some(extra) =
            peer.and_then(|peer| peer.extra.get(peer.open().count().checked_rem(peer.extra.len())?))
        {
            name = extra.clone();
        }
        self.book.calls.push((name.clone(), at)).ok()?;
        Some(Dial { name, lane })
    }

    /// A call did not go through. A further name of a peer is called no more until the peer says it again.
    pub fn dial_failed(&mut self, now: Millis, name: &[u8]) {
        self.peers.iter_mut().flatten().for_each(|peer| peer.extra.retain(|extra| extra != name));
        let spread = self.random();
        self.book.failed(name, now, spread);
        self.next_tick = now;
    }

    /// When a name may next be called; `None` if none waits, or if the end of another call comes first.
    pub(super) fn next_dial(&self) -> Option<Millis> {
        if self.book.calls.is_full() {
            return None;
        }
        let idle = self.book.entries.iter().enumerate();
        let idle = idle.filter(|(at, entry)| !entry.dead && self.book.calls_for(*at) == 0);
        let (own, others) = (self.has_place_to_dial(true, 0), self.has_place_to_dial(false, 0));
        let idle = idle.filter(|(_, entry)| if entry.origin { own } else { others });
        idle.filter(|(_, entry)| !self.is_connected(entry)).map(|(_, entry)| entry.next).min()
    }

    fn is_connected(&self, entry: &Entry) -> bool {
        entry.key.is_some() && self.peers.iter().flatten().any(|peer| Some(peer.key) == entry.key)
    }

    /// The entry of a peer that should have another lane. One whose lanes all end is called again later.
    fn lane_to_dial(&self, now: Millis) -> Option<usize> {
        self.book.entries.iter().position(|entry| {
            let peer = self.peers.iter().flatten().find(|peer| Some(peer.key) == entry.key);
            !entry.dead
                && entry.next <= now
                && peer.is_some_and(|peer| {
                    let lanes = peer.lasting().saturating_add(self.book.calls_to(peer.key));
                    peer.open().next().is_some() && lanes < peer.growth.target()
                })
        })
    }

    /// Whether there is a place for one more peer called by us. A quarter of all places is left to those who call us: if
    /// everybody filled his own, newcomers would find none. The owner's choice may have any, and each of the `spare` ones that
    /// are taken; calls on hearsay take nothing from it.
    fn has_place_to_dial(&self, origin: bool, spare: usize) -> bool {
        let taken = self.peers.iter().flatten().count();
        let calling = self.book.entries.iter().enumerate();
        let calling = calling.filter(|(at, other)| {
            (other.origin || !origin) && self.book.calls_for(*at) > 0 && !self.is_connected(other)
        });
        let places = if origin { PEERS.saturating_add(spare) } else { PEERS.saturating_sub(PEERS / 4) };
        taken.saturating_add(calling.count()) < places
    }

    /// The entry of a peer that is not connected.
    fn peer_to_dial(&self, now: Millis) -> Option<usize> {
        let spare = usize::from(self.idlest(now).is_some());
        let (own, others) = (self.has_place_to_dial(true, spare), self.has_place_to_dial(false, 0));
        if !own && !others {
            return None;
        }
        let free = |(at, entry): &(usize, &Entry)| {
            (if entry.origin { own } else { others })
                && !entry.dead
                && entry.next <= now
                && self.book.calls_for(*at) == 0
                && !self.is_connected(entry)
        };
        // The owner's choice first: it may be the only one that has all, and anybody can name sixty others. Then whoever was
        // left alone longest: names that never answer must not keep the others waiting.
        self.book
            .entries
            .iter()
            .enumerate()
            .filter(free)
            .min_by_key(|(_, entry)| (!entry.origin, entry.next))
            .map(|(at, _)| at)
    }
}
