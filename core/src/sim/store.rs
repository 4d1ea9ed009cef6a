//! A store in memory that can lose power, be full, or find its files changed.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::{Random, Share};
use crate::bits::{Bits, words_for};
use crate::content::{Hash, merkle};
use crate::id::{BlockId, InfoHash};
use crate::store::{Store, StoreError};
use crate::swarm::block_slots;

/// What a store may do instead of obeying.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// Writes fail for want of room.
    Full,
    /// Reads find other bytes than were shared.
    Changed,
}

/// Blocks as they lie on the disk, the leaf hash kept beside each.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    share: Share,
    /// Of a seed: the disk holds everything.
    whole: bool,
    disk: BTreeMap<BlockId, (Hash, Vec<u8>)>,
    /// Written, but gone if the power fails.
    unsynced: Vec<BlockId>,
    /// Blocks after which everything is synced.
    sync_every: usize,
    /// Proofs of the piece read last: serving a piece hashes it once.
    leaves: Option<(u32, Vec<Hash>)>,
    /// What goes wrong now.
    pub trouble: Option<Trouble>,
    /// A block in ten is given out with a bit flipped.
    pub corrupts: bool,
    reads: u64,
    /// Blocks written that are not what was shared: must stay 0.
    pub bad_writes: u64,
}

impl MemoryStore {
    /// A whole copy, or an empty disk. Every `sync_every` blocks what was written becomes safe.
    #[must_use]
    pub const fn new(share: Share, whole: bool, sync_every: usize) -> Self {
        Self {
            share,
            whole,
            disk: BTreeMap::new(),
            unsynced: Vec::new(),
            sync_every,
            leaves: None,
            trouble: None,
            corrupts: false,
            reads: 0,
            bad_writes: 0,
        }
    }

    /// The power fails: of what was not synced, some blocks are there, some are torn, some are not there at all.
    pub fn lose_power(&mut self, random: &mut Random) {
        for id in core::mem::take(&mut self.unsynced) {
            match random.between(0, 2) {
                0 => _ = self.disk.remove(&id),
                1 => {
                    if let Some((_, bytes)) = self.disk.get_mut(&id) {
                        let torn = random.between(0, bytes.len() as u64 - 1) as usize;
                        bytes[torn..].fill(0);
                    }
                }
                _ => {}
            }
        }
    }

    /// Looks at the disk as a start does: a block counts if its bytes match the leaf kept beside it.
    ///
    /// # Panics
    /// If the share has more than 2^32 blocks.
    #[must_use]
    pub fn survivors(&self) -> Bits<Vec<u64>> {
        let layout = self.share.layout();
        let slots = block_slots(&layout).expect("fewer than 2^32 blocks");
        let mut bits = Bits::new(std::vec![0; words_for(slots)], slots).expect("enough words");
        for piece in 0..layout.pieces() {
            for block in 0..layout.blocks_in(piece).unwrap_or(0) {
                let id = BlockId { piece, block };
                let kept = || self.disk.get(&id).is_some_and(|(leaf, bytes)| merkle::leaf(bytes) == *leaf);
                if self.whole || kept() {
                    bits.set(piece * u32::from(layout.blocks_per_piece()) + u32::from(block));
                }
            }
        }
        bits
    }

    /// Whether every block is here and right.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let layout = self.share.layout();
        let blocks = (0..layout.pieces()).flat_map(|piece| {
            (0..layout.blocks_in(piece).unwrap_or(0)).map(move |block| BlockId { piece, block })
        });
        self.whole
            || blocks.into_iter().all(|id| {
                self.disk.get(&id).is_some_and(|(_, bytes)| Some(bytes.as_slice()) == self.share.block(id))
            })
    }

    fn prove(&mut self, id: BlockId, proof: &mut [u8]) -> Option<()> {
        if self.leaves.as_ref().is_none_or(|(piece, _)| *piece != id.piece) {
            let blocks = self.share.layout().blocks_in(id.piece)?;
            let leaf = |block| self.share.block(BlockId { piece: id.piece, block }).map(merkle::leaf);
            self.leaves = Some((id.piece, (0..blocks).map(leaf).collect::<Option<_>>()?));
        }
        let mut leaves = self.leaves.as_ref()?.1.clone();
        merkle::prove(&mut leaves, usize::from(id.block), proof).map(|_| ())
    }
}

impl Store for MemoryStore {
    fn piece_root(&self, piece: u32) -> Option<Hash> {
        self.share.root(piece)
    }

    fn read(&mut self, id: BlockId, proof: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError> {
        if self.trouble == Some(Trouble::Changed) {
            return Err(StoreError::Changed);
        }
        if self.whole {
            bytes.copy_from_slice(self.share.block(id).ok_or(StoreError::Missing)?);
        } else {
            bytes.copy_from_slice(&self.disk.get(&id).ok_or(StoreError::Missing)?.1);
        }
        self.prove(id, proof).ok_or(StoreError::Missing)?;
        self.reads += 1;
        if self.corrupts && self.reads.is_multiple_of(10) {
            bytes[0] ^= 1;
        }
        Ok(())
    }

    fn write(&mut self, id: BlockId, leaf: &Hash, bytes: &[u8]) -> Result<(), StoreError> {
        if self.trouble == Some(Trouble::Full) {
            return Err(StoreError::Full);
        }
        if self.share.block(id) != Some(bytes) || merkle::leaf(bytes) != *leaf {
            self.bad_writes += 1;
        }
        self.disk.insert(id, (*leaf, bytes.to_vec()));
        self.unsynced.push(id);
        if self.unsynced.len() >= self.sync_every {
            self.unsynced.clear();
        }
        Ok(())
    }

    fn info(&self, _: u32, _: &mut [u8]) -> usize {
        0
    }

    fn info_hash(&self) -> InfoHash {
        InfoHash([0; 32])
    }

    fn info_len(&self) -> u32 {
        0
    }

    fn hashes(&self, _: u32, _: u32, _: &mut [u8]) -> Option<(usize, usize)> {
        None
    }
}
