//! How things happen: one entry of the queue after the other.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use sha2::Digest;

use super::{
    Bits, Dial, Dropped, End, HANDSHAKE_MS, Heard, Hello, LaneId, Link, MAX_FRAME, Node, NodeId, Opened,
    Over, Reject, Secrets, UNREACHABLE_MS, Way, What, World, name_of, node_of, words_for,
};

impl<const PEERS: usize, const LANES: usize> World<PEERS, LANES> {
    pub(super) fn happen(&mut self, what: What) {
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
    pub(super) fn settle(&mut self, node: NodeId) {
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
