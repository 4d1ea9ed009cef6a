//! A node of the simulation: the real swarm over a store in memory.

use std::boxed::Box;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::link::Pipe;
use super::{MemoryStore, Random, Share, Vice};
use crate::bits::{Bits, words_for};
use crate::content::Span;
use crate::hello::{Secrets, TOKEN_LEN};
use crate::id::PeerKey;
use crate::peer::Name;
use crate::swarm::{LaneId, Settings, Swarm};
use crate::time::Millis;

/// Number of a node in its world.
pub type NodeId = usize;

/// A swarm as the simulation makes it.
pub(super) type SimSwarm<const PEERS: usize, const LANES: usize> = Swarm<Vec<u64>, Rc<[Span]>, PEERS, LANES>;

/// What a node is like.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Has everything from the start.
    pub seed: bool,
    /// Misbehaves.
    pub vice: Option<Vice>,
    /// As its owner set it.
    pub settings: Settings,
    /// Bytes a second of its line, up and down.
    pub line: (u64, u64),
    /// Blocks after which its store is synced.
    pub sync_every: usize,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            seed: false,
            vice: None,
            settings: Settings::default(),
            line: (2_000_000, 4_000_000),
            sync_every: 4,
        }
    }
}

/// What became of a node, over all its lives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Content bytes that came, wanted or not.
    pub received: u64,
    /// Of these, bytes that were here already.
    pub wasted: u64,
    /// Content bytes served.
    pub sent: u64,
    /// Verified bytes written.
    pub written: u64,
    /// When the last block came.
    pub whole_at: Option<Millis>,
    /// Most lanes to one peer at once.
    pub lanes: usize,
}

pub(super) struct Node<const PEERS: usize, const LANES: usize> {
    pub(super) spec: Spec,
    pub(super) store: MemoryStore,
    key_seed: [u8; 32],
    /// `None` while it is off.
    pub(super) swarm: Option<Box<SimSwarm<PEERS, LANES>>>,
    /// Counts its lives.
    pub(super) life: u32,
    pub(super) timer: Option<Millis>,
    /// Which connection, and which end of it, a lane is.
    pub(super) lanes: Vec<(LaneId, usize, usize)>,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    pub(super) tally: Tally,
    /// Names the owner gave.
    pub(super) links: Vec<NodeId>,
}

/// The token that all simulated nodes know.
const TOKEN: [u8; TOKEN_LEN] = [7; TOKEN_LEN];

/// A node's name.
pub(super) fn name_of(node: NodeId) -> String {
    format!("node {node}")
}

/// The node of that name.
pub(super) fn node_of(name: &[u8]) -> Option<NodeId> {
    core::str::from_utf8(name).ok()?.strip_prefix("node ")?.parse().ok()
}

impl<const PEERS: usize, const LANES: usize> Node<PEERS, LANES> {
    pub(super) fn new(share: &Share, spec: Spec, random: &mut Random) -> Self {
        let mut store = MemoryStore::new(share.clone(), spec.seed, spec.sync_every);
        store.corrupts = spec.vice == Some(Vice::Corrupts);
        Self {
            spec,
            store,
            key_seed: random.array(),
            swarm: None,
            life: 0,
            timer: None,
            lanes: vec![],
            up: Pipe::new(spec.line.0),
            down: Pipe::new(spec.line.1),
            tally: Tally::default(),
            links: vec![],
        }
    }

    pub(super) fn secrets(&self) -> Secrets {
        Secrets::new(TOKEN, &self.key_seed)
    }

    pub(super) fn key(&self) -> PeerKey {
        self.secrets().key()
    }

    /// Starts with what the store still has.
    pub(super) fn start(&mut self, id: NodeId, share: &Share, now: Millis, random: &mut Random) {
        let layout = share.layout();
        let blocks = self.store.survivors();
        let bits = |len| Bits::new(vec![0; words_for(len)], len).expect("enough words");
        let (pieces, asked) = (bits(layout.pieces()), bits(blocks.len()));
        let swarm =
            Swarm::new(layout, (pieces, blocks, asked), self.key(), self.spec.settings, random.draw(), now);
        let mut swarm = Box::new(swarm.expect("bits of the right size"));
        swarm.set_names(Name::from_slice(name_of(id).as_bytes()));
        for link in &self.links {
            swarm.add_name(now, name_of(*link).as_bytes());
        }
        if swarm.is_whole() && self.tally.whole_at.is_none() {
            self.tally.whole_at = Some(now);
        }
        self.swarm = Some(swarm);
        self.life += 1;
        self.timer = None;
    }

    /// Ends without a word.
    pub(super) fn stop(&mut self) {
        self.gather();
        self.swarm = None;
        self.lanes.clear();
    }

    /// Adds the counts of this life to those of the earlier ones.
    fn gather(&mut self) {
        self.tally = self.tally_now();
    }

    pub(super) fn tally_now(&self) -> Tally {
        let mut tally = self.tally;
        if let Some(swarm) = &self.swarm {
            tally.received += swarm.received();
            tally.wasted += swarm.wasted();
            tally.sent += swarm.sent();
        }
        tally
    }

    pub(super) fn place_of(&self, lane: LaneId) -> Option<(usize, usize)> {
        self.lanes.iter().find(|(own, ..)| *own == lane).map(|(_, link, end)| (*link, *end))
    }
}
