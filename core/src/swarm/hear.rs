//! Taking in frames.

use super::{Event, LaneId, Over, Reject, Swarm, block_slot, bytes_of, is_whole, log_place};
use crate::content::{Span, merkle};
use crate::id::BlockId;
use crate::limits::MAX_NAME;
use crate::peer::{Cancel, MAX_EXTRA, Name, Reply, Words};
use crate::store::{Store, StoreError};
use crate::time::Millis;
use crate::wire::Message;

/// Units of chatter that a message of names or bits costs: more work than the others.
const HEAVY: u64 = 16;

/// Milliseconds for which a lane that refused without choking is not asked.
const REST_MS: u64 = 1_000;

/// A block as it came.
struct Incoming<'a> {
    id: BlockId,
    proof: &'a [u8],
    bytes: &'a [u8],
}

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// Takes in one frame that came by `lane`. After an error the lane is over: close its connection and call
    /// [`lane_closed`](Self::lane_closed). At most one block is hashed.
    pub fn hear(
        &mut self,
        now: Millis,
        lane: LaneId,
        frame: &[u8],
        store: &mut impl Store,
    ) -> Result<Event, Over> {
        let Some((at, heard)) = self.lane_mut(lane).filter(|(_, lane)| !lane.closing) else {
            return Err(Over::Closed);
        };
        heard.heard = now;
        let (dialed, joined) = (heard.dialed, heard.joined);
        let Ok(message) = Message::decode(frame) else { return Err(self.expel(at, Reject::Malformed)) };
        let taken = match message {
            Message::Bye => return Err(Over::Closed),
            Message::Busy if dialed => return Err(Over::Busy),
            Message::Alive => self.chatter(now, at, 1),
            Message::AskInfo(offset) => self.owe(lane, Reply::Info(offset)),
            Message::AskHashes { file, index } => self.owe(lane, Reply::Hashes { file, index }),
            Message::Join if !dialed && !joined => {
                self.join(lane);
                Ok(())
            }
            _ if !joined => Err(Reject::OutOfTurn),
            Message::Block { id, proof, bytes } => {
                let block = Incoming { id, proof, bytes };
                return self.take_block(now, lane, &block, store).map_err(|reject| self.expel(at, reject));
            }
            other => self.take(now, lane, at, other),
        };
        taken.map_or_else(|reject| Err(self.expel(at, reject)), |()| Ok(Event::Quiet))
    }

    fn take(&mut self, now: Millis, lane: LaneId, at: usize, message: Message<'_>) -> Result<(), Reject> {
        match message {
            Message::Have(piece) => self.take_have(now, at, piece),
            Message::Haves { first, bits } => {
                self.chatter(now, at, HEAVY)?;
                let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return Ok(()) };
                peer.has.merge(first, bits).map_err(|_| Reject::OutOfRange)?;
                peer.has_count = peer.has.count();
                peer.wanted = peer.has.count_beyond(&self.pieces);
                peer.stir();
                Ok(())
            }
            Message::Want(wants) => {
                self.chatter(now, at, 1)?;
                if let Some((_, lane)) = self.lane_mut(lane) {
                    lane.wants = wants;
                }
                self.look_at_wants(at);
                Ok(())
            }
            Message::Choke(choked) => {
                self.chatter(now, at, 1)?;
                if let Some((_, lane)) = self.lane_mut(lane) {
                    (lane.chokes_us, lane.stirred) = (choked, true);
                }
                Ok(())
            }
            Message::Request(id) => self.take_request(now, lane, at, id),
            Message::Cancel(id) => {
                self.chatter(now, at, 1)?;
                self.take_cancel(lane, id);
                Ok(())
            }
            Message::Refuse { id, gone } => self.take_refusal(now, lane, at, id, gone),
            Message::Lanes(names) => {
                self.chatter(now, at, HEAVY)?;
                self.take_lanes(at, names)
            }
            Message::Peers(names) => {
                self.chatter(now, at, HEAVY)?;
                self.take_names(now, at, names)
            }
            _ => Err(Reject::OutOfTurn),
        }
    }

    /// Charges a peer for a message without content.
    pub(super) fn chatter(&mut self, now: Millis, at: usize, units: u64) -> Result<(), Reject> {
        let peer = self.peers.get_mut(at).and_then(Option::as_mut);
        if peer.is_none_or(|peer| peer.chatter.take(now, units)) { Ok(()) } else { Err(Reject::Flood) }
    }

    fn owe(&mut self, lane: LaneId, reply: Reply) -> Result<(), Reject> {
        let Some((_, lane)) = self.lane_mut(lane) else { return Ok(()) };
        lane.stirred = true;
        lane.replies.push_back(reply).map_err(|_| Reject::Flood)
    }

    fn join(&mut self, lane: LaneId) {
        if let Some((_, lane)) = self.lane_mut(lane) {
            (lane.joined, lane.stirred) = (true, true);
        }
    }

    fn take_have(&mut self, now: Millis, at: usize, piece: u32) -> Result<(), Reject> {
        if piece >= self.layout.pieces() {
            return Err(Reject::OutOfRange);
        }
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return Ok(()) };
        if !peer.has.set(piece) {
            return self.chatter(now, at, 1);
        }
        peer.has_count = peer.has_count.saturating_add(1);
        if !self.pieces.get(piece) {
            peer.wanted = peer.wanted.saturating_add(1);
            peer.stir();
        }
        Ok(())
    }

    /// A request that is refused is talk. Those in flight when a peer is choked, 64 on each of eight lanes, are half of what
    /// it may say at once, and they come back in the ten seconds until it can be choked again.
    fn take_request(&mut self, now: Millis, lane: LaneId, at: usize, id: BlockId) -> Result<(), Reject> {
        if self.layout.block_len(id).is_none() {
            return Err(Reject::OutOfRange);
        }
        let choked = self.peers.get(at).and_then(Option::as_ref).is_none_or(|peer| peer.choked);
        let has = self.pieces.get(id.piece);
        let Some((_, lane)) = self.lane_mut(lane) else { return Ok(()) };
        let same = |reply: &Reply| matches!(reply, Reply::Block(owed) | Reply::Refuse { id: owed, .. } if *owed == id);
        if lane.replies.iter().any(same) {
            return Err(Reject::Repeated);
        }
        let refused = choked || !has || lane.retiring;
        let reply = if refused { Reply::Refuse { id, gone: !has } } else { Reply::Block(id) };
        lane.stirred = true;
        lane.replies.push_back(reply).map_err(|_| Reject::Flood)?;
        if refused { self.chatter(now, at, 1) } else { Ok(()) }
    }

    fn take_cancel(&mut self, lane: LaneId, id: BlockId) {
        let Some((_, lane)) = self.lane_mut(lane) else { return };
        for reply in lane.replies.iter_mut().filter(|reply| **reply == Reply::Block(id)) {
            *reply = Reply::Refuse { id, gone: false };
        }
        lane.stirred = true;
    }

    fn take_refusal(
        &mut self,
        now: Millis,
        id: LaneId,
        at: usize,
        block: BlockId,
        gone: bool,
    ) -> Result<(), Reject> {
        let (_, lane) = self.lane_mut(id).ok_or(Reject::OutOfTurn)?;
        let asked = lane.answered(block).ok_or(Reject::Unasked)?;
        (lane.fed, lane.stirred) = (now, true);
        if asked.cancel == Cancel::No && !gone {
            lane.rest = now.plus(REST_MS);
        }
        if gone
            && let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut)
            && peer.has.clear(block.piece)
        {
            peer.has_count = peer.has_count.saturating_sub(1);
            peer.wanted = peer.wanted.saturating_sub(u32::from(!self.pieces.get(block.piece)));
        }
        self.unask(block);
        self.stir_all();
        Ok(())
    }

    fn take_lanes(&mut self, at: usize, names: &[u8]) -> Result<(), Reject> {
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return Ok(()) };
        peer.extra.clear();
        for name in unpack(names).take(MAX_EXTRA) {
            _ = peer.extra.push(name?); // as many as there is room for
        }
        Ok(())
    }

    /// The first name is the peer's own, empty if it takes no calls.
    fn take_names(&mut self, now: Millis, at: usize, names: &[u8]) -> Result<(), Reject> {
        let mut names = unpack(names).take(crate::limits::MAX_NAMES);
        let own = names.next().transpose()?.filter(|name| !name.is_empty());
        for name in names {
            self.book.heard(now, &name?);
        }
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return Ok(()) };
        if peer.name != own {
            peer.name = own;
            self.names_changed();
        }
        Ok(())
    }

    fn take_block(
        &mut self,
        now: Millis,
        id: LaneId,
        block: &Incoming<'_>,
        store: &mut impl Store,
    ) -> Result<Event, Reject> {
        let bytes = u64::try_from(block.bytes.len()).unwrap_or(0);
        let (at, lane) = self.lane_mut(id).ok_or(Reject::OutOfTurn)?;
        let asked = lane.answered(block.id).ok_or(Reject::Unasked)?;
        if asked.cancel == Cancel::No {
            lane.pace.answered(now, asked.at);
        }
        (lane.fed, lane.stirred) = (now, true);
        lane.rate.add(now, bytes);
        self.unask(block.id);
        self.received = self.received.saturating_add(bytes);
        let leaf = merkle::leaf(block.bytes);
        if !self.fits(block) || !proves(&leaf, block, store)? {
            return Err(Reject::BadBlock);
        }
        if self.blocks.get(block_slot(&self.layout, block.id)) {
            self.wasted = self.wasted.saturating_add(bytes);
            return Ok(Event::Quiet);
        }
        if let Err(fault) = store.write(block.id, &leaf, block.bytes) {
            if fault == StoreError::Changed {
                self.lose(block.id.piece);
            }
            self.fault = Some(fault);
            return Ok(Event::Fault(fault));
        }
        self.credit(now, at, bytes);
        Ok(self.keep(block.id))
    }

    fn fits(&self, block: &Incoming<'_>) -> bool {
        let hashes = self.layout.proof_len(block.id.piece).map(|hashes| hashes.saturating_mul(32));
        self.layout.block_len(block.id) == Some(block.bytes.len()) && hashes == Some(block.proof.len())
    }

    fn credit(&mut self, now: Millis, at: usize, bytes: u64) {
        self.down.add(now, bytes);
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return };
        if peer.downloaded == 0 {
            self.book.proved(peer.key);
        }
        peer.downloaded = peer.downloaded.saturating_add(bytes);
        (peer.moved, peer.given) = (now, now);
        peer.down.add(now, bytes);
        peer.growth.received(bytes);
    }

    /// Notes a block that is verified and written.
    pub(super) fn keep(&mut self, id: BlockId) -> Event {
        let slot = block_slot(&self.layout, id);
        if self.blocks.set(slot) {
            self.free = self.free.saturating_sub(u32::from(!self.asked.get(slot)));
            self.verified = self.verified.saturating_add(bytes_of(&self.layout, id));
        }
        self.cancel_elsewhere(id);
        if !is_whole(&self.layout, &self.blocks, id.piece) {
            return Event::Block(id);
        }
        self.left = self.left.saturating_sub(u32::from(self.pieces.set(id.piece)));
        self.active.retain(|piece| *piece != id.piece);
        if let Some(entry) = self.log.get_mut(log_place(self.logged)) {
            *entry = id.piece;
        }
        self.logged = self.logged.saturating_add(1);
        for peer in self.peers.iter_mut().flatten() {
            peer.wanted = peer.wanted.saturating_sub(u32::from(peer.has.get(id.piece)));
            peer.stir();
        }
        if self.is_whole() { Event::Whole(id) } else { Event::Piece(id) }
    }

    /// The endgame asks for a block twice; whoever is late need not send it.
    fn cancel_elsewhere(&mut self, id: BlockId) {
        for lane in self.peers.iter_mut().flatten().flat_map(|peer| peer.lanes.iter_mut().flatten()) {
            for asked in lane.asked.iter_mut().filter(|asked| asked.id == id && asked.cancel == Cancel::No) {
                (asked.cancel, lane.stirred) = (Cancel::Due, true);
            }
        }
    }
}

/// Whether the block leads to the hash of its piece.
fn proves(leaf: &merkle::Hash, block: &Incoming<'_>, store: &impl Store) -> Result<bool, Reject> {
    let root = store.piece_root(block.id.piece).ok_or(Reject::OutOfRange)?;
    Ok(merkle::verify(*leaf, u64::from(block.id.block), block.proof, &root))
}

/// Names packed as a length byte and as many bytes.
fn unpack(mut bytes: &[u8]) -> impl Iterator<Item = Result<Name, Reject>> {
    core::iter::from_fn(move || {
        let (len, rest) = bytes.split_first()?;
        let Some((name, rest)) =
            rest.split_at_checked(usize::from(*len)).filter(|(name, _)| name.len() <= MAX_NAME)
        else {
            bytes = &[];
            return Some(Err(Reject::Malformed));
        };
        bytes = rest;
        Some(Name::from_slice(name).map_err(|_| Reject::Malformed))
    })
}
