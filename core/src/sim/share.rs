//! The content of a simulated swarm: random files with real trees.

use std::rc::Rc;
use std::vec::Vec;
use std::{vec, vec::Vec as StdVec};

use super::Random;
use crate::content::merkle::{self, Hash};
use crate::content::{Layout, Span};
use crate::id::BlockId;
use crate::limits::BLOCK_LEN;

/// Files, and the hash of each piece.
#[derive(Clone, Debug)]
pub struct Share {
    piece_len: u32,
    spans: Rc<[Span]>,
    files: Rc<[StdVec<u8>]>,
    roots: Rc<[Hash]>,
}

impl Share {
    /// Files of these lengths (none of them 0), filled by `seed`.
    ///
    /// # Panics
    /// If the lengths make no layout.
    #[must_use]
    pub fn new(seed: u64, piece_len: u32, lengths: &[u64]) -> Self {
        let mut random = Random::new(seed);
        let (mut spans, mut files, mut roots) = (vec![], vec![], vec![]);
        for (file, length) in (0..).zip(lengths) {
            let mut bytes = vec![0; *length as usize];
            random.fill(&mut bytes);
            let first_piece = roots.len() as u32;
            let layered = *length > u64::from(piece_len);
            for piece in bytes.chunks(piece_len as usize) {
                let mut tree = merkle::Tree::new();
                piece.chunks(BLOCK_LEN).for_each(|block| tree.push(merkle::leaf(block)));
                let height = crate::content::piece_height(piece_len);
                roots.push(if layered { tree.root_at(height).expect("fits") } else { tree.root() });
            }
            spans.push(Span { file, first_piece, length: *length, root: Hash::default() });
            files.push(bytes);
        }
        Self { piece_len, spans: spans.into(), files: files.into(), roots: roots.into() }
    }

    /// Where everything lies.
    ///
    /// # Panics
    /// If the lengths given to [`new`](Self::new) make no layout.
    #[must_use]
    pub fn layout(&self) -> Layout<Rc<[Span]>> {
        Layout::new(self.piece_len, Rc::clone(&self.spans)).expect("lengths of a layout")
    }

    /// Bytes of a piece.
    #[must_use]
    pub const fn piece_len(&self) -> u32 {
        self.piece_len
    }

    /// Bytes of all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.spans.iter().map(|span| span.length).sum()
    }

    /// The hash of a piece.
    #[must_use]
    pub fn root(&self, piece: u32) -> Option<Hash> {
        self.roots.get(piece as usize).copied()
    }

    /// The true bytes of a block.
    #[must_use]
    pub fn block(&self, id: BlockId) -> Option<&[u8]> {
        let layout = self.layout();
        let (place, offset) = layout.offset(id)?;
        let len = layout.block_len(id)?;
        self.files.get(place)?.get(offset as usize..offset as usize + len)
    }

    /// The siblings of a block up to its piece.
    #[must_use]
    pub fn prove(&self, id: BlockId, proof: &mut [u8]) -> Option<()> {
        let blocks = self.layout().blocks_in(id.piece)?;
        let leaf = |block| self.block(BlockId { piece: id.piece, block }).map(merkle::leaf);
        let mut leaves: Vec<Hash> = (0..blocks).map(leaf).collect::<Option<_>>()?;
        merkle::prove(&mut leaves, usize::from(id.block), proof).map(|_| ())
    }
}
