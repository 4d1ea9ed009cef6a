//! Which block to ask for next, and of whom: begun pieces first, then the rarest, then the endgame.

use super::{LaneId, MAX_ACTIVE, Swarm, block_slot};
use crate::bits::index;
use crate::content::Span;
use crate::id::BlockId;
use crate::peer::{Cancel, Peer, Words};
use crate::time::Millis;

/// Milliseconds after which a block in flight may be asked for a second time, when nothing else is left to ask.
const ENDGAME_MS: u64 = 2_000;

/// A seed is spared pieces that others have, unless it is this many times as fast as all of them together.
const SPARE: u64 = 2;

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// The next block to ask peer `at` for, by this lane.
    pub(super) fn pick(&mut self, now: Millis, at: usize, lane: LaneId) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let own = peer.lanes.get(usize::from(lane.lane))?.as_ref()?;
        if own.chokes_us || !peer.we_want {
            return None;
        }
        let spared = self.is_spared(now, at);
        if let Some(block) = self.pick_begun(at, spared) {
            return Some(block);
        }
        if let Some(piece) = self.pick_piece(at, spared) {
            if self.active.len() >= MAX_ACTIVE {
                self.active.remove(0);
            }
            _ = self.active.push(piece); // room was made
            return self.free_block(piece);
        }
        self.pick_late(now, at, lane)
    }

    /// Seeds give what nobody else has: fetchers get the rest from each other, so a seed uploads little more than once.
    fn is_spared(&self, now: Millis, at: usize) -> bool {
        let Some(peer) = self.peers.get(at).and_then(Option::as_ref).filter(|peer| peer.is_seed()) else {
            return false;
        };
        let others = self.peers.iter().flatten().filter(|other| !other.is_seed() && !other.chokes_us());
        let rate = others.fold(0, |sum: u64, other| sum.saturating_add(other.down.rate(now)));
        // Until somebody else has been measured, or while they hold their own, the seed is spared.
        let seed = peer.down.rate(now);
        rate.saturating_mul(SPARE) >= seed || rate == 0
    }

    /// Whether a peer that is no seed, and serves us, has this piece.
    fn others_have(&self, piece: u32) -> bool {
        self.peers
            .iter()
            .flatten()
            .any(|peer| !peer.is_seed() && !peer.chokes_us() && peer.joined() > 0 && peer.has.get(piece))
    }

    fn pick_begun(&self, at: usize, spared: bool) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let mine = self.active.iter().filter(|piece| peer.has.get(**piece));
        mine.filter(|piece| !(spared && self.others_have(**piece))).find_map(|piece| self.free_block(*piece))
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
    fn pick_piece(&mut self, at: usize, spared: bool) -> Option<u32> {
        let pieces = self.layout.pieces();
        let start = self.random().checked_rem(pieces)?;
        let peer = self.peers.get(at)?.as_ref()?;
        let mut best: Option<(usize, u32)> = None;
        for piece in (start..pieces).chain(0..start) {
            if !self.is_candidate(peer, piece) || (spared && self.others_have(piece)) {
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

    /// A block that has been in flight elsewhere for long, when nothing is left that is not in flight.
    fn pick_late(&self, now: Millis, at: usize, lane: LaneId) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let own = peer.lanes.get(usize::from(lane.lane))?.as_ref()?;
        let late = self.lanes().flat_map(|lane| &lane.asked).filter(|asked| {
            asked.cancel == Cancel::No
                && now.since(asked.at) >= ENDGAME_MS
                && peer.has.get(asked.id.piece)
                && !own.has_asked(asked.id)
                && self.lanes().filter(|lane| lane.has_asked(asked.id)).count() < 2
        });
        late.min_by_key(|asked| asked.at).map(|asked| asked.id)
    }
}
