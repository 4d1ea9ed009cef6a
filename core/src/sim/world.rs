//! Nodes, connections and the queue of what happens next.

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

    fn happen(&mut self, what: What) {
        match what {
            What::Reaches { link, end, frame } => {
                let node = self.links[link].nodes[end];
                let due = self.nodes[node].down.through(self.now, frame.len());
                self.later(due, What::Arrives { link, end, frame });
            }
            What::Arrives { link, end, frame } => self.arrive(link, end, &frame),
            What::Left { link, end, len } => {
                self.links[link].ways[end].left(len);
                self.pump(link, end);
                self.settle(self.links[link].nodes[end]);
            }
            What::Broken { link, end } => self.close(link, end),
            What::Late { link } => {
                for end in 0..2 {
                    if matches!(self.links[link].ends[end], End::Opening(_)) {
                        self.close(link, end);
                    }
                }
            }
            What::Timer { node, life } => self.tick(node, life),
            What::Dialed { node, life, dial } => self.connect(node, life, dial),
            What::Unreachable { node, life, dial } if self.nodes[node].life == life => {
                let now = self.now;
                if let Some(swarm) = &mut self.nodes[node].swarm {
                    swarm.dial_failed(now, &dial.name);
                }
                self.settle(node);
            }
            What::Unreachable { .. } => {}
            What::Power { node, on: true } => {
                if self.nodes[node].swarm.is_none() {
                    self.nodes[node].start(node, &self.share, self.now, &mut self.random);
                    self.settle(node);
                }
            }
            What::Power { node, on: false } => self.cut(node),
        }
    }

    /// The node is gone without a word; its peers notice, or do not.
    fn cut(&mut self, node: NodeId) {
        self.nodes[node].stop();
        self.nodes[node].store.lose_power(&mut self.random);
        for link in 0..self.links.len() {
            for end in 0..2 {
                let is_open = !matches!(self.links[link].ends[end], End::Gone);
                if self.links[link].nodes[end] == node && is_open {
                    self.links[link].ends[end] = End::Gone;
                    self.tell_broken(link, 1 - end, 1_000);
                }
            }
        }
    }

    /// The other end hears of the end of a connection in a while, unless it stays half open.
    fn tell_broken(&mut self, link: usize, end: usize, within_ms: u64) {
        if !self.random.happens(self.net.half_open) {
            let wait = self.random.between(0, within_ms);
            let after = self.links[link].ways[1 - end].end().max(self.now);
            self.later(after.plus(wait), What::Broken { link, end });
        }
    }

    fn tick(&mut self, node: NodeId, life: u32) {
        if self.nodes[node].life != life || self.nodes[node].timer != Some(self.now) {
            return; // another life, or another timer took its place
        }
        self.nodes[node].timer = None;
        let now = self.now;
        while let Some(over) = self.nodes[node].swarm.as_mut().and_then(|swarm| swarm.handle_timeout(now)) {
            if let Over::Rejected(number, why) = over {
                let key = self.swarm(node).and_then(|swarm| {
                    swarm.peers(now).find(|peer| peer.number == number).map(|peer| peer.key)
                });
                let who = key.and_then(|key| self.keys.get(&key).copied());
                self.dropped.push(Dropped { by: node, who, why, at: now });
            }
        }
        self.settle(node);
    }

    /// Does what a node wants done after anything happened to it.
    fn settle(&mut self, node: NodeId) {
        let now = self.now;
        while let Some(lane) = self.nodes[node].swarm.as_mut().and_then(|swarm| swarm.poll_stirred()) {
            if let Some((link, end)) = self.nodes[node].place_of(lane) {
                self.pump(link, end);
            }
        }
        while let Some(dial) = self.nodes[node].swarm.as_mut().and_then(|swarm| swarm.poll_dial(now)) {
            self.calls += 1;
            let wait = self.random.between(self.net.dial_ms.0, self.net.dial_ms.1);
            let life = self.nodes[node].life;
            self.later(now.plus(wait), What::Dialed { node, life, dial });
        }
        let due = self.nodes[node].swarm.as_ref().and_then(|swarm| swarm.poll_timeout());
        if let Some(due) = due.map(|due| due.max(now)) {
            let timer = &mut self.nodes[node].timer;
            if timer.is_none_or(|timer| due < timer) {
                *timer = Some(due);
                let life = self.nodes[node].life;
                self.later(due, What::Timer { node, life });
            }
        }
    }

    fn connect(&mut self, node: NodeId, life: u32, dial: Dial) {
        if self.nodes[node].life != life || self.nodes[node].swarm.is_none() {
            return;
        }
        let other = node_of(&dial.name)
            .filter(|other| self.nodes.get(*other).is_some_and(|node| node.swarm.is_some()));
        let Some(other) = other else {
            self.later(self.now.plus(UNREACHABLE_MS), What::Unreachable { node, life, dial });
            return;
        };
        let (nonces, decoy) = ([self.random.array(), self.random.array()], self.random.array::<32>());
        let dialer = Hello::dial(self.nodes[node].secrets(), &dial.name, nonces[0]);
        let listener = Hello::listen(Secrets::new([9; 16], &decoy), name_of(other).as_bytes(), nonces[1]);
        let latency = self.random.between(self.net.latency_ms.0, self.net.latency_ms.1);
        let way = Way::new(latency, self.net.lane);
        self.links.push(Link {
            nodes: [node, other],
            ends: [End::Opening(Box::new(dialer)), End::Opening(Box::new(listener))],
            ways: [way, way],
            dial: Some(dial),
        });
        let link = self.links.len() - 1;
        self.later(self.now.plus(HANDSHAKE_MS), What::Late { link });
        self.pump(link, 0);
    }

    /// Sends what one end has to say, as far as the connection takes it.
    fn pump(&mut self, link: usize, end: usize) {
        let mut buf = vec![0; MAX_FRAME];
        while self.links[link].ways[end].is_free() {
            let node = self.links[link].nodes[end];
            let len = match &mut self.links[link].ends[end] {
                End::Gone => return,
                End::Opening(hello) => match hello.poll_transmit(&mut buf) {
                    Ok(Some(frame)) => frame.len(),
                    _ => return,
                },
                End::Lane(lane) => {
                    let Node { swarm: Some(swarm), store, .. } = &mut self.nodes[node] else { return };
                    let tx: &mut [u8; MAX_FRAME] = buf.first_chunk_mut().expect("as long as a frame");
                    match swarm.say(self.now, *lane, tx, store) {
                        Ok(0) => return,
                        Ok(len) => len,
                        Err(_) => return self.close(link, end),
                    }
                }
            };
            let vice = self.nodes[node].spec.vice;
            let frames = match (vice, &self.links[link].ends[end]) {
                (Some(vice), End::Lane(_)) => {
                    vice.twist(&buf[..len], self.share.layout().pieces(), &mut self.random)
                }
                _ => vec![buf[..len].to_vec()],
            };
            for frame in frames {
                self.send(link, end, frame);
            }
        }
    }

    fn send(&mut self, link: usize, end: usize, frame: Vec<u8>) {
        let from = self.links[link].nodes[end];
        let way = &mut self.links[link].ways[end];
        let up = &mut self.nodes[from].up;
        let trip = way.send(self.now, frame.len(), up, &self.net, &mut self.random);
        self.later(trip.left, What::Left { link, end, len: frame.len() });
        if self.random.happens(self.net.breaks) {
            self.tell_broken(link, end, 2_000);
            self.tell_broken(link, 1 - end, 2_000);
            return;
        }
        self.later(trip.arrives, What::Reaches { link, end: 1 - end, frame });
    }

    fn arrive(&mut self, link: usize, end: usize, frame: &[u8]) {
        let node = self.links[link].nodes[end];
        self.trace.update(self.now.0.to_be_bytes());
        self.trace.update((link as u64).to_be_bytes());
        self.trace.update(&frame[..frame.len().min(64)]);
        match &mut self.links[link].ends[end] {
            End::Gone => return,
            End::Lane(lane) => {
                let lane = *lane;
                self.hear(node, link, end, lane, frame);
            }
            End::Opening(hello) => {
                let heard = hello.handle_frame(frame);
                self.open(node, link, end, heard.map_err(|_| ()));
            }
        }
        self.settle(node);
    }

    fn hear(&mut self, node: NodeId, link: usize, end: usize, lane: LaneId, frame: &[u8]) {
        let Node { swarm: Some(swarm), store, tally, .. } = &mut self.nodes[node] else { return };
        match swarm.hear(self.now, lane, frame, store) {
            Ok(event) => {
                let id = match event {
                    Heard::Block(id) | Heard::Piece(id) | Heard::Whole(id) => Some(id),
                    Heard::Quiet | Heard::Fault(_) => None,
                };
                tally.written += id.and_then(|id| swarm.layout().block_len(id)).unwrap_or(0) as u64;
                if matches!(event, Heard::Whole(_)) {
                    tally.whole_at = Some(self.now);
                }
                let lanes = swarm.peers(self.now).map(|peer| peer.lanes.count()).max();
                tally.lanes = tally.lanes.max(lanes.unwrap_or(0));
            }
            Err(over) => {
                if let Over::Rejected(_, why) = over {
                    let who = self.links[link].nodes[1 - end];
                    self.dropped.push(Dropped { by: node, who: Some(who), why, at: self.now });
                    if why == Reject::BadBlock {
                        *self.bad.entry((node, who)).or_default() += frame.len() as u64;
                    }
                }
                self.close(link, end);
            }
        }
    }

    /// Goes on with a handshake.
    fn open(&mut self, node: NodeId, link: usize, end: usize, heard: Result<Opened, ()>) {
        match heard {
            Ok(Opened::Progress) => self.pump(link, end),
            Ok(Opened::Topic(topic)) => {
                let secrets = Some(self.nodes[node].secrets()).filter(|own| own.topic() == topic);
                if let End::Opening(hello) = &mut self.links[link].ends[end] {
                    hello.answer(secrets);
                }
                self.pump(link, end);
            }
            Ok(Opened::Ready(key)) => {
                self.pump(link, end); // a listener's own proof goes first
                let name = self.links[link].dial.as_ref().filter(|_| end == 0).map(|dial| dial.name.clone());
                let now = self.now;
                let Some(swarm) = &mut self.nodes[node].swarm else { return };
                let bits = |len| Bits::new(vec![0; words_for(len)], len).ok();
                match swarm.lane_open(now, key, name.as_deref(), bits) {
                    Ok(lane) => {
                        self.links[link].ends[end] = End::Lane(lane);
                        self.nodes[node].lanes.push((lane, link, end));
                    }
                    Err(_) => {
                        if end == 0 {
                            self.links[link].dial = None; // its call is accounted for
                        }
                        self.close(link, end);
                    }
                }
            }
            Ok(Opened::Refused) | Err(()) => self.close(link, end),
        }
    }

    /// One end hangs up, or notices that the other did.
    fn close(&mut self, link: usize, end: usize) {
        let node = self.links[link].nodes[end];
        let now = self.now;
        match core::mem::replace(&mut self.links[link].ends[end], End::Gone) {
            End::Gone => return,
            End::Lane(lane) => {
                self.nodes[node].lanes.retain(|(own, ..)| *own != lane);
                if let Some(swarm) = &mut self.nodes[node].swarm {
                    swarm.lane_closed(now, lane);
                }
            }
            End::Opening(..) => {
                let dial = self.links[link].dial.take_if(|_| end == 0);
                if let (Some(dial), Some(swarm)) = (dial, &mut self.nodes[node].swarm) {
                    swarm.dial_failed(now, &dial.name);
                }
            }
        }
        let wait = self.random.between(0, 200);
        let after = self.links[link].ways[end].end().max(now);
        self.later(after.plus(wait), What::Broken { link, end: 1 - end });
        self.settle(node);
    }
}
