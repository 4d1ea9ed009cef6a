//! Nodes, connections and the queue of what happens next.

mod course;

use std::boxed::Box;
use std::collections::{BTreeMap, BinaryHeap};
use std::vec::Vec;
use std::{cmp, vec};

use sha2::{Digest, Sha256};

use super::link::Way;
use super::node::{Node, SimSwarm, name_of, node_of};
use super::{MemoryStore, Net, NodeId, Random, Share, Spec, Tally};
use crate::bits::{Bits, words_for};
use crate::hello::{Event as Opened, Hello, Secrets};
use crate::id::PeerKey;
use crate::limits::{HANDSHAKE_MS, MAX_FRAME};
use crate::swarm::{Dial, Event as Heard, LaneId, Over, Reject};
use crate::time::Millis;

/// Milliseconds until a call to a node that is off has failed.
const UNREACHABLE_MS: u64 = 5_000;

/// A peer that was dropped for cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dropped {
    /// Who dropped it.
    pub by: NodeId,
    /// Who was dropped; `None` if a timer dropped one that is gone already.
    pub who: Option<NodeId>,
    /// Why.
    pub why: Reject,
    /// When.
    pub at: Millis,
}

enum End {
    Opening(Box<Hello>),
    Lane(LaneId),
    Gone,
}

/// One connection; end 0 called.
struct Link {
    nodes: [NodeId; 2],
    ends: [End; 2],
    /// From end 0, from end 1.
    ways: [Way; 2],
    dial: Option<Dial>,
}

enum What {
    /// At the line of the node, which takes its time.
    Reaches {
        link: usize,
        end: usize,
        frame: Vec<u8>,
    },
    Arrives {
        link: usize,
        end: usize,
        frame: Vec<u8>,
    },
    Left {
        link: usize,
        end: usize,
        len: usize,
    },
    Broken {
        link: usize,
        end: usize,
    },
    Late {
        link: usize,
    },
    Timer {
        node: NodeId,
        life: u32,
    },
    Dialed {
        node: NodeId,
        life: u32,
        dial: Dial,
    },
    Unreachable {
        node: NodeId,
        life: u32,
        dial: Dial,
    },
    Power {
        node: NodeId,
        on: bool,
    },
}

struct Later {
    at: Millis,
    order: u64,
    what: What,
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Later {}
impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Later {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order)) // the earliest is the greatest
    }
}

/// A swarm of nodes, each with room for `PEERS` peers of `LANES` lanes.
pub struct World<const PEERS: usize, const LANES: usize> {
    share: Share,
    net: Net,
    nodes: Vec<Node<PEERS, LANES>>,
    links: Vec<Link>,
    queue: BinaryHeap<Later>,
    order: u64,
    now: Millis,
    random: Random,
    keys: BTreeMap<PeerKey, NodeId>,
    trace: Sha256,
    dropped: Vec<Dropped>,
    /// Bytes of blocks that were not what their hash said, by who got and who sent them.
    bad: BTreeMap<(NodeId, NodeId), u64>,
    calls: u64,
}

impl<const PEERS: usize, const LANES: usize> core::fmt::Debug for World<PEERS, LANES> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

impl<const PEERS: usize, const LANES: usize> World<PEERS, LANES> {
    /// An empty world at time 0. Everything that happens in it follows from `seed`.
    #[must_use]
    pub fn new(seed: u64, share: Share, net: Net) -> Self {
        Self {
            share,
            net,
            nodes: vec![],
            links: vec![],
            queue: BinaryHeap::new(),
            order: 0,
            now: Millis(0),
            random: Random::new(seed),
            keys: BTreeMap::new(),
            trace: Sha256::new(),
            dropped: vec![],
            bad: BTreeMap::new(),
            calls: 0,
        }
    }

    /// Adds a node that is off. It will call `links` when it is on.
    pub fn add(&mut self, spec: Spec, links: &[NodeId]) -> NodeId {
        let mut node = Node::new(&self.share, spec, &mut self.random);
        node.links = links.to_vec();
        self.keys.insert(node.key(), self.nodes.len());
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Turns a node on in `ms` milliseconds.
    pub fn on(&mut self, node: NodeId, ms: u64) {
        self.later(self.now.plus(ms), What::Power { node, on: true });
    }

    /// Cuts a node's power in `ms` milliseconds.
    pub fn off(&mut self, node: NodeId, ms: u64) {
        self.later(self.now.plus(ms), What::Power { node, on: false });
    }

    /// Lets time pass until `done`, or until `limit_ms`. Says whether `done` came.
    pub fn run(&mut self, limit_ms: u64, mut done: impl FnMut(&Self) -> bool) -> bool {
        let mut looked = None;
        loop {
            if looked.replace(self.now) != Some(self.now) && done(self) {
                return true;
            }
            let Some(next) = self.queue.peek().filter(|next| next.at.0 <= limit_ms) else {
                self.now = self.now.max(Millis(limit_ms));
                return false;
            };
            self.now = self.now.max(next.at);
            if let Some(next) = self.queue.pop() {
                self.happen(next.what);
            }
        }
    }

    /// The moment it is.
    #[must_use]
    pub const fn now(&self) -> Millis {
        self.now
    }

    /// Whether this node is on and thinks that it has every block.
    #[must_use]
    pub fn is_whole(&self, node: NodeId) -> bool {
        self.nodes[node].swarm.as_ref().is_some_and(|swarm| swarm.is_whole())
    }

    /// Whether its store has every block, and every one is what was shared. Compares all bytes.
    #[must_use]
    pub fn is_right(&self, node: NodeId) -> bool {
        self.nodes[node].store.is_right()
    }

    /// What became of a node so far.
    #[must_use]
    pub fn tally(&self, node: NodeId) -> Tally {
        self.nodes[node].tally_now()
    }

    /// How a node is.
    #[must_use]
    pub fn spec(&self, node: NodeId) -> &Spec {
        &self.nodes[node].spec
    }

    /// Its store, to look at or to make trouble.
    pub fn store(&mut self, node: NodeId) -> &mut MemoryStore {
        &mut self.nodes[node].store
    }

    /// Its swarm, while it is on.
    #[must_use]
    pub fn swarm(&self, node: NodeId) -> Option<&SimSwarm<PEERS, LANES>> {
        self.nodes[node].swarm.as_deref()
    }

    /// Requests again after the trouble with a node's store was mended.
    pub fn resume(&mut self, node: NodeId) {
        if let Some(swarm) = &mut self.nodes[node].swarm {
            swarm.resume();
        }
        self.settle(node);
    }

    /// Ends one lane of a node as a worn one.
    pub fn retire(&mut self, node: NodeId) {
        let Some((lane, ..)) = self.nodes[node].lanes.first().copied() else { return };
        if let Some(swarm) = &mut self.nodes[node].swarm {
            swarm.retire(lane);
        }
        self.settle(node);
    }

    /// Nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Peers that were dropped for cause.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// Bytes of bad blocks, by who got and who sent them.
    #[must_use]
    pub const fn bad(&self) -> &BTreeMap<(NodeId, NodeId), u64> {
        &self.bad
    }

    /// Calls made so far.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// SHA-256 of every arrival so far: the same for the same seed.
    #[must_use]
    pub fn trace(&self) -> [u8; 32] {
        self.trace.clone().finalize().into()
    }

    fn later(&mut self, at: Millis, what: What) {
        self.order += 1;
        self.queue.push(Later { at, order: self.order, what });
    }
}
