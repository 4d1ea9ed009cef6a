//! Which block to ask for next, and of whom: begun pieces first, then the rarest, then the endgame.

use super::{LaneId, MAX_ACTIVE, Swarm, block_slot};
use crate::bits::{Bits, index};
use crate::content::Span;
use crate::id::BlockId;
use crate::peer::{Asked, Cancel, Peer, Words};
use crate::time::Millis;

/// Milliseconds after which a block in flight may be asked for a second time.
const ENDGAME_MS: u64 = 2_000;

/// A seed is spared pieces that others have, unless it is this many times as fast as all of them together.
const SPARE: u64 = 2;

/// Bits of the number of peers: there are at most 255.
const COUNT_BITS: usize = 8;

/// Milliseconds that a peer is given to get going before its rate counts.
const START_MS: u64 = 15_000;

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// The next block to ask peer `at` for, by this lane.
    pub(super) fn pick(&mut self, now: Millis, at: usize, lane: LaneId) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let own = peer.lanes.get(usize::from(lane.lane))?.as_ref()?;
        if own.chokes_us || now < own.rest || !peer.we_want() {
            return None;
        }
        let spared = self.is_spared(now, at);
        let others = |place: &Option<Peer<B, LANES>>| {
            place.as_ref().is_some_and(|peer| spared && is_relied_on(peer, now))
        };
        let others: [bool; PEERS] = core::array::from_fn(|place| self.peers.get(place).is_some_and(others));
        if let Some(block) = self.pick_begun(at, &others) {
            return Some(block);
        }
        if let Some(piece) = self.pick_piece(at, &others) {
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

    /// Of 64 pieces those that one of `others` has.
    fn held_by(&self, others: &[bool; PEERS], word: usize) -> u64 {
        let those =
            self.peers.iter().zip(others).filter(|(_, is)| **is).filter_map(|(peer, _)| peer.as_ref());
        those.fold(0, |held, peer| held | word_of(&peer.has, word))
    }

    fn pick_begun(&self, at: usize, others: &[bool; PEERS]) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let spared = |piece: u32| self.held_by(others, index(piece / 64)) & 1_u64.wrapping_shl(piece) != 0;
        let mine = self.active.iter().filter(|piece| peer.has.get(**piece) && !spared(**piece));
        mine.copied().find_map(|piece| self.free_block(piece))
    }

    /// The first block of `piece` that is neither here nor in flight.
    fn free_block(&self, piece: u32) -> Option<BlockId> {
        let blocks = u32::from(self.layout.blocks_in(piece)?);
        let first = block_slot(&self.layout, BlockId { piece, block: 0 });
        let free = self.blocks.first_clear(&self.asked, first, blocks)?;
        Some(BlockId { piece, block: u16::try_from(free.checked_sub(first)?).ok()? })
    }

    /// The rarest piece that the peer has and nobody was asked for, none that `others` have. Among equals the first after
    /// a random start, so that fetchers of one seed begin with different pieces. Looks at 64 pieces at a time, and no
    /// further than to the first that cannot be rarer.
    fn pick_piece(&mut self, at: usize, others: &[bool; PEERS]) -> Option<u32> {
        let start = self.random().checked_rem(self.layout.pieces())?;
        let peer = self.peers.get(at)?.as_ref()?;
        let seeds = self.peers.iter().flatten().filter(|peer| peer.is_seed()).count();
        let fewest = u32::try_from(seeds).ok()?.saturating_add(u32::from(!peer.is_seed()));
        let (first, after) = (index(start / 64), u64::MAX.wrapping_shl(start));
        let words = (first..self.pieces.words().len()).chain(0..=first);
        let mut best: Option<(u32, u32)> = None;
        for (turn, word) in words.enumerate() {
            // The first word is looked at twice: from the start on, and at last up to it.
            let part = if turn == 0 {
                after
            } else if word == first {
                !after
            } else {
                u64::MAX
            };
            let open = part & word_of(&peer.has, word) & !word_of(&self.pieces, word);
            if open == 0 {
                continue;
            }
            let open = open & !self.held_by(others, word);
            let found = self.rarest_of(word, open, best.map_or(u32::MAX, |(holders, _)| holders));
            best = found.or(best);
            if found.is_some_and(|(holders, _)| holders <= fewest) {
                break;
            }
        }
        best.map(|(_, piece)| piece)
    }

    /// Of the `open` ones among 64 pieces, the first of the rarest that has a free block, if fewer than `limit` peers have
    /// it; and how many do.
    fn rarest_of(&self, word: usize, mut open: u64, limit: u32) -> Option<(u32, u32)> {
        if open == 0 {
            return None;
        }
        let counts = self.count_holders(word);
        while open != 0 {
            let (holders, mut equal) = lowest(&counts, open);
            if holders >= limit {
                return None;
            }
            open &= !equal;
            while equal != 0 {
                let piece = u32::try_from(word).ok()?.checked_mul(64)?.checked_add(equal.trailing_zeros())?;
                if self.free_block(piece).is_some() {
                    return Some((holders, piece));
                }
                equal &= equal.wrapping_sub(1);
            }
        }
        None
    }

    /// How many peers have each of 64 pieces: bit `n` of each number stands in the `n`th word.
    fn count_holders(&self, word: usize) -> [u64; COUNT_BITS] {
        let mut counts = [0; COUNT_BITS];
        for peer in self.peers.iter().flatten() {
            let mut carry = word_of(&peer.has, word);
            for bits in &mut counts {
                (*bits, carry) = (*bits ^ carry, *bits & carry);
                if carry == 0 {
                    break;
                }
            }
        }
        counts
    }

    /// A block that has been in flight elsewhere for long: on a lane that went silent, or on any in the endgame. Each
    /// copy waits longer than the one before, and no number of silent peers can hold a block.
    fn pick_late(&self, now: Millis, at: usize, lane: LaneId, spared: bool) -> Option<BlockId> {
        let peer = self.peers.get(at)?.as_ref()?;
        let own = peer.lanes.get(usize::from(lane.lane))?.as_ref()?;
        // In the endgame every block that is missing is in flight.
        let ending = !spared && self.free == 0;
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

/// 64 bits of a row.
fn word_of<B: Words>(bits: &Bits<B>, word: usize) -> u64 {
    bits.words().get(word).copied().unwrap_or(0)
}

/// The lowest of the `open` ones among 64 numbers written as [`Swarm::count_holders`] does, and which they are.
fn lowest(counts: &[u64; COUNT_BITS], open: u64) -> (u32, u64) {
    let mut least = open;
    let number = counts.iter().rev().fold(0_u32, |number, bits| {
        let clear = least & !bits;
        if clear == 0 {
            return (number << 1) | 1;
        }
        least = clear;
        number << 1
    });
    (number, least)
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;
    use std::{vec, vec::IntoIter};

    use super::*;
    use crate::bits::words_for;
    use crate::content::{Hash, Layout};
    use crate::id::PeerKey;
    use crate::limits::{MAX_FRAME, MAX_PIECES};
    use crate::sim::{MemoryStore, Random, Share};
    use crate::swarm::{Settings, block_slots, blocks_of};
    use crate::wire::Message;

    type Wide = Swarm<Vec<u64>, Vec<Span>, 16, 2>;

    const NOW: Millis = Millis(1_000);

    fn bits(len: u32) -> Option<Bits<Vec<u64>>> {
        Bits::new(vec![0; words_for(len)], len).ok()
    }

    /// A swarm that lacks all pieces of `blocks` blocks each, and a lane to as many peers as there are rows of bits.
    fn swarm(pieces: u32, blocks: u32, has: IntoIter<u8>) -> (Box<Wide>, Vec<LaneId>, MemoryStore) {
        let length = u64::from(pieces) * u64::from(blocks) * 16_384;
        let span = Span { file: 0, first_piece: 0, length, root: Hash::default() };
        let layout = Layout::new(blocks * 16_384, vec![span]).unwrap();
        let slots = block_slots(&layout).unwrap();
        let all = (bits(pieces).unwrap(), bits(slots).unwrap(), bits(slots).unwrap());
        let mut swarm =
            Box::new(Wide::new(layout, all, PeerKey([0; 32]), Settings::default(), 7, NOW).unwrap());
        let mut store = MemoryStore::new(Share::new(1, 16_384, &[1]), false, 1);
        let mut buf = [0; MAX_FRAME];
        let lanes = has.enumerate().map(|(peer, row)| {
            let key = PeerKey([u8::try_from(peer).unwrap() + 1; 32]);
            let lane = swarm.lane_open(NOW, key, Some(b"peer"), bits).unwrap();
            assert!(swarm.say(NOW, lane, &mut buf, &mut store).unwrap() > 0, "Join");
            for first in (0..pieces).step_by(16_384 * 8) {
                let row = vec![row; usize::try_from((pieces - first).div_ceil(8)).unwrap().min(16_384)];
                let row = Message::Haves { first, bits: &row }.encode(&mut buf).unwrap().to_vec();
                swarm.hear(NOW, lane, &row, &mut store).unwrap();
            }
            swarm.hear(NOW, lane, &[4, 0], &mut store).unwrap();
            lane
        });
        let lanes = lanes.collect();
        (swarm, lanes, store)
    }

    /// The first of the rarest after `start`, found by looking at each piece.
    fn plain(swarm: &Wide, at: usize, others: &[bool; 16], start: u32) -> Option<u32> {
        let pieces = swarm.layout.pieces();
        let holders = |piece: u32| swarm.peers.iter().flatten().filter(|peer| peer.has.get(piece)).count();
        let held = |piece: u32| {
            (0..16).any(|at| others[at] && swarm.peers[at].as_ref().is_some_and(|peer| peer.has.get(piece)))
        };
        (start..pieces)
            .chain(0..start)
            .filter(|piece| swarm.peers[at].as_ref().unwrap().has.get(*piece) && !held(*piece))
            .filter(|piece| swarm.free_block(*piece).is_some() && !swarm.pieces.get(*piece))
            .min_by_key(|piece| holders(*piece))
    }

    #[test]
    fn the_rarest_is_the_one_that_a_look_at_each_piece_finds() {
        let mut random = Random::new(1);
        for round in 0..60_u32 {
            let pieces = [8, 64, 72, 200][usize::try_from(round % 4).unwrap()];
            let count = usize::try_from(random.draw() % 16 + 1).unwrap();
            let (mut swarm, _, _) =
                swarm(pieces, 2, vec![if round % 3 == 0 { 0xff } else { 0 }; count].into_iter());
            for piece in 0..pieces {
                for peer in swarm.peers.iter_mut().flatten() {
                    let has = random.draw().is_multiple_of(3) && peer.has.set(piece);
                    peer.has_count += u32::from(has);
                }
                let slots = 2 * piece..2 * piece + 2;
                slots.filter(|_| random.draw().is_multiple_of(4)).for_each(|slot| _ = swarm.asked.set(slot));
            }
            let others = core::array::from_fn(|_| round % 2 == 0 && random.draw().is_multiple_of(4));
            for at in 0..count {
                let mut copy = swarm.random;
                let found = swarm.pick_piece(at, &others);
                core::mem::swap(&mut swarm.random, &mut copy);
                let start = swarm.random() % pieces;
                assert_eq!(found, plain(&swarm, at, &others, start), "{round} {at}");
            }
        }
    }

    #[test]
    fn the_largest_share_is_asked_for_without_delay() {
        let (mut swarm, lanes, mut store) = swarm(MAX_PIECES, 1, vec![0xff, 0xff, 0x55].into_iter());
        let (mut buf, mut asked) = ([0; MAX_FRAME], 0);
        for lane in lanes.iter().cycle().take(600) {
            while let Ok(len @ 1..) = swarm.say(NOW, *lane, &mut buf, &mut store) {
                let Ok(Message::Request(id)) = Message::decode(&buf[..len]) else { continue };
                let refuse = Message::Refuse { id, gone: true }.encode(&mut [0; 16]).unwrap().to_vec();
                swarm.hear(NOW, *lane, &refuse, &mut store).unwrap();
                asked += 1;
                if asked % 8 == 0 {
                    break;
                }
            }
        }
        // A look at each piece took 0.1 s a request, which is longer than a test may run. `--example costs` has the figures.
        assert!(asked >= 4000, "{asked}");
    }

    #[test]
    fn counts_follow_what_comes_and_goes() {
        let (mut swarm, lanes, mut store) = swarm(40, 2, vec![0xff, 0xf0].into_iter());
        let mut buf = [0; MAX_FRAME];
        let check = |swarm: &Wide| {
            let there = |id: &BlockId| {
                let slot = block_slot(&swarm.layout, *id);
                swarm.blocks.get(slot) || swarm.asked.get(slot)
            };
            let free = blocks_of(&swarm.layout).filter(|id| !there(id)).count();
            assert_eq!(usize::try_from(swarm.free).unwrap(), free);
            assert_eq!(swarm.left, 40 - swarm.pieces.count());
            for peer in swarm.peers.iter().flatten() {
                assert_eq!(peer.wanted, peer.has.count_beyond(&swarm.pieces));
                assert_eq!(peer.has_count, peer.has.count());
            }
        };
        check(&swarm);
        for turn in 0..40_u64 {
            let lane = lanes[usize::try_from(turn % 2).unwrap()];
            while let Ok(1..) = swarm.say(NOW.plus(turn), lane, &mut buf, &mut store) {}
            check(&swarm);
            let Some(asked) = swarm.lane_mut(lane).and_then(|(_, lane)| lane.asked.first().copied()) else {
                continue;
            };
            if turn % 3 == 0 {
                let gone =
                    Message::Refuse { id: asked.id, gone: turn % 2 == 0 }.encode(&mut buf).unwrap().to_vec();
                swarm.hear(NOW.plus(turn), lane, &gone, &mut store).unwrap();
            } else {
                swarm.lane_mut(lane).unwrap().1.answered(asked.id);
                swarm.unask(asked.id);
                swarm.keep(asked.id);
            }
            check(&swarm);
        }
        let piece = (0..40).rev().find(|piece| !swarm.pieces.get(*piece)).unwrap();
        let block = (0..2).rev().find(|block| !swarm.blocks.get(piece * 2 + block)).unwrap();
        swarm.keep(BlockId { piece, block: u16::try_from(1 - block).unwrap() });
        let before = swarm.verified;
        swarm.lose(piece);
        assert_eq!(before - swarm.verified, 16_384);
        check(&swarm);
        let have = Message::Have(39).encode(&mut buf).unwrap().to_vec();
        swarm.hear(NOW, lanes[1], &have, &mut store).unwrap();
        swarm.lane_closed(NOW, lanes[0]);
        check(&swarm);
        assert!(swarm.left < 40, "some became whole");
    }
}
