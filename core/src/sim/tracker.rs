//! Records spread over thousands of nodes that come and go, a fifth of which lie.
//!
//! Keepers are chosen by [`Ring`], records are really signed and really checked, and stores are real ones that are empty
//! again after each restart. Played are the fates of nodes, the time a circuit takes, and the view of who is away, which is the
//! same for all and ten minutes old.

use std::vec::Vec;
use std::{boxed::Box, vec};

use ed25519_dalek::SigningKey;

use super::Random;
use crate::hello::TOKEN_LEN;
use crate::id::{InfoHash, NodeKey, RecordId};
use crate::limits::{COPIES, MAX_RECORD, RECORD_LIFE_S, RENEW_S};
use crate::time::Date;
use crate::tracker::{Body, Node as Leaf, Parts, Rank, Record, Ring, Signed, Slot, Store, Visibility};

/// Most nodes in one simulation.
const MAX_NODES: usize = 4096;

/// Between two looks at who is away, in minutes.
const STEP_MIN: u64 = 10;

/// Bytes on the wire of a question for one record, and around an answer.
const QUESTION: usize = 40;

/// What is played.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Up to 4096.
    pub nodes: usize,
    /// Public records.
    pub records: usize,
    /// Virtual hours.
    pub hours: u64,
    /// Lookups in each ten minutes.
    pub lookups: usize,
    /// Of a hundred nodes, so many lie: every other of them withholds, the others answer with forgeries.
    pub liars: u64,
    /// Hours that a node stays on, and off, on average.
    pub churn_h: (u64, u64),
    /// Whether authors that are on hand their records to the keepers anew each [`RENEW_S`]. Authors do not lie here.
    pub renew: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Lookups made, and of these how many ended with the record.
    pub lookups: usize,
    /// See above.
    pub found: usize,
    /// Forgeries that were noticed.
    pub forged: usize,
    /// Records that no honest keeper held at the end.
    pub lost: usize,
    /// Records held on average by a node that is on, and the most held by one.
    pub load: (usize, usize),
    /// Bytes sent by a node in an hour, on average.
    pub bytes: usize,
    /// Milliseconds until the record was there: half of the lookups, and 95 of a hundred.
    pub ms: (u64, u64),
}

type Memory = Parts<Box<[Slot]>, Box<[Leaf]>, Box<[u8]>>;

struct Player {
    key: NodeKey,
    on: bool,
    lies: Option<bool>,
    store: Store<Memory>,
}

struct Play {
    random: Random,
    today: Date,
    players: Vec<Player>,
    ring: Box<Ring<MAX_NODES>>,
    records: Vec<(RecordId, Vec<u8>)>,
    /// The player that made each record.
    authors: Vec<usize>,
    sent: usize,
    found: Found,
    times: Vec<u64>,
}

/// Plays it. The same seed gives the same result.
#[must_use]
pub fn spread(seed: u64, plan: Spread) -> Found {
    let mut play = Play::new(seed, plan);
    play.settle();
    play.sent = 0; // the first spreading is not part of the hours
    for step in 1..=plan.hours * 60 / STEP_MIN {
        play.today = play.today.plus(STEP_MIN * 60);
        play.churn(plan.churn_h);
        (0..plan.lookups).for_each(|_| play.look_up());
        play.settle();
        if plan.renew && (step * STEP_MIN * 60).is_multiple_of(RENEW_S) {
            play.publish();
        }
    }
    play.report(plan)
}

fn empty_store(seed: u64) -> Store<Memory> {
    let memory = Parts {
        slots: vec![Slot::EMPTY; 64].into_boxed_slice(),
        nodes: vec![Leaf::EMPTY; 16].into_boxed_slice(),
        bytes: vec![0; 64 * 256].into_boxed_slice(),
    };
    Store::new(memory, Visibility::Public, seed).expect("memory of the right shape")
}

impl Play {
    fn new(seed: u64, plan: Spread) -> Self {
        let mut random = Random::new(seed);
        let today = Date(1_800_000_000);
        let players: Vec<_> = (0..plan.nodes)
            .map(|_| Player {
                key: NodeKey(random.array()),
                on: true,
                lies: random.happens(plan.liars * 10_000).then(|| random.happens(500_000)),
                store: empty_store(random.draw()),
            })
            .collect();
        let mut ring = Box::new(Ring::new());
        for player in &players {
            ring.join(player.key).expect("at most 4096 nodes");
        }
        let records = (0..plan.records)
            .map(|_| {
                let body = Body::Peer {
                    info_hash: InfoHash(random.array()),
                    name: &[b'x'; 62],
                    token: random.array::<TOKEN_LEN>(),
                };
                let expires = today.plus(RECORD_LIFE_S);
                let mut record = Record { author: NodeKey([0; 32]), version: 1, made: today, expires, body };
                let key = SigningKey::from_bytes(&random.array());
                record.author = NodeKey(key.verifying_key().to_bytes());
                let mut buf = [0; MAX_RECORD];
                (record.id(), record.sign(&key, &mut buf).expect("a short record").to_vec())
            })
            .collect();
        let honest: Vec<_> = (0..players.len()).filter(|at| players[*at].lies.is_none()).collect();
        let authors = (0..plan.records).map(|at| honest[at % honest.len()]).collect();
        let mut play = Self {
            authors,
            random,
            today,
            players,
            ring,
            records,
            sent: 0,
            found: Found::default(),
            times: Vec::new(),
        };
        play.publish();
        play
    }

    /// Authors hand their records to the keepers that lack them.
    fn publish(&mut self) {
        for at in 0..self.records.len() {
            if !self.players[self.authors[at]].on {
                continue;
            }
            for keeper in self.ring.keepers(&self.records[at].0) {
                let player = self.index(&keeper);
                self.sent += QUESTION;
                if self.players[player].on && self.players[player].store.get(&self.records[at].0).is_none() {
                    self.sent += self.records[at].1.len();
                    self.hand(player, at);
                }
            }
        }
    }

    fn index(&self, key: &NodeKey) -> usize {
        self.players.iter().position(|player| player.key == *key).expect("a player of the ring")
    }

    fn hand(&mut self, player: usize, record: usize) {
        let signed = Signed::check(&self.records[record].1, self.today).expect("signed above");
        _ = self.players[player].store.insert(&signed, Rank(1));
    }

    /// Nodes go, and lose what they knew; others come back.
    fn churn(&mut self, (on_h, off_h): (u64, u64)) {
        let steps = |hours: u64| 1_000_000 / (hours * 60 / STEP_MIN).max(1);
        for at in 0..self.players.len() {
            let on = self.players[at].on;
            if self.random.happens(steps(if on { on_h } else { off_h })) {
                let seed = self.random.draw();
                let player = &mut self.players[at];
                (player.on, player.store) = (!on, empty_store(seed));
            }
        }
    }

    /// What this node answers when asked for a record: it, a forgery, or nothing.
    fn answer(&mut self, player: usize, id: &RecordId) -> Option<Vec<u8>> {
        let player = &self.players[player];
        let mut bytes = player.store.get(id).filter(|_| player.on && player.lies != Some(true))?.to_vec();
        if player.lies.is_some() {
            let at = self.random.between(0, bytes.len() as u64 - 1) as usize;
            bytes[at] ^= 1;
        }
        self.sent += QUESTION + bytes.len();
        Some(bytes)
    }

    /// Asks the keepers in turn, from a random one on; each on a circuit of its own.
    fn look_up(&mut self) {
        let (id, _) = self.records[self.random.between(0, self.records.len() as u64 - 1) as usize];
        let first = self.random.between(0, COPIES as u64 - 1) as usize;
        let mut ms = 0;
        self.found.lookups += 1;
        for turn in first..first + COPIES {
            let Some(keeper) = self.ring.ask(&id, turn).map(|keeper| self.index(&keeper)) else { break };
            if !self.players[keeper].on {
                ms += self.random.between(4_000, 12_000); // no descriptor, or nobody at the introduction point
                continue;
            }
            ms += self.random.between(1_200, 2_600) + self.random.between(300, 1_000);
            let Some(bytes) = self.answer(keeper, &id) else { continue };
            match Signed::check(&bytes, self.today) {
                Ok(signed) if signed.id() == id => {
                    self.found.found += 1;
                    self.times.push(ms);
                    return;
                }
                _ => self.found.forged += 1,
            }
        }
    }

    /// Everyone learns who is away, and keepers that lack a record ask the others for it.
    fn settle(&mut self) {
        for player in &self.players {
            if player.on {
                self.ring.join(player.key).expect("it was there before");
            } else {
                self.ring.away(&player.key);
            }
        }
        for at in 0..self.records.len() {
            let id = self.records[at].0;
            let keepers: Vec<_> = self.ring.keepers(&id).iter().map(|key| self.index(key)).collect();
            for keeper in &keepers {
                if self.players[*keeper].store.get(&id).is_some() {
                    continue;
                }
                for other in keepers.iter().filter(|other| *other != keeper) {
                    let Some(bytes) = self.answer(*other, &id) else { continue };
                    let checked = Signed::check(&bytes, self.today).is_ok_and(|signed| signed.id() == id);
                    if checked {
                        self.hand(*keeper, at);
                        break;
                    }
                }
            }
        }
    }

    fn report(mut self, plan: Spread) -> Found {
        let held: Vec<_> =
            self.players.iter().filter(|player| player.on).map(|player| player.store.len()).collect();
        let honest = |id: &RecordId| {
            self.players.iter().any(|player| player.lies.is_none() && player.store.get(id).is_some())
        };
        self.found.lost = self.records.iter().filter(|(id, _)| !honest(id)).count();
        self.times.sort_unstable();
        let time = |percent: usize| self.times.get(self.times.len() * percent / 100).copied().unwrap_or(0);
        self.found.load =
            (held.iter().sum::<usize>() / held.len().max(1), held.iter().max().copied().unwrap_or(0));
        self.found.bytes = self.sent / plan.nodes / (plan.hours.max(1) as usize);
        self.found.ms = (time(50), time(95));
        self.found
    }
}
