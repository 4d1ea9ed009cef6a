//! Writing frames.

use super::{LaneId, MAX_LOG, Over, Swarm, log_place};
use crate::bits::Bits;
use crate::content::Span;
use crate::id::BlockId;
use crate::limits::{ALIVE_MS, BLOCK_LEN, MAX_FRAME, MAX_NAMES};
use crate::peer::{Asked, CHATTER, Cancel, Name, Reply, Told, Words};
use crate::store::Store;
use crate::time::Millis;
use crate::wire::Message;

/// Room in front of what a store writes into a frame; the head of the message is shorter.
const HEAD: usize = 64;

/// Milliseconds between two messages of names to one peer.
const NAMES_MS: u64 = 1_000;

/// Pieces told of in one `Haves`.
const PIECES_A_FRAME: u32 = 8 * 16 * 1024;

/// Units of chatter that an answer with metadata costs: 128 of them at once, and then 16 a second, 256 KiB. A learner
/// that is slower never waits; the largest share there may be, 2^20 pieces, takes two minutes.
const METADATA: u64 = 4;

/// Bytes of an upload that the bucket is asked for.
const UNIT: u64 = 16 * 1024;

/// Milliseconds by which the next try to upload is put off at most.
const SPREAD_MS: u64 = 32;

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// Writes the next frame for `lane` at the start of `tx` and returns its length, or 0 when there is none to send.
    pub fn say(
        &mut self,
        now: Millis,
        lane: LaneId,
        tx: &mut [u8; MAX_FRAME],
        store: &mut impl Store,
    ) -> Result<usize, Over> {
        let Some((at, own)) = self.lane_mut(lane).filter(|(_, lane)| !lane.closing) else {
            return Err(Over::Closed);
        };
        let silent = now.since(own.said) >= ALIVE_MS;
        let len = if own.dialed && !own.joined {
            own.joined = true;
            write(&Message::Join, tx)
        } else {
            self.say_terms(at, lane, tx)
                .or_else(|| self.say_haves(at, lane, tx))
                .or_else(|| self.say_names(now, at, lane, tx))
                .or_else(|| self.say_cancel(lane, tx))
                .or_else(|| self.say_request(now, at, lane, tx))
                .or_else(|| self.say_reply(now, at, lane, tx, store))
                .or_else(|| self.say_bye(lane, tx))
                .unwrap_or_else(|| if silent { write(&Message::Alive, tx) } else { 0 })
        };
        if let Some((_, lane)) = self.lane_mut(lane).filter(|_| len > 0) {
            lane.said = now;
        }
        Ok(len)
    }

    /// Whether we serve and whether we want: said on every lane, ahead of what depends on it.
    fn say_terms(&mut self, at: usize, id: LaneId, tx: &mut [u8]) -> Option<usize> {
        let peer = self.peers.get(at)?.as_ref()?;
        let (choked, wants) = (peer.choked, peer.we_want());
        let (_, lane) = self.lane_mut(id).filter(|(_, lane)| lane.joined)?;
        if lane.said_choke != choked {
            lane.said_choke = choked;
            return Some(write(&Message::Choke(choked), tx));
        }
        let news = lane.said_want != wants;
        lane.said_want = wants;
        news.then(|| write(&Message::Want(wants), tx))
    }

    /// What we had when the lane began goes by every lane, for its other end may have started anew; what came since
    /// goes by the oldest, and again by the next if that one is gone.
    fn say_haves(&mut self, at: usize, id: LaneId, tx: &mut [u8; MAX_FRAME]) -> Option<usize> {
        let herald = self.peers.get(at)?.as_ref()?.herald() == Some(id.generation);
        loop {
            let (pieces, logged) = (self.layout.pieces(), self.logged);
            let (_, lane) = self.lane_mut(id).filter(|(_, lane)| lane.joined)?;
            match lane.told {
                Told::Bits { next, since } if next >= pieces => lane.told = Told::Log(since),
                Told::Bits { next, since } => {
                    lane.told = Told::Bits { next: next.saturating_add(PIECES_A_FRAME), since };
                    if let Some(len) = write_haves(&self.pieces, next, tx) {
                        return Some(len);
                    }
                }
                Told::Log(seen) if seen >= logged || !herald => return None,
                Told::Log(seen) if logged.saturating_sub(seen) > u64::from(MAX_LOG) => {
                    lane.told = Told::Bits { next: 0, since: logged };
                }
                Told::Log(seen) => {
                    lane.told = Told::Log(seen.saturating_add(1));
                    let piece = *self.log.get(log_place(seen))?;
                    // A peer that has the piece gains nothing from hearing of it.
                    if self.peers.get(at)?.as_ref().is_some_and(|peer| !peer.has.get(piece)) {
                        return Some(write(&Message::Have(piece), tx));
                    }
                }
            }
        }
    }

    /// Our own name and those of the other peers; then further names for lanes.
    fn say_names(&mut self, now: Millis, at: usize, id: LaneId, tx: &mut [u8]) -> Option<usize> {
        let peer = self.peers.get_mut(at)?.as_mut()?;
        if peer.herald() != Some(id.generation) {
            return None;
        }
        if peer.told_on != Some(id.generation) {
            peer.told_on = Some(id.generation);
            (peer.names_due, peer.lanes_due) = (true, true);
        }
        let (names, lanes) = (peer.names_due && now >= peer.next_names, peer.lanes_due);
        let mut packed = [0; 2048];
        if names {
            (peer.names_due, peer.next_names) = (false, now.plus(NAMES_MS));
            let start = usize::try_from(self.random()).unwrap_or(0).checked_rem(PEERS).unwrap_or(0);
            let own = self.names.first().map_or(&[][..], |name| name.as_slice());
            let others = self.peers.iter().enumerate().cycle().skip(start).take(PEERS);
            let others = others.filter(|(place, _)| *place != at);
            let others = others.filter_map(|(_, peer)| peer.as_ref()?.name.as_deref());
            let len = pack(core::iter::once(own).chain(others).take(MAX_NAMES), &mut packed);
            if len > 1 {
                return Some(write(&Message::Peers(packed.get(..len)?), tx));
            }
        }
        if lanes {
            self.peers.get_mut(at)?.as_mut()?.lanes_due = false;
            let len = pack(self.names.iter().skip(1).map(Name::as_slice), &mut packed);
            return (len > 0).then(|| write(&Message::Lanes(packed.get(..len).unwrap_or_default()), tx));
        }
        None
    }

    /// A retiring lane leaves when nothing is owed either way.
    fn say_bye(&mut self, lane: LaneId, tx: &mut [u8]) -> Option<usize> {
        let (_, lane) = self.lane_mut(lane)?;
        let done = lane.retiring && lane.asked.is_empty() && lane.replies.is_empty();
        lane.closing |= done;
        done.then(|| write(&Message::Bye, tx))
    }

    fn say_cancel(&mut self, lane: LaneId, tx: &mut [u8]) -> Option<usize> {
        let (_, lane) = self.lane_mut(lane)?;
        let asked = lane.asked.iter_mut().find(|asked| asked.cancel == Cancel::Due)?;
        asked.cancel = Cancel::Said;
        Some(write(&Message::Cancel(asked.id), tx))
    }

    fn say_request(&mut self, now: Millis, at: usize, id: LaneId, tx: &mut [u8]) -> Option<usize> {
        let (_, lane) = self.lane_mut(id)?;
        if !lane.has_room() || self.fault.is_some() {
            return None;
        }
        let block = self.pick(now, at, id)?;
        let (_, lane) = self.lane_mut(id)?;
        if lane.asked.is_empty() {
            lane.fed = now;
        }
        lane.asked.push(Asked { id: block, at: now, cancel: Cancel::No }).ok()?;
        if let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) {
            peer.first_asked.get_or_insert(now);
        }
        if self.asked.set(super::block_slot(&self.layout, block)) {
            self.free = self.free.saturating_sub(1);
        }
        Some(write(&Message::Request(block), tx))
    }

    fn say_reply(
        &mut self,
        now: Millis,
        at: usize,
        id: LaneId,
        tx: &mut [u8; MAX_FRAME],
        store: &mut impl Store,
    ) -> Option<usize> {
        let (_, lane) = self.lane_mut(id)?;
        let reply = *lane.replies.front()?;
        if !matches!(reply, Reply::Refuse { .. }) && !self.may_give(now, at, id, reply) {
            return None; // the timer stirs the lane when the bucket has refilled
        }
        let (_, lane) = self.lane_mut(id)?;
        lane.replies.pop_front();
        if matches!(reply, Reply::Hashes { .. } | Reply::Info(_)) {
            self.teach(now, at, id, store.info_len());
        }
        match reply {
            Reply::Block(block) => self.write_block(now, at, block, tx, store),
            Reply::Refuse { id, gone } => Some(write(&Message::Refuse { id, gone }, tx)),
            Reply::Hashes { file, index } => write_hashes(file, index, tx, store),
            Reply::Info(offset) => write_info(offset, tx, store),
        }
    }

    /// Notes an answer with metadata: who learns keeps his place and his lane, until he was given twice as many answers as
    /// there are. Whoever goes on asking may do so, but has no more from it than talk brings.
    fn teach(&mut self, now: Millis, at: usize, id: LaneId, info_len: u32) {
        let parts = info_len.div_ceil(u32::try_from(BLOCK_LEN).unwrap_or(u32::MAX)).max(1);
        let enough = parts.saturating_add(self.layout.runs()).saturating_mul(2);
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return };
        if peer.taught >= enough {
            return;
        }
        peer.taught = peer.taught.saturating_add(1);
        peer.moved = now;
        if let Some((_, lane)) = self.lane_mut(id).filter(|(_, lane)| !lane.joined) {
            lane.fed = now;
        }
    }

    /// Charges an answer of substance to the upload limit, and metadata to the peer's allowance as well, since whoever
    /// asks for it pays with nothing of his own. Metadata leaves half of that allowance to messages that cannot wait.
    fn may_give(&mut self, now: Millis, at: usize, id: LaneId, reply: Reply) -> bool {
        let metadata = !matches!(reply, Reply::Block(_));
        let enough = METADATA.saturating_add(CHATTER.1 / 2);
        let peer = self.peers.get_mut(at).and_then(Option::as_mut);
        if metadata && peer.is_some_and(|peer| !peer.chatter.holds(now, enough)) {
            return false;
        }
        if let Some(bucket) = &mut self.upload {
            if !bucket.take(now, UNIT) {
                let ready = bucket.ready_at(UNIT);
                // Swarms that share a bucket come back apart, or it would always be the same one that comes first. Who
                // waits already keeps his turn.
                let spread = u64::from(self.random()) % SPREAD_MS;
                self.dry_until.get_or_insert(ready.plus(spread));
                return false;
            }
            self.turn = at.saturating_mul(LANES).saturating_add(usize::from(id.lane));
        }
        !metadata || self.chatter(now, at, METADATA).is_ok()
    }

    fn write_block(
        &mut self,
        now: Millis,
        at: usize,
        id: BlockId,
        tx: &mut [u8; MAX_FRAME],
        store: &mut impl Store,
    ) -> Option<usize> {
        let proof = self.layout.proof_len(id.piece)?.saturating_mul(32);
        let bytes = self.layout.block_len(id)?;
        // The message as postcard writes it, with the store filling in the two byte strings where they belong.
        let mut at_byte = head(&(7_u8, id, u32::try_from(proof).ok()?), tx)?;
        let (before, rest) = tx.split_at_mut_checked(at_byte.checked_add(proof)?)?;
        let head_len = head(&u32::try_from(bytes).ok()?, rest)?;
        let room = rest.get_mut(head_len..head_len.checked_add(bytes)?)?;
        if let Err(fault) = store.read(id, before.get_mut(at_byte..)?, room) {
            self.read_fault = Some(fault);
            return Some(write(&Message::Refuse { id, gone: true }, tx));
        }
        at_byte = at_byte.checked_add(proof)?.checked_add(head_len)?.checked_add(bytes)?;
        let count = u64::try_from(bytes).unwrap_or(0);
        self.sent = self.sent.saturating_add(count);
        if let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) {
            peer.uploaded = peer.uploaded.saturating_add(count);
            peer.up.add(now, count);
            peer.moved = now;
        }
        Some(at_byte)
    }
}

/// Writes a small message. The frame is large enough for any, so nothing can fail.
fn write(message: &Message<'_>, tx: &mut [u8]) -> usize {
    message.encode(tx).map_or(0, <[u8]>::len)
}

/// Writes the head of a message and returns its length.
fn head(value: &impl serde::Serialize, tx: &mut [u8]) -> Option<usize> {
    postcard::to_slice(value, tx).ok().map(|bytes| bytes.len())
}

/// Packs names as a length byte and as many bytes; what does not fit is left out.
fn pack<'n>(names: impl Iterator<Item = &'n [u8]>, out: &mut [u8]) -> usize {
    let mut len: usize = 0;
    for name in names {
        let end = len.saturating_add(1).saturating_add(name.len());
        let Some((first, rest)) = out.get_mut(len..end).and_then(<[u8]>::split_first_mut) else { break };
        *first = u8::try_from(name.len()).unwrap_or(0);
        rest.copy_from_slice(name);
        len = end;
    }
    len
}

/// Writes the bits from piece `first` on; nothing if none of them is set.
fn write_haves<B: Words>(pieces: &Bits<B>, first: u32, tx: &mut [u8; MAX_FRAME]) -> Option<usize> {
    let room = tx.get_mut(HEAD..HEAD.saturating_add(BLOCK_LEN))?;
    let bits = pieces.export(first, room);
    if room.get(..bits)?.iter().all(|byte| *byte == 0) {
        return None;
    }
    let mut small = [0; HEAD];
    let len = head(&(2_u8, first, u32::try_from(bits).ok()?), &mut small)?;
    tx.copy_within(HEAD..HEAD.checked_add(bits)?, len);
    tx.get_mut(..len)?.copy_from_slice(small.get(..len)?);
    len.checked_add(bits)
}

fn write_hashes(file: u32, index: u32, tx: &mut [u8; MAX_FRAME], store: &impl Store) -> Option<usize> {
    let none: (usize, usize) = (0, 0); // an empty answer says that there is no such layer
    let (hashes, uncles) = store.hashes(file, index, tx.get_mut(HEAD..)?).unwrap_or(none);
    let mut small = [0; HEAD];
    let first = head(&(10_u8, file, index, u32::try_from(hashes).ok()?), &mut small)?;
    tx.copy_within(HEAD..HEAD.checked_add(hashes)?, first);
    tx.get_mut(..first)?.copy_from_slice(small.get(..first)?);
    let second = first.checked_add(hashes)?;
    let len = head(&u32::try_from(uncles).ok()?, &mut small)?;
    let third = second.checked_add(len)?;
    let from = HEAD.checked_add(hashes)?;
    tx.copy_within(from..from.checked_add(uncles)?, third);
    tx.get_mut(second..third)?.copy_from_slice(small.get(..len)?);
    third.checked_add(uncles)
}

fn write_info(offset: u32, tx: &mut [u8; MAX_FRAME], store: &impl Store) -> Option<usize> {
    let bytes = store.info(offset, tx.get_mut(HEAD..HEAD.saturating_add(BLOCK_LEN))?);
    let mut small = [0; HEAD];
    let first =
        head(&(12_u8, store.info_hash(), store.info_len(), offset, u32::try_from(bytes).ok()?), &mut small)?;
    tx.copy_within(HEAD..HEAD.checked_add(bytes)?, first);
    tx.get_mut(..first)?.copy_from_slice(small.get(..first)?);
    first.checked_add(bytes)
}
