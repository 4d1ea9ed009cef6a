//! Which nodes keep a copy of which record: rendezvous hashing.
//!
//! Each node has a weight for each record, a hash of both; the heaviest few keep it. Everybody who knows the same nodes
//! comes to the same answer without asking. When a node goes, the next in weight takes over each of its records and no
//! other record moves; when it returns, just these come back to it.

use heapless::Vec;
use sha2::{Digest, Sha256};

use crate::id::{NodeKey, RecordId};
use crate::limits::COPIES;

/// The nodes that keep copies, up to `NODES` of them.
#[derive(Clone, Debug, Default)]
pub struct Ring<const NODES: usize> {
    members: Vec<Member, NODES>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    node: NodeKey,
    here: bool,
}

/// The ring has no place for another node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RingFull;

/// Who keeps a record, heaviest first.
pub type Keepers = Vec<NodeKey, COPIES>;

impl<const NODES: usize> Ring<NODES> {
    /// Without nodes.
    #[must_use]
    pub const fn new() -> Self {
        Self { members: Vec::new() }
    }

    /// A node of the horizon came, or came back.
    pub fn join(&mut self, node: NodeKey) -> Result<(), RingFull> {
        if let Some(member) = self.members.iter_mut().find(|member| member.node == node) {
            member.here = true;
            return Ok(());
        }
        self.members.push(Member { node, here: true }).map_err(|_| RingFull)
    }

    /// A node does not answer: others stand in for it until it [joins](Self::join) again.
    pub fn away(&mut self, node: &NodeKey) {
        for member in self.members.iter_mut().filter(|member| member.node == *node) {
            member.here = false;
        }
    }

    /// A node is not trusted any more.
    pub fn leave(&mut self, node: &NodeKey) {
        self.members.retain(|member| member.node != *node);
    }

    /// Nodes that are here.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeKey> {
        self.members.iter().filter(|member| member.here).map(|member| &member.node)
    }

    /// Who keeps this record now.
    #[must_use]
    pub fn keepers(&self, id: &RecordId) -> Keepers {
        let mut heaviest: Vec<(u64, NodeKey), COPIES> = Vec::new();
        for node in self.nodes() {
            let this = (weight(node, id), *node);
            let at = heaviest.iter().position(|other| *other < this).unwrap_or(heaviest.len());
            if at < COPIES {
                if heaviest.is_full() {
                    heaviest.pop();
                }
                _ = heaviest.insert(at, this); // room was made
            }
        }
        heaviest.into_iter().map(|(_, node)| node).collect()
    }

    /// Whether `node` keeps this record now.
    #[must_use]
    pub fn keeps(&self, node: &NodeKey, id: &RecordId) -> bool {
        self.keepers(id).contains(node)
    }

    /// The keeper to ask with the `turn`th request about this record, counted from zero: each in turn, so that none
    /// bears the whole load, and a retry reaches another. `None` if nobody keeps it.
    #[must_use]
    pub fn ask(&self, id: &RecordId, turn: usize) -> Option<NodeKey> {
        let keepers = self.keepers(id);
        keepers.get(turn.checked_rem(keepers.len())?).copied()
    }
}

/// Half of the name is enough: it is a hash itself, and 55 bytes are what SHA-256 takes in one go.
fn weight(node: &NodeKey, id: &RecordId) -> u64 {
    let id: [u8; 16] = id.0.first_chunk().copied().unwrap_or_default();
    let hash = Sha256::new_with_prefix(b"bulbil1").chain_update(node.0).chain_update(id).finalize();
    let hash: [u8; 32] = hash.into();
    hash.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::*;
    use crate::sim::Random;

    fn ring(nodes: u8) -> Ring<64> {
        let mut ring = Ring::new();
        (0..nodes).for_each(|node| ring.join(NodeKey([node; 32])).unwrap());
        ring
    }

    fn ids() -> Vec<RecordId> {
        let mut random = Random::new(6);
        (0..2_000).map(|_| RecordId(random.array())).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of hashes")]
    fn a_node_that_goes_moves_its_own_part_and_gets_it_back() {
        let (mut ring, ids) = (ring(20), ids());
        let before: Vec<_> = ids.iter().map(|id| ring.keepers(id)).collect();
        let gone = NodeKey([7; 32]);
        ring.away(&gone);
        let mut moved = 0;
        for (id, before) in ids.iter().zip(&before) {
            let now = ring.keepers(id);
            assert_eq!(now.len(), COPIES);
            let kept: Vec<_> = before.iter().filter(|node| **node != gone).collect();
            assert!(kept.iter().zip(&now).all(|(old, new)| *old == new), "the others stay in their order");
            moved += usize::from(kept.len() < COPIES);
        }
        let share = ids.len() * COPIES / 20;
        assert!(moved > share / 2 && moved < share * 2, "{moved} of {}", ids.len());
        ring.join(gone).unwrap();
        assert!(ids.iter().zip(&before).all(|(id, before)| ring.keepers(id) == *before));
        ring.leave(&gone);
        assert!(ids.iter().all(|id| !ring.keeps(&gone, id)));
    }

    #[test]
    fn weights_never_change() {
        let (node, id) = (NodeKey([1; 32]), RecordId([2; 32]));
        let whole: Vec<u8> = [&b"bulbil1"[..], &[1; 32], &[2; 16]].concat();
        let hash: [u8; 32] = Sha256::digest(&whole).into();
        assert_eq!(weight(&node, &id).to_be_bytes(), hash[..8]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of hashes")]
    fn load_is_even_and_requests_go_round() {
        let (ring, ids) = (ring(20), ids());
        let mut load = BTreeMap::new();
        for id in &ids {
            let asked: Vec<_> = (0..COPIES).map(|turn| ring.ask(id, turn).unwrap()).collect();
            assert_eq!(asked, ring.keepers(id).as_slice());
            assert_eq!(ring.ask(id, COPIES), asked.first().copied());
            for node in asked {
                *load.entry(node).or_insert(0) += 1;
            }
        }
        let mean = ids.len() * COPIES / 20;
        assert!(load.values().all(|load| *load > mean * 3 / 4 && *load < mean * 5 / 4), "{load:?}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of hashes")]
    fn order_of_joining_does_not_matter_and_few_nodes_do() {
        let mut backwards: Ring<64> = Ring::new();
        (0..20).rev().for_each(|node| backwards.join(NodeKey([node; 32])).unwrap());
        assert!(ids().iter().all(|id| backwards.keepers(id) == ring(20).keepers(id)));
        assert_eq!(ring(2).keepers(&RecordId([1; 32])).len(), 2);
        assert_eq!(ring(0).ask(&RecordId([1; 32]), 5), None);
        let mut tiny: Ring<1> = Ring::new();
        assert_eq!((tiny.join(NodeKey([1; 32])), tiny.join(NodeKey([1; 32]))), (Ok(()), Ok(())));
        assert_eq!(tiny.join(NodeKey([2; 32])), Err(RingFull));
    }
}
