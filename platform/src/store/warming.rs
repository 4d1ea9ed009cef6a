//! Hashing a whole piece away from the thread that serves it: a block is proved by its whole piece, which has up to 64 MiB.

use std::path::PathBuf;
use std::sync::Arc;

use bulbil_core::content::{Hash, merkle};
use bulbil_core::id::BlockId;
use bulbil_core::limits::BLOCK_LEN;
use bulbil_core::store::StoreError;

use super::Content;
use super::served::open;

/// A piece whose leaves are wanted. Belongs on a thread that may wait for the disk.
#[derive(Debug)]
pub struct Warming {
    pub(super) content: Arc<Content>,
    pub(super) piece: u32,
    /// Of the one file that the piece lies in, and bytes of it.
    pub(super) file: (PathBuf, u64),
}

/// The leaves of a piece, checked against its hash.
#[derive(Debug)]
pub struct Warm {
    pub(super) piece: u32,
    pub(super) leaves: Vec<Hash>,
}

impl Warming {
    /// Reads the piece.
    pub fn run(self) -> Result<Warm, StoreError> {
        let map = open(&self.file.0, self.file.1)?;
        let fill = |id, out: &mut [u8]| {
            let (_, offset) = self.content.offset(id).ok_or(StoreError::Missing)?;
            map.read(offset, out).map_err(|_| StoreError::Changed)
        };
        let leaves = leaves_of(&self.content, self.piece, &mut vec![0; BLOCK_LEN], fill)?;
        Ok(Warm { piece: self.piece, leaves })
    }
}

/// Leaves of a piece, checked against its hash. `fill` reads a block; `block` holds one.
pub(super) fn leaves_of(
    content: &Content,
    piece: u32,
    block: &mut [u8],
    mut fill: impl FnMut(BlockId, &mut [u8]) -> Result<(), StoreError>,
) -> Result<Vec<Hash>, StoreError> {
    let layout = content.layout();
    let blocks = layout.blocks_in(piece).ok_or(StoreError::Missing)?;
    let levels = layout.proof_len(piece).ok_or(StoreError::Missing)?;
    let mut leaves = Vec::with_capacity(usize::from(blocks));
    for number in 0..blocks {
        let id = BlockId { piece, block: number };
        let length = layout.block_len(id).ok_or(StoreError::Missing)?;
        let bytes = block.get_mut(..length).ok_or(StoreError::Failed)?;
        fill(id, bytes)?;
        leaves.push(merkle::leaf(bytes));
    }
    let mut tree = merkle::Tree::new();
    for leaf in &leaves {
        tree.push(*leaf);
    }
    let root = u32::try_from(levels).ok().and_then(|levels| tree.root_at(levels));
    if root.is_some() && root == content.piece_root(piece) { Ok(leaves) } else { Err(StoreError::Changed) }
}
