//! One peer of a swarm: what it has, what was said, and the lanes to it.

use heapless::{Deque, Vec};

use crate::bits::Bits;
use crate::id::{BlockId, PeerKey};
use crate::lanes::Growth;
use crate::limits::{MAX_DEPTH_REQUESTS, MAX_NAME};
use crate::pace::Pace;
use crate::rate::{Bucket, Meter};
use crate::time::Millis;

/// A node's name as it travels: opaque bytes, an onion address and port on Tor.
pub type Name = Vec<u8, MAX_NAME>;

/// Names under which one peer takes further lanes, at most.
pub const MAX_EXTRA: usize = 4;

/// Messages without content that a peer may send: a second, and in one burst.
pub(crate) const CHATTER: (u64, u64) = (64, 1024);

/// Milliseconds without an answer after which a lane that owes some is not relied on.
const PROMPT_MS: u64 = 4_000;

/// Milliseconds of silence after which a lane makes room for a new one of the same peer.
const KNOCK_MS: u64 = 5_000;

/// Memory for bits, lent by the owner.
pub trait Words: AsRef<[u64]> + AsMut<[u64]> {}
impl<T: AsRef<[u64]> + AsMut<[u64]>> Words for T {}

/// A request of ours in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) id: BlockId,
    pub(crate) at: Millis,
    pub(crate) cancel: Cancel,
}

/// Whether a request of ours is still wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cancel {
    No,
    /// The block came by another way; say so.
    Due,
    Said,
}

/// An answer we owe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    Block(BlockId),
    Refuse { id: BlockId, gone: bool },
    Hashes { file: u32, index: u32 },
    Info(u32),
}

/// One lane.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Lane {
    pub(crate) generation: u32,
    pub(crate) dialed: bool,
    /// `Join` was sent (dialed) or heard.
    pub(crate) joined: bool,
    /// To be closed: nothing more is heard or said.
    pub(crate) closing: bool,
    /// Ask for nothing more and take no more requests; leave when nothing is owed either way.
    pub(crate) retiring: bool,
    pub(crate) asked: Vec<Asked, MAX_DEPTH_REQUESTS>,
    pub(crate) replies: Deque<Reply, MAX_DEPTH_REQUESTS>,
    pub(crate) pace: Pace,
    pub(crate) rate: Meter,
    pub(crate) heard: Millis,
    /// Last answer to a request of ours, or the first request after a time without. Before the caller joined: the last
    /// metadata it was given, or when it came.
    pub(crate) fed: Millis,
    pub(crate) said: Millis,
    /// [`Swarm::say`](crate::swarm::Swarm::say) may have something.
    pub(crate) stirred: bool,
    /// What the peer last said here. Per lane, since nothing orders the frames of two lanes, and since a peer that
    /// starts anew knows nothing of what an older lane carried.
    pub(crate) wants: bool,
    pub(crate) chokes_us: bool,
    /// It refused without choking: nothing is asked here until then, so that others get their turn.
    pub(crate) rest: Millis,
    /// What was last said here.
    pub(crate) said_want: bool,
    pub(crate) said_choke: bool,
    pub(crate) told: Told,
}

impl Lane {
    pub(crate) fn new(now: Millis, generation: u32, dialed: bool, told: Told) -> Self {
        Self {
            generation,
            dialed,
            joined: false,
            closing: false,
            retiring: false,
            asked: Vec::new(),
            replies: Deque::new(),
            pace: Pace::new(),
            rate: Meter::default(),
            heard: now,
            fed: now,
            said: now,
            stirred: true,
            wants: false,
            chokes_us: true,
            rest: now,
            said_want: false,
            said_choke: true,
            told,
        }
    }

    /// Whether another request may go out.
    pub(crate) fn has_room(&self) -> bool {
        self.joined && !self.closing && !self.retiring && self.asked.len() < self.pace.depth()
    }

    /// Whether it answers soon enough to be relied on.
    pub(crate) fn is_prompt(&self, now: Millis) -> bool {
        let answers = self.asked.is_empty() || now.since(self.fed) < PROMPT_MS;
        self.joined && !self.chokes_us && now >= self.rest && answers
    }

    /// Whether `id` is in flight here.
    pub(crate) fn has_asked(&self, id: BlockId) -> bool {
        self.asked.iter().any(|asked| asked.id == id)
    }

    /// Takes `id` out of the requests in flight.
    pub(crate) fn answered(&mut self, id: BlockId) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.id == id)?;
        Some(self.asked.remove(at))
    }
}

/// What of our pieces the peer has been told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// `Haves` from this piece on are still to be sent; pieces that came since count `since` in the log.
    Bits { next: u32, since: u64 },
    /// Everything up to this entry of the log.
    Log(u64),
}

/// One peer.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Peer<B, const LANES: usize> {
    /// Number by which logs and pages name it.
    pub(crate) number: u64,
    pub(crate) key: PeerKey,
    pub(crate) has: Bits<B>,
    pub(crate) has_count: u32,
    /// Pieces it has and we lack.
    pub(crate) wanted: u32,
    /// It would request if we let it, by any lane.
    pub(crate) wants: bool,
    pub(crate) choked: bool,
    pub(crate) names_due: bool,
    pub(crate) lanes_due: bool,
    /// The lane (by generation) on which names were said.
    pub(crate) told_on: Option<u32>,
    pub(crate) name: Option<Name>,
    pub(crate) extra: Vec<Name, MAX_EXTRA>,
    pub(crate) lanes: [Option<Lane>; LANES],
    pub(crate) growth: Growth,
    pub(crate) down: Meter,
    pub(crate) up: Meter,
    /// Bytes a second it gave when we last wanted all it could give.
    pub(crate) best: u64,
    /// When it was first asked for anything.
    pub(crate) first_asked: Option<Millis>,
    /// When verified bytes last came or went, or metadata went; at first, when it came.
    pub(crate) moved: Millis,
    /// When it last gave us a block that we lacked; at first, when it came.
    pub(crate) given: Millis,
    /// Answers with metadata that it was given.
    pub(crate) taught: u32,
    /// When one of us last wanted something of the other.
    pub(crate) useful: Millis,
    /// Names are not said again before.
    pub(crate) next_names: Millis,
    pub(crate) downloaded: u64,
    pub(crate) uploaded: u64,
    pub(crate) chatter: Bucket,
    /// When it was last let go of by the choker, for taking turns.
    pub(crate) choked_since: Millis,
}

impl<B: Words, const LANES: usize> Peer<B, LANES> {
    pub(crate) fn new(now: Millis, number: u64, key: PeerKey, has: Bits<B>, growth: Growth) -> Self {
        Self {
            number,
            key,
            has,
            has_count: 0,
            wanted: 0,
            wants: false,
            choked: true,
            names_due: true,
            lanes_due: true,
            told_on: None,
            name: None,
            extra: Vec::new(),
            lanes: core::array::from_fn(|_| None),
            growth,
            down: Meter::default(),
            up: Meter::default(),
            best: 0,
            first_asked: None,
            moved: now,
            given: now,
            taught: 0,
            useful: now,
            next_names: now,
            downloaded: 0,
            uploaded: 0,
            chatter: Bucket::new(now, CHATTER.0, CHATTER.1),
            choked_since: now,
        }
    }

    /// The lanes that are not being closed.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().flatten().filter(|lane| !lane.closing)
    }

    /// The lanes that are there to stay.
    pub(crate) fn lasting(&self) -> usize {
        self.open().filter(|lane| !lane.retiring).count()
    }

    /// Lanes that carry blocks.
    pub(crate) fn joined(&self) -> usize {
        self.open().filter(|lane| lane.joined && !lane.retiring).count()
    }

    /// Whether it refuses us on every lane.
    pub(crate) fn chokes_us(&self) -> bool {
        self.open().filter(|lane| lane.joined).all(|lane| lane.chokes_us)
    }

    /// Whether we would request if it let us.
    pub(crate) fn we_want(&self) -> bool {
        self.wanted > 0
    }

    /// Whether it has everything.
    pub(crate) fn is_seed(&self) -> bool {
        self.has_count == self.has.len()
    }

    /// Generation of the lane that carries news for the whole peer: the oldest that has joined.
    pub(crate) fn herald(&self) -> Option<u32> {
        self.open().filter(|lane| lane.joined).map(|lane| lane.generation).min()
    }

    /// Closes the lane that was silent longest, for a peer that knocks while all its places are taken: most likely it
    /// started anew, and what is left of its last life stands in its way.
    pub(crate) fn give_up_silent(&mut self, now: Millis) {
        let lanes = self.lanes.iter_mut().flatten().filter(|lane| !lane.closing);
        let silent = lanes.min_by_key(|lane| lane.heard);
        if let Some(lane) = silent.filter(|lane| now.since(lane.heard) >= KNOCK_MS) {
            (lane.closing, lane.stirred) = (true, true);
        }
    }

    /// Marks every lane as having something to say.
    pub(crate) fn stir(&mut self) {
        for lane in self.lanes.iter_mut().flatten() {
            lane.stirred = true;
        }
    }
}
