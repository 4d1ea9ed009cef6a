//! What happens because time passed.

use super::{Over, Reject, Swarm};
use crate::content::Span;
use crate::lanes::Step;
use crate::limits::{CHOKE_MS, JOIN_MS, SILENCE_MS, STALL_MS};
use crate::peer::Words;
use crate::time::Millis;

/// Milliseconds for which a peer that wants nothing is kept when we want nothing either.
const IDLE_MS: u64 = 30_000;

/// Milliseconds between two looks at lanes, while there are any.
const TICK_MS: u64 = 1_000;

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// When [`handle_timeout`](Self::handle_timeout) next has something to do; `None` if only a call or a frame can
    /// bring anything.
    pub fn poll_timeout(&self) -> Option<Millis> {
        if self.peers.iter().any(Option::is_some) {
            return [Some(self.next_choke), Some(self.next_tick), self.dry_until].into_iter().flatten().min();
        }
        if self.is_whole() || self.fault.is_some() { None } else { self.next_dial() }
    }

    /// Lets time pass. Returns a peer that was dropped; call again until `None`.
    pub fn handle_timeout(&mut self, now: Millis) -> Option<Over> {
        if now >= self.next_choke {
            self.next_choke = now.plus(CHOKE_MS);
            self.rechoke(now);
        }
        if self.dry_until.is_some_and(|until| now >= until) {
            self.dry_until = None;
            let lanes = self.peers.iter_mut().flatten().flat_map(|peer| peer.lanes.iter_mut().flatten());
            lanes.filter(|lane| !lane.replies.is_empty()).for_each(|lane| lane.stirred = true);
        }
        if now < self.next_tick {
            return None;
        }
        if let Some(over) = self.drop_stalled(now) {
            return Some(over);
        }
        self.next_tick = now.plus(TICK_MS);
        self.part(now);
        self.grow(now);
        self.stir_all();
        None
    }

    /// Closes lanes that took requests and gave nothing, that are silent, or that nobody joined. A peer all of whose lanes stall is dropped;
    /// it may come back, since a dead circuit looks the same.
    fn drop_stalled(&mut self, now: Millis) -> Option<Over> {
        for peer in self.peers.iter_mut().flatten() {
            let (mut open, mut stalled): (usize, usize) = (0, 0);
            for lane in peer.lanes.iter_mut().flatten().filter(|lane| !lane.closing) {
                open = open.saturating_add(1);
                let starves = !lane.asked.is_empty() && now.since(lane.fed) >= STALL_MS;
                let waits = !lane.replies.is_empty(); // for us: what it asked for stands in our own limits
                let dawdles = !lane.dialed && !lane.joined && !waits && now.since(lane.fed) >= JOIN_MS;
                if starves || dawdles || now.since(lane.heard) >= SILENCE_MS {
                    (lane.closing, lane.stirred) = (true, true);
                    stalled = stalled.saturating_add(usize::from(starves));
                }
            }
            if stalled > 0 && stalled == open {
                log::debug!("peer {} stalled", peer.number);
                return Some(Over::Rejected(peer.number, Reject::Stalled));
            }
        }
        None
    }

    /// Says goodbye to peers with whom nothing is left to trade: they take places that others need.
    fn part(&mut self, now: Millis) {
        let whole = self.is_whole();
        for peer in self.peers.iter_mut().flatten() {
            if !whole || peer.wants || peer.open().any(|lane| !lane.joined) {
                peer.useful = now;
            } else if now.since(peer.useful) >= IDLE_MS {
                for lane in peer.lanes.iter_mut().flatten() {
                    (lane.retiring, lane.stirred) = (true, true);
                }
            }
        }
    }

    /// Gives up what can be done without while memory is short: all lanes of peers that moved no content for `idle_ms`, and
    /// of each other peer all lanes but the oldest. Each ends when nothing is owed on it. Says how many they are.
    pub fn shed(&mut self, now: Millis, idle_ms: u64) -> usize {
        let mut shed = 0_usize;
        for peer in self.peers.iter_mut().flatten() {
            let lasting = peer.open().filter(|lane| !lane.retiring).map(|lane| lane.generation);
            let kept = lasting.min().filter(|_| now.since(peer.moved) < idle_ms);
            let open = peer.lanes.iter_mut().flatten().filter(|lane| !lane.closing && !lane.retiring);
            for lane in open.filter(|lane| Some(lane.generation) != kept) {
                (lane.retiring, lane.stirred) = (true, true);
                shed = shed.saturating_add(1);
            }
        }
        shed
    }

    /// Looks at the number of lanes to each peer.
    fn grow(&mut self, now: Millis) {
        let spread = self.random();
        for peer in self.peers.iter_mut().flatten() {
            let open = peer.joined();
            // A full pipe on every lane means that more was wanted than came.
            let busy = peer.open().filter(|lane| lane.joined && !lane.retiring).all(|lane| !lane.has_room());
            let rate = peer.down.rate(now);
            if rate > peer.best || (busy && open > 0) {
                peer.best = rate;
            }
            if peer.growth.handle_timeout(now, open, busy && !peer.chokes_us(), spread) == Step::Shrink {
                let dialed = peer
                    .lanes
                    .iter_mut()
                    .flatten()
                    .filter(|lane| lane.dialed && !lane.closing && !lane.retiring);
                if let Some(lane) = dialed.max_by_key(|lane| lane.generation) {
                    (lane.retiring, lane.stirred) = (true, true);
                }
            }
        }
    }
}
