//! Names to call: where the link led, and whom the others told us about.

use heapless::Vec;

use super::Swarm;
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
    calls: usize,
    retry: Backoff,
    next: Millis,
}

/// Names and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: Vec<Entry, MAX_ENTRIES>,
    dials: u32,
}

impl Book {
    fn find(&mut self, name: &[u8]) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.name.as_slice() == name)
    }

    fn add(&mut self, name: &[u8], origin: bool) {
        if name.is_empty() || name.len() > MAX_NAME || self.find(name).is_some() {
            return;
        }
        if self.entries.is_full() {
            // A name that never answered makes room; if all did, the new one has to be told again later.
            let idle = |entry: &Entry| !entry.origin && entry.key.is_none() && entry.calls == 0;
            let Some(at) = self.entries.iter().position(idle) else { return };
            self.entries.swap_remove(at);
        }
        let Ok(name) = Name::from_slice(name) else { return };
        let retry = Backoff::new(RETRY_MS.0, RETRY_MS.1);
        let entry = Entry { name, key: None, origin, dead: false, calls: 0, retry, next: Millis(0) };
        _ = self.entries.push(entry); // room was made
    }

    /// A peer spoke of this name.
    pub(crate) fn heard(&mut self, name: &[u8]) {
        self.add(name, false);
    }

    /// A call went through; `key` is whom it reached, `None` if we could not take it.
    pub(crate) fn connected(&mut self, name: &[u8], key: Option<PeerKey>, ourselves: bool, now: Millis) {
        let Some(entry) = self.find(name) else { return };
        entry.calls = entry.calls.saturating_sub(1);
        if ourselves {
            entry.dead = true;
        } else if let Some(key) = key {
            entry.key = Some(key);
            entry.retry.succeeded();
        } else {
            entry.next = now.plus(entry.retry.failed(0));
        }
    }

    /// The last lane to this peer is gone.
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

    fn calls(&self) -> usize {
        self.entries.iter().fold(0, |sum: usize, entry| sum.saturating_add(entry.calls))
    }
}

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// Adds a name that the owner wants called, such as the one in a link.
    pub fn add_name(&mut self, now: Millis, name: &[u8]) {
        self.book.add(name, true);
        self.next_tick = now;
    }

    /// A call that should be made now. Answer with [`lane_open`](Self::lane_open) or
    /// [`dial_failed`](Self::dial_failed). Call until `None`.
    pub fn poll_dial(&mut self, now: Millis) -> Option<Dial> {
        if self.is_whole() || self.fault.is_some() || self.book.calls() >= MAX_CALLS {
            return None;
        }
        let at = self.lane_to_dial(now).or_else(|| self.peer_to_dial(now))?;
        self.book.dials = self.book.dials.wrapping_add(1);
        let lane = self.book.dials;
        let entry = self.book.entries.get_mut(at)?;
        entry.calls = entry.calls.saturating_add(1);
        let mut name = entry.name.clone();
        // Further lanes go to the further names of a peer in turn, if it has any.
        let key = entry.key;
        let peer = self.peers.iter().flatten().find(|peer| Some(peer.key) == key);
        if let Some(extra) =
            peer.and_then(|peer| peer.extra.get(peer.open().count().checked_rem(peer.extra.len())?))
        {
            name = extra.clone();
        }
        Some(Dial { name, lane })
    }

    /// A call did not go through.
    pub fn dial_failed(&mut self, now: Millis, name: &[u8]) {
        let spread = self.random();
        let by_extra =
            self.peers.iter().flatten().find(|peer| peer.extra.iter().any(|extra| extra.as_slice() == name));
        let key = by_extra.map(|peer| peer.key);
        let entry = match self.book.entries.iter().position(|entry| entry.name.as_slice() == name) {
            Some(at) => self.book.entries.get_mut(at),
            None => self.book.entries.iter_mut().find(|entry| entry.key.is_some() && entry.key == key),
        };
        if let Some(entry) = entry {
            entry.calls = entry.calls.saturating_sub(1);
            entry.next = now.plus(entry.retry.failed(spread));
        }
        self.next_tick = now;
    }

    /// When a name may next be called; `None` if none waits.
    pub(super) fn next_dial(&self) -> Option<Millis> {
        let idle = self.book.entries.iter().filter(|entry| !entry.dead && entry.calls == 0);
        idle.filter(|entry| !self.is_connected(entry)).map(|entry| entry.next).min()
    }

    fn is_connected(&self, entry: &Entry) -> bool {
        entry.key.is_some() && self.peers.iter().flatten().any(|peer| Some(peer.key) == entry.key)
    }

    /// The entry of a peer that should have another lane.
    fn lane_to_dial(&self, now: Millis) -> Option<usize> {
        self.book.entries.iter().position(|entry| {
            let peer = self.peers.iter().flatten().find(|peer| Some(peer.key) == entry.key);
            !entry.dead
                && entry.next <= now
                && peer.is_some_and(|peer| {
                    peer.lasting().saturating_add(entry.calls) < peer.growth.target()
                })
        })
    }

    /// The entry of a peer that is not connected.
    fn peer_to_dial(&self, now: Millis) -> Option<usize> {
        let places = self.peers.iter().filter(|peer| peer.is_none()).count();
        let calling =
            self.book.entries.iter().filter(|entry| entry.calls > 0 && !self.is_connected(entry)).count();
        if calling >= places {
            return None;
        }
        let free =
            |entry: &Entry| !entry.dead && entry.calls == 0 && entry.next <= now && !self.is_connected(entry);
        self.book.entries.iter().position(free)
    }
}
