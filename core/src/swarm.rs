//! One share and everyone who trades it: what we have, whom to ask, whom to serve.
//!
//! The owner calls, in this order: [`lane_open`](Swarm::lane_open) after a handshake; [`hear`](Swarm::hear) for each
//! frame; [`handle_timeout`](Swarm::handle_timeout) until `None` when [`poll_timeout`](Swarm::poll_timeout) says so, where
//! a limit on uploads may bring that moment nearer with each [`say`](Swarm::say);
//! after any of these [`poll_stirred`](Swarm::poll_stirred) until `None`, [`say`](Swarm::say) for each lane named there,
//! and [`poll_dial`](Swarm::poll_dial) until `None`; [`lane_closed`](Swarm::lane_closed) when a connection is gone.
//! Nothing waits and nothing is queued beyond what the types show.

mod book;
mod choke;
mod hear;
mod outcome;
mod pick;
mod places;
mod say;
#[cfg(test)]
mod tests;
mod timers;
mod view;

pub use book::Dial;
pub use outcome::{Event, NoLane, Over, Reject};
pub use view::{LaneView, PeerView};

use heapless::{Deque, Vec};

use crate::bits::{Bits, index};
use crate::content::{Layout, Span};
use crate::id::{BlockId, PeerKey};
use crate::limits::{CHOKE_MS, FIRST_LANES, MAX_LANES};
use crate::peer::{Lane, Name, Peer, Words};
use crate::rate::{Bucket, Meter};
use crate::store::StoreError;
use crate::time::Millis;

/// Keys of peers that were dropped for cause and are not let in again.
const MAX_BANNED: usize = 64;

/// Pieces that other peers are told of one by one; who falls further behind gets the bits again.
const MAX_LOG: u32 = 64;

/// Pieces begun and not finished that are remembered. Only a hint: forgetting one costs nothing but order.
const MAX_ACTIVE: usize = 64;

/// What the owner may set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Lanes to each peer at least.
    pub lanes_min: usize,
    /// Lanes to each peer at most, up to the capacity of the swarm.
    pub lanes_max: usize,
    /// Bytes a second to all peers together; `None` for no limit. See also [`Swarm::upload_mut`].
    pub upload_limit: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lanes_min: FIRST_LANES, lanes_max: MAX_LANES, upload_limit: None }
    }
}

/// One lane of one peer. A number is not used again before four billion others.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LaneId {
    peer: u8,
    lane: u8,
    generation: u32,
}

/// One share's swarm: `PEERS` peers (at most 255) of `LANES` lanes each. `B` is memory for bits and `S` for the layout,
/// both lent by the owner.
#[derive(Debug)]
pub struct Swarm<B, S, const PEERS: usize, const LANES: usize> {
    layout: Layout<S>,
    pieces: Bits<B>,
    blocks: Bits<B>,
    asked: Bits<B>,
    us: PeerKey,
    settings: Settings,
    peers: [Option<Peer<B, LANES>>; PEERS],
    /// Lanes of a peer that gave its place away, until their owner was told.
    ended: Vec<LaneId, LANES>,
    banned: Deque<PeerKey, MAX_BANNED>,
    book: book::Book,
    /// The last pieces that became whole, and how many there were in all.
    log: [u32; index(MAX_LOG)],
    logged: u64,
    active: Vec<u32, MAX_ACTIVE>,
    upload: Option<Bucket>,
    /// Lanes wait for the bucket, and are stirred then.
    dry_until: Option<Millis>,
    /// The lane that was last given something from the bucket: the next in order goes first.
    turn: usize,
    fault: Option<StoreError>,
    /// Why a block could not be read for a peer.
    read_fault: Option<StoreError>,
    /// Our own name and further names for lanes.
    names: Vec<Name, MAX_LANES>,
    next_choke: Millis,
    next_tick: Millis,
    numbers: u64,
    generations: u32,
    random: u64,
    /// Blocks that are neither here nor in flight, and pieces that are not whole.
    free: u32,
    left: u32,
    /// Content bytes that are here.
    verified: u64,
    /// Content bytes that came, wanted or not; what of them came twice.
    received: u64,
    wasted: u64,
    sent: u64,
    down: Meter,
}

/// The bits do not fit the layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrongSize;

/// Slots for blocks in a swarm of this layout: the number of bits in [`Swarm::new`]'s `blocks` and `asked`.
pub fn block_slots<S: AsRef<[Span]>>(layout: &Layout<S>) -> Option<u32> {
    layout.pieces().checked_mul(u32::from(layout.blocks_per_piece()))
}

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// `blocks` says which blocks are here and verified (see [`block_slot`]); `pieces` and `asked` are
    /// overwritten. `random` seeds the choices among equals and need not be secret.
    pub fn new(
        layout: Layout<S>,
        (mut pieces, blocks, mut asked): (Bits<B>, Bits<B>, Bits<B>),
        us: PeerKey,
        settings: Settings,
        random: u64,
        now: Millis,
    ) -> Result<Self, WrongSize> {
        let slots = block_slots(&layout).ok_or(WrongSize)?;
        if pieces.len() != layout.pieces() || blocks.len() != slots || asked.len() != slots {
            return Err(WrongSize);
        }
        (0..slots).for_each(|slot| _ = asked.clear(slot));
        for piece in 0..layout.pieces() {
            if is_whole(&layout, &blocks, piece) {
                pieces.set(piece)
            } else {
                pieces.clear(piece)
            };
        }
        let (mut verified, mut free) = (0_u64, 0_u32);
        for id in blocks_of(&layout) {
            if blocks.get(block_slot(&layout, id)) {
                verified = verified.saturating_add(bytes_of(&layout, id));
            } else {
                free = free.saturating_add(1);
            }
        }
        let left = layout.pieces().saturating_sub(pieces.count());
        let limit = |per_s: u64| Bucket::new(now, per_s, per_s.max(u64::from(u16::MAX)));
        Ok(Self {
            layout,
            pieces,
            blocks,
            asked,
            us,
            settings,
            peers: core::array::from_fn(|_| None),
            ended: Vec::new(),
            banned: Deque::new(),
            book: book::Book::default(),
            log: [0; index(MAX_LOG)],
            logged: 0,
            active: Vec::new(),
            upload: settings.upload_limit.map(limit),
            dry_until: None,
            turn: 0,
            fault: None,
            read_fault: None,
            names: Vec::new(),
            next_choke: now.plus(CHOKE_MS),
            next_tick: now,
            numbers: 0,
            generations: 0,
            random: random | 1,
            free,
            left,
            verified,
            received: 0,
            wasted: 0,
            sent: 0,
            down: Meter::default(),
        })
    }

    /// Requests again after a [`Event::Fault`] was mended.
    pub fn resume(&mut self) {
        self.fault = None;
        self.stir_all();
    }

    /// Our name, at which other members may call, and further names that take lanes.
    pub fn set_names(&mut self, names: impl IntoIterator<Item = Name>) {
        self.names = names.into_iter().take(MAX_LANES).collect();
        self.peers.iter_mut().flatten().for_each(|peer| peer.lanes_due = true);
        self.names_changed();
    }

    /// The bucket behind `upload_limit`. Whoever has several swarms under one limit puts the bucket they share here
    /// before each [`say`](Self::say) and takes it back afterwards.
    pub fn upload_mut(&mut self) -> &mut Option<Bucket> {
        &mut self.upload
    }

    /// When lanes that found the upload limit reached try again. Where a [`say`](Self::say) sets it,
    /// [`poll_timeout`](Self::poll_timeout) is to be asked anew.
    pub fn dry_until(&self) -> Option<Millis> {
        self.dry_until
    }

    /// Whether every block is here.
    pub fn is_whole(&self) -> bool {
        self.left == 0
    }

    /// A lane that may have something to say now. Call until `None`.
    pub fn poll_stirred(&mut self) -> Option<LaneId> {
        if let Some(ended) = self.ended.pop() {
            return Some(ended);
        }
        let all = PEERS.saturating_mul(LANES);
        let first = self.turn.saturating_add(1);
        (first..all).chain(0..first.min(all)).find_map(|place| {
            let (at, number) = (place.checked_div(LANES)?, place.checked_rem(LANES)?);
            let lane = self.peers.get_mut(at)?.as_mut()?.lanes.get_mut(number)?.as_mut()?;
            let generation = core::mem::take(&mut lane.stirred).then_some(lane.generation)?;
            Some(LaneId { peer: u8::try_from(at).ok()?, lane: u8::try_from(number).ok()?, generation })
        })
    }

    /// Drops a peer for cause and does not let it in again. Its lanes end at the next call for each.
    fn expel(&mut self, at: usize, reject: Reject) -> Over {
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return Over::Closed };
        let (number, key) = (peer.number, peer.key);
        log::debug!("peer {number} {reject}");
        for lane in peer.lanes.iter_mut().flatten() {
            (lane.closing, lane.stirred) = (true, true);
        }
        if self.banned.is_full() {
            self.banned.pop_front();
        }
        _ = self.banned.push_back(key); // room was made
        self.book.banned(key);
        Over::Rejected(number, reject)
    }

    fn lane_mut(&mut self, id: LaneId) -> Option<(usize, &mut Lane)> {
        let at = usize::from(id.peer);
        let lane = self.peers.get_mut(at)?.as_mut()?.lanes.get_mut(usize::from(id.lane))?.as_mut()?;
        (lane.generation == id.generation).then_some((at, lane))
    }

    /// A block is no longer in flight on some lane: free to be picked unless it flies on another.
    fn unask(&mut self, id: BlockId) {
        let flies = self.lanes().any(|lane| lane.has_asked(id));
        let slot = block_slot(&self.layout, id);
        if !flies && self.asked.clear(slot) && !self.blocks.get(slot) {
            self.free = self.free.saturating_add(1);
        }
    }

    /// The store keeps nothing of this piece any more: all of it has to come again.
    fn lose(&mut self, piece: u32) {
        for block in 0..self.layout.blocks_in(piece).unwrap_or(0) {
            let id = BlockId { piece, block };
            let slot = block_slot(&self.layout, id);
            if self.blocks.clear(slot) {
                self.free = self.free.saturating_add(u32::from(!self.asked.get(slot)));
                self.verified = self.verified.saturating_sub(bytes_of(&self.layout, id));
            }
        }
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.peers.iter().flatten().flat_map(Peer::open)
    }

    fn stir_all(&mut self) {
        self.peers.iter_mut().flatten().for_each(Peer::stir);
    }

    fn names_changed(&mut self) {
        for peer in self.peers.iter_mut().flatten() {
            peer.names_due = true;
            peer.stir();
        }
    }

    /// Xorshift: good enough to choose among equals, and the simulation repeats.
    fn random(&mut self) -> u32 {
        let mut x = self.random;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random = x;
        u32::try_from(x >> 32).unwrap_or(0)
    }
}

/// Bit of a block in the bits given to [`Swarm::new`]: each piece takes as many bits as a full one.
pub fn block_slot<S: AsRef<[Span]>>(layout: &Layout<S>, id: BlockId) -> u32 {
    id.piece.saturating_mul(u32::from(layout.blocks_per_piece())).saturating_add(u32::from(id.block))
}

/// Every block there is.
fn blocks_of<S: AsRef<[Span]>>(layout: &Layout<S>) -> impl Iterator<Item = BlockId> {
    (0..layout.pieces()).flat_map(|piece| {
        let blocks = layout.blocks_in(piece).unwrap_or(0);
        (0..blocks).map(move |block| BlockId { piece, block })
    })
}

/// Content bytes of a block.
fn bytes_of<S: AsRef<[Span]>>(layout: &Layout<S>, id: BlockId) -> u64 {
    layout.block_len(id).and_then(|len| u64::try_from(len).ok()).unwrap_or(0)
}

fn is_whole<B: Words, S: AsRef<[Span]>>(layout: &Layout<S>, blocks: &Bits<B>, piece: u32) -> bool {
    let count = layout.blocks_in(piece).unwrap_or(0);
    count > 0 && (0..count).all(|block| blocks.get(block_slot(layout, BlockId { piece, block })))
}

/// A piece's place in the log.
fn log_place(entry: u64) -> usize {
    index(u32::try_from(entry.checked_rem(u64::from(MAX_LOG)).unwrap_or(0)).unwrap_or(0))
}
