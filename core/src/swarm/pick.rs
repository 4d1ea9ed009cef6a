//! Which block to ask for next, and of whom: begun pieces first, then the rarest, then the endgame.

use super::{LaneId, MAX_ACTIVE, Swarm, block_slot};
use crate::bits::index;
use crate::content::Span;
use crate::id::BlockId;
use crate::peer::{Asked, Cancel, Peer, Words};
use crate::time::Millis;

/// Milliseconds after which a block in flight may be asked for a second time.
const ENDGAME_MS: u64 = 2_000;

/// A seed is spared pieces that others have, unless it is this many times as fast as all of them together.
const SPARE: u64 = 2;

/// Milliseconds that a peer is given to get going before its rate counts.
const START_MS: u64 = 15_000;

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// The next block to ask peer `at` for, by this lane.
    pub(super) fn pick(&mut self, now: Millis, at: usize, lane: LaneId) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let own = peer.lanes.get(usize::from(lane.lane))?.as_ref()?;
        if own.chokes_us || now < own.rest || !peer.we_want {
            return None;
        }
        let spared = self.is_spared(now, at);
        if let Some(block) = self.pick_begun(now, at, spared) {
            return Some(block);
        }
        if let Some(piece) = self.pick_piece(now, at, spared) {
            if self.active.len() >= MAX_ACTIVE {
                self.active.remove(0);
            }
            _ = self.active.push(piece); // room was made
            return self.free_block(piece);
        }
        self.pick_late(now, at, lane, spared)
    }

    /// Seeds give what nobody else has: fetchers get the rest from each other, so a seed uploads little more than once.
    /// That ends where the others, once they had time to start, give much less than the seed can.
    fn is_spared(&self, now: Millis, at: usize) -> bool {
        let peer = self.peers.get(at).and_then(Option::as_ref);
        let Some(seed) = peer.filter(|peer| peer.is_seed() && peer.best > 0) else { return false };
        let young = |peer: &Peer<B, LANES>| peer.first_asked.is_none_or(|asked| now.since(asked) < START_MS);
        let others = || self.peers.iter().flatten().filter(|other| is_relied_on(other, now));
        let rate = others().fold(0, |sum: u64, other| sum.saturating_add(other.down.rate(now)));
        rate.saturating_mul(SPARE) >= seed.best || others().any(young)
    }

    /// Whether a peer that is no seed, and serves us, has this piece.
    fn others_have(&self, now: Millis, piece: u32) -> bool {
        self.peers.iter().flatten().any(|peer| peer.has.get(piece) && is_relied_on(peer, now))
    }

    fn pick_begun(&self, now: Millis, at: usize, spared: bool) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let mine = self.active.iter().filter(|piece| peer.has.get(**piece));
        mine.filter(|piece| !(spared && self.others_have(now, **piece)))
            .find_map(|piece| self.free_block(*piece))
    }

    /// The first block of `piece` that is neither here nor in flight.
    fn free_block(&self, piece: u32) -> Option<BlockId> {
        let blocks = self.layout.blocks_in(piece)?;
        let free = |block: &u16| {
            let at = block_slot(&self.layout, BlockId { piece, block: *block });
            !self.blocks.get(at) && !self.asked.get(at)
        };
        (0..blocks).find(free).map(|block| BlockId { piece, block })
    }

    /// The rarest piece that the peer has and nobody was asked for. Among equals the first after a random start, so
    /// that fetchers of one seed begin with different pieces.
    fn pick_piece(&mut self, now: Millis, at: usize, spared: bool) -> Option<u32> {
        let pieces = self.layout.pieces();
        let start = self.random().checked_rem(pieces)?;
        let peer = self.peers.get(at)?.as_ref()?;
        let mut best: Option<(usize, u32)> = None;
        for piece in (start..pieces).chain(0..start) {
            if !self.is_candidate(peer, piece) || (spared && self.others_have(now, piece)) {
                continue;
            }
            let holders = self.peers.iter().flatten().filter(|peer| peer.has.get(piece)).count();
            if best.is_none_or(|(least, _)| holders < least) {
                best = Some((holders, piece));
                if holders <= 1 {
                    break; // nothing is rarer
                }
            }
        }
        best.map(|(_, piece)| piece)
    }

    fn is_candidate(&self, peer: &Peer<B, LANES>, piece: u32) -> bool {
        // Whole words of pieces that the peer lacks or we have are common: look at the bit first.
        let theirs = peer.has.words().get(index(piece / 64)).copied().unwrap_or(0);
        let ours = self.pieces.words().get(index(piece / 64)).copied().unwrap_or(0);
        (theirs & !ours) & 1_u64.wrapping_shl(piece) != 0 && self.free_block(piece).is_some()
    }

    /// A block that has been in flight elsewhere for long: on a lane that went silent, or on any in the endgame. Each
    /// copy waits longer than the one before, and no number of silent peers can hold a block.
    fn pick_late(&self, now: Millis, at: usize, lane: LaneId, spared: bool) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let own = peer.lanes.get(usize::from(lane.lane))?.as_ref()?;
        let ending = !spared && self.is_ending();
        let lanes = self.lanes().filter(|lane| ending || now.since(lane.fed) >= ENDGAME_MS);
        let mut best: Option<Asked> = None;
        for asked in lanes.flat_map(|lane| &lane.asked) {
            let late = asked.cancel == Cancel::No
                && now.since(asked.at) >= ENDGAME_MS
                && best.is_none_or(|best| asked.at < best.at)
                && peer.has.get(asked.id.piece)
                && !own.has_asked(asked.id);
            if late && self.is_overdue(now, asked.id) {
                best = Some(*asked);
            }
        }
        best.map(|asked| asked.id)
    }

    /// Whether every block that is missing is in flight.
    fn is_ending(&self) -> bool {
        (0..self.layout.pieces()).all(|piece| self.pieces.get(piece) || self.free_block(piece).is_none())
    }

    /// Whether it is time for one more copy of a block in flight.
    fn is_overdue(&self, now: Millis, id: BlockId) -> bool {
        let copies = || self.lanes().flat_map(|lane| &lane.asked).filter(|asked| asked.id == id);
        let wait = copies().fold(0_u64, |sum, _| sum.saturating_add(ENDGAME_MS));
        copies().all(|asked| now.since(asked.at) >= wait)
    }
}

/// Whether a peer that is no seed gives us what we ask for.
fn is_relied_on<B: Words, const LANES: usize>(peer: &Peer<B, LANES>, now: Millis) -> bool {
    !peer.is_seed() && peer.open().any(|lane| lane.is_prompt(now))
}
