//! Who is let in: lanes come and go here.

use heapless::Vec;

use super::{LaneId, NoLane, Swarm};
use crate::bits::Bits;
use crate::content::Span;
use crate::id::PeerKey;
use crate::lanes::Growth;
use crate::limits::{GRACE_MS, HOPE_MS};
use crate::peer::{Lane, Peer, Told, Words};
use crate::time::Millis;

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// Takes a connection whose handshake proved `key`. `dialed` is the name we called, if we did. `bits` makes memory
    /// for as many bits as there are pieces, when the peer is new. The same key again is one more lane to that peer.
    pub fn lane_open(
        &mut self,
        now: Millis,
        key: PeerKey,
        dialed: Option<&[u8]>,
        bits: impl FnOnce(u32) -> Option<Bits<B>>,
    ) -> Result<LaneId, NoLane> {
        let taken = self.place(now, key, dialed, bits);
        if let Some(name) = dialed {
            self.book.connected(name, key, taken.map(|_| ()), now);
        }
        taken
    }

    fn place(
        &mut self,
        now: Millis,
        key: PeerKey,
        dialed: Option<&[u8]>,
        bits: impl FnOnce(u32) -> Option<Bits<B>>,
    ) -> Result<LaneId, NoLane> {
        if key == self.us {
            return Err(NoLane::Ourselves);
        }
        if self.banned.iter().any(|banned| *banned == key) {
            return Err(NoLane::Banned);
        }
        let known = self.peers.iter().position(|peer| peer.as_ref().is_some_and(|peer| peer.key == key));
        let at = match known {
            Some(at) => at,
            None => self.admit(now, key, dialed, bits)?,
        };
        self.generations = self.generations.wrapping_add(1);
        let generation = self.generations;
        let peer = self.peers.get_mut(at).and_then(Option::as_mut).ok_or(NoLane::Full)?;
        let Some(free) = peer.lanes.iter().position(Option::is_none) else {
            peer.give_up_silent(now);
            return Err(NoLane::Full);
        };
        let (dialed, told) = (dialed.is_some(), Told::Bits { next: 0, since: self.logged });
        *peer.lanes.get_mut(free).ok_or(NoLane::Full)? = Some(Lane::new(now, generation, dialed, told));
        self.next_tick = now;
        let small = |at: usize| u8::try_from(at).map_err(|_| NoLane::Full);
        Ok(LaneId { peer: small(at)?, lane: small(free)?, generation })
    }

    fn admit(
        &mut self,
        now: Millis,
        key: PeerKey,
        dialed: Option<&[u8]>,
        bits: impl FnOnce(u32) -> Option<Bits<B>>,
    ) -> Result<usize, NoLane> {
        let free = self.peers.iter().position(Option::is_none);
        // Nobody goes for a name that we have from hearsay.
        let matters = dialed.is_none_or(|name| self.book.is_origin(name));
        let at = free.or_else(|| if matters { self.make_room(now) } else { None }).ok_or(NoLane::Full)?;
        let has = bits(self.layout.pieces())
            .filter(|bits| bits.len() == self.layout.pieces())
            .ok_or(NoLane::Full)?;
        self.numbers = self.numbers.saturating_add(1);
        let growth = Growth::new(now, self.settings.lanes_min, self.settings.lanes_max.min(LANES));
        *self.peers.get_mut(at).ok_or(NoLane::Full)? = Some(Peer::new(now, self.numbers, key, has, growth));
        Ok(at)
    }

    /// The place of the peer that could be given up first. A fetcher judges by what it was given, since whoever only takes may
    /// do so for ever; a seed, which is given nothing, by what it gave; and both so those who learn. For a time a fetcher
    /// hopes for those who have what it lacks and those it called.
    pub(super) fn idlest(&self, now: Millis) -> Option<u8> {
        let whole = self.is_whole();
        let learns = |peer: &Peer<B, LANES>| !peer.open().any(|lane| lane.joined);
        let last = |peer: &Peer<B, LANES>| if whole || learns(peer) { peer.moved } else { peer.given };
        let needed = |peer: &Peer<B, LANES>| {
            let hopeful = peer.we_want() || (!whole && peer.open().any(|lane| lane.dialed));
            hopeful && now.since(peer.given) < HOPE_MS
        };
        let idle = |peer: &Peer<B, LANES>| now.since(last(peer)) >= GRACE_MS && !needed(peer);
        let places = (0_u8..).zip(&self.peers).filter_map(|(at, peer)| Some((at, peer.as_ref()?)));
        places.filter(|(_, peer)| idle(peer)).min_by_key(|(_, peer)| last(peer)).map(|(at, _)| at)
    }

    /// Gives up the [`idlest`](Self::idlest) peer, if there is one, and says which place is free then. Its lanes are named by
    /// [`poll_stirred`](Self::poll_stirred), so that they end.
    fn make_room(&mut self, now: Millis) -> Option<usize> {
        let at = self.idlest(now)?;
        let peer = self.peers.get(usize::from(at))?.as_ref()?;
        log::debug!("peer {} gave its place to another", peer.number);
        let lanes = (0_u8..).zip(&peer.lanes).filter_map(|(lane, open)| {
            Some(LaneId { peer: at, lane, generation: open.as_ref()?.generation })
        });
        let lanes: Vec<LaneId, LANES> = lanes.collect();
        self.ended.clear();
        for lane in lanes {
            self.lane_closed(now, lane);
            _ = self.ended.push(lane); // as many as a peer has
        }
        Some(usize::from(at))
    }

    /// The connection of this lane is gone. What was asked on it will be asked elsewhere.
    pub fn lane_closed(&mut self, now: Millis, id: LaneId) {
        let Some((at, lane)) = self.lane_mut(id) else { return };
        let asked = core::mem::take(&mut lane.asked);
        // Such as a lane for which the other side has no place: calling again at once would go on for ever.
        let barren = lane.dialed && lane.pace.rtt_ms().is_none();
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return };
        if let Some(place) = peer.lanes.get_mut(usize::from(id.lane)) {
            *place = None;
        }
        let key = peer.key;
        if peer.lanes.iter().all(Option::is_none) {
            if let Some(place) = self.peers.get_mut(at) {
                *place = None;
            }
            self.book.lost(key, now);
            self.names_changed();
        } else if barren {
            self.book.lost(key, now);
        }
        for asked in &asked {
            self.unask(asked.id);
        }
        self.look_at_wants(at);
        self.next_tick = now;
        self.stir_all();
    }

    /// The connection of this lane will not last: another is opened in its place, and it ends when nothing is owed on it.
    pub fn retire(&mut self, id: LaneId) {
        if let Some((_, lane)) = self.lane_mut(id) {
            (lane.retiring, lane.stirred) = (true, true);
        }
    }
}
