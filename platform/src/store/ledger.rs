//! Which blocks of a fetch are on disk: 32 bytes a block, its SHA-256, or zeros where there is none.
//!
//! Nothing orders these writes against those of the data. After a power cut a block counts exactly if the bytes that
//! are really there have the hash that is really there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bulbil_core::content::Hash;
use bulbil_core::id::BlockId;

use super::content::Content;

/// The `leaves` file, and one bit a block in memory.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    bits: Vec<u64>,
    done: u64,
}

impl Ledger {
    /// Takes the file over. No block counts before [`mark`](Self::mark).
    pub(super) fn new(file: File, content: &Content) -> io::Result<Self> {
        let slots = content.slot(BlockId { piece: content.layout().pieces(), block: 0 });
        let words = usize::try_from(slots.div_ceil(64)).map_err(io::Error::other)?;
        let length = slots.saturating_mul(32);
        if file.metadata()?.len() != length {
            file.set_len(length)?;
        }
        Ok(Self { file, bits: vec![0; words], done: 0 })
    }

    /// Bytes of the blocks that count.
    pub(super) const fn done(&self) -> u64 {
        self.done
    }

    /// Whether this block counts.
    pub(super) fn has(&self, content: &Content, id: BlockId) -> bool {
        let (word, bit) = place(content, id);
        content.layout().block_len(id).is_some() && self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether every block of the piece counts.
    pub(super) fn has_piece(&self, content: &Content, piece: u32) -> bool {
        let blocks = content.layout().blocks_in(piece);
        blocks.is_some_and(|blocks| (0..blocks).all(|block| self.has(content, BlockId { piece, block })))
    }

    /// Lets the block count.
    pub(super) fn mark(&mut self, content: &Content, id: BlockId) {
        let (word, bit) = place(content, id);
        if let Some(word) = self.bits.get_mut(word).filter(|word| **word & bit == 0) {
            *word |= bit;
            self.done = self.done.saturating_add(length(content, id));
        }
    }

    /// Writes the leaf of a block whose data was written before, and lets it count.
    pub(super) fn record(&mut self, content: &Content, id: BlockId, leaf: &Hash) -> io::Result<()> {
        self.file.write_all_at(&leaf.0, content.slot(id).saturating_mul(32))?;
        self.mark(content, id);
        Ok(())
    }

    /// Lets the block count no more. Its leaf stays.
    pub(super) fn unmark(&mut self, content: &Content, id: BlockId) {
        let (word, bit) = place(content, id);
        if let Some(word) = self.bits.get_mut(word).filter(|word| **word & bit != 0) {
            *word &= !bit;
            self.done = self.done.saturating_sub(length(content, id));
        }
    }

    /// Lets no block of the piece count any more.
    pub(super) fn strike(&mut self, content: &Content, piece: u32) {
        for block in 0..content.layout().blocks_in(piece).unwrap_or(0) {
            self.unmark(content, BlockId { piece, block });
        }
        let blocks = usize::from(content.layout().blocks_in(piece).unwrap_or(0));
        let at = content.slot(BlockId { piece, block: 0 }).saturating_mul(32);
        // Leaves that stay in the file add up to no piece, and are struck again at the next opening.
        _ = self.file.write_all_at(&vec![0; blocks.saturating_mul(32)], at);
    }

    /// The leaves of a piece as the file has them, whether they count or not.
    pub(super) fn leaves(&self, content: &Content, piece: u32) -> io::Result<Vec<Hash>> {
        let blocks = usize::from(content.layout().blocks_in(piece).unwrap_or(0));
        let mut bytes = vec![0; blocks.saturating_mul(32)];
        self.file.read_exact_at(&mut bytes, content.slot(BlockId { piece, block: 0 }).saturating_mul(32))?;
        Ok(bytes.as_chunks::<32>().0.iter().map(|hash| Hash(*hash)).collect())
    }

    /// Gives up the lock that came with the file.
    pub(super) fn unlock(&self) {
        _ = self.file.unlock(); // closing the file does the same
    }

    /// Puts another file in its place.
    #[cfg(test)]
    pub(super) fn swap(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// The file once more, for another thread.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

fn length(content: &Content, id: BlockId) -> u64 {
    content.layout().block_len(id).and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
}

/// Word and bit of a block.
fn place(content: &Content, id: BlockId) -> (usize, u64) {
    let slot = content.slot(id);
    (usize::try_from(slot / 64).unwrap_or(usize::MAX), 1 << (slot % 64))
}
