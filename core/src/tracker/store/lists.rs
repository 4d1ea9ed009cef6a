//! The lists that run through the slots: one for each leaf of the tree, one for authors that hash alike.

use sha2::{Digest, Sha256};

use super::{Memory, Slot, Store};
use crate::bits::index;
use crate::id::{NodeKey, RecordId};
use crate::limits::MAX_LEAF;
use crate::tracker::tree::{Entries, NONE, Summary, head, summarize};

impl<M: Memory> Store<M> {
    /// Number of the leaf for names that begin with these bits.
    pub(super) fn leaf(&self, head: u64) -> usize {
        let shift = 64_u32.saturating_sub(u32::from(self.leaf_bits));
        usize::try_from(head.checked_shr(shift).unwrap_or(0)).unwrap_or(0)
    }

    fn leaf_node(&self, leaf: usize) -> usize {
        leaf | 1_usize.wrapping_shl(u32::from(self.leaf_bits))
    }

    pub(super) fn leaf_slots(&self, leaf: usize) -> impl Iterator<Item = &Slot> {
        let first = self.memory.see_nodes().get(self.leaf_node(leaf)).map_or(NONE, |node| node.first);
        core::iter::successors(self.slot(first), |slot| self.slot(slot.next)).take(MAX_LEAF)
    }

    pub(super) fn find(&self, id: &RecordId) -> Option<u32> {
        let node = self.leaf_node(self.leaf(head(id)));
        let mut at = self.memory.see_nodes().get(node)?.first;
        loop {
            let slot = self.slot(at)?;
            if slot.id == *id {
                return Some(at);
            }
            at = slot.next;
        }
    }

    fn author_node(&self, author: &NodeKey) -> usize {
        let hash = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(author.0).finalize();
        let hash: [u8; 32] = hash.into();
        self.leaf_node(self.leaf(head(&RecordId(hash))))
    }

    /// Slots with records of this author.
    pub(super) fn author_slots(&self, author: &NodeKey) -> impl Iterator<Item = u32> {
        let first = self.memory.see_nodes().get(self.author_node(author)).map_or(NONE, |node| node.authors);
        let list = core::iter::successors(Some(first), |at| self.slot(*at).map(|slot| slot.next_author));
        let author = *author;
        list.filter(move |at| self.slot(*at).and_then(|slot| self.author_of(slot)) == Some(author))
    }

    pub(super) fn link(&mut self, at: u32, id: &RecordId, author: &NodeKey) {
        let (leaf, authors) = (self.leaf_node(self.leaf(head(id))), self.author_node(author));
        let nodes = self.memory.nodes();
        let next = nodes.get_mut(leaf).map_or(NONE, |node| core::mem::replace(&mut node.first, at));
        let next_author =
            nodes.get_mut(authors).map_or(NONE, |node| core::mem::replace(&mut node.authors, at));
        if let Some(slot) = self.memory.slots().get_mut(index(at)) {
            (slot.next, slot.next_author) = (next, next_author);
        }
    }

    pub(super) fn unlink(&mut self, at: u32, id: &RecordId, author: &NodeKey) {
        let (leaf, authors) = (self.leaf_node(self.leaf(head(id))), self.author_node(author));
        let Some(gone) = self.slot(at).copied() else { return };
        let nodes = self.memory.nodes();
        if let Some(node) = nodes.get_mut(leaf).filter(|node| node.first == at) {
            node.first = gone.next;
        } else {
            let first = nodes.get(leaf).map_or(NONE, |node| node.first);
            self.bridge(first, at, |slot| &mut slot.next, gone.next);
        }
        let nodes = self.memory.nodes();
        if let Some(node) = nodes.get_mut(authors).filter(|node| node.authors == at) {
            node.authors = gone.next_author;
        } else {
            let first = nodes.get(authors).map_or(NONE, |node| node.authors);
            self.bridge(first, at, |slot| &mut slot.next_author, gone.next_author);
        }
    }

    /// Whoever points to `gone` in this list points to `to` instead.
    fn bridge(&mut self, first: u32, gone: u32, link: fn(&mut Slot) -> &mut u32, to: u32) {
        let mut at = first;
        while let Some(slot) = self.memory.slots().get_mut(index(at)) {
            let next = link(slot);
            if *next == gone {
                *next = to;
                return;
            }
            at = *next;
        }
    }

    /// Brings the tree up to date above the leaf of this name.
    pub(super) fn update(&mut self, id: &RecordId) {
        let leaf = self.leaf(head(id));
        let entries = self.leaf_slots(leaf).map(|slot| (slot.id, slot.edition));
        let summary = summarize(&mut entries.collect::<Entries>());
        let mut at = self.leaf_node(leaf);
        let nodes = self.memory.nodes();
        if let Some(node) = nodes.get_mut(at) {
            node.summary = summary;
        }
        while at > 1 {
            at /= 2;
            let child = |number: usize| nodes.get(number).map_or_else(Summary::default, |node| node.summary);
            let (left, right) = (at.saturating_mul(2), at.saturating_mul(2).saturating_add(1));
            let joined = child(left).join(child(right));
            if let Some(node) = nodes.get_mut(at) {
                node.summary = joined;
            }
        }
    }
}

/// Place in the nodes of the range of so many bits, at most as many as a leaf has.
pub(super) fn node_at(prefix: u64, bits: u8) -> usize {
    let level = 1_u64.wrapping_shl(u32::from(bits));
    let number = prefix.checked_shr(64_u32.saturating_sub(u32::from(bits))).unwrap_or(0);
    usize::try_from(level | number).unwrap_or(0)
}
