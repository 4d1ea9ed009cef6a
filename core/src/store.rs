//! What a swarm needs from whoever keeps the bytes.

use crate::content::Hash;
use crate::id::{BlockId, InfoHash};

/// Reads and writes verified content. Calls are short: no network behind them.
pub trait Store {
    /// The hash that all blocks of `piece` must add up to: an entry of a piece layer, or the root of a file no
    /// longer than one piece. `None` if there is no such piece.
    fn piece_root(&self, piece: u32) -> Option<Hash>;

    /// Fills `bytes` (whose length is the block's) and `proof` (32 bytes a hash, lowest sibling first).
    /// Never hands out bytes that do not match the piece's hash: a file that changed is [`StoreError::Changed`].
    fn read(&mut self, id: BlockId, proof: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError>;

    /// Keeps one verified block; `leaf` is its SHA-256, kept beside it so that a restart can tell what is there.
    /// [`StoreError::Changed`]: what was kept of the same piece before was damaged since, and nothing of the piece is here
    /// any more.
    fn write(&mut self, id: BlockId, leaf: &Hash, bytes: &[u8]) -> Result<(), StoreError>;

    /// Copies bytes of the info dictionary from `offset` on into `out` and says how many.
    fn info(&self, offset: u32, out: &mut [u8]) -> usize;

    /// SHA-256 of the info dictionary.
    fn info_hash(&self) -> InfoHash;

    /// Bytes of the info dictionary.
    fn info_len(&self) -> u32;

    /// Writes hashes of the piece layer of file number `file`, from hash number `index` (a multiple of
    /// [`MAX_HASHES`](crate::limits::MAX_HASHES)), followed by the uncles that lead to the file's root
    /// (see [`crate::content::merkle`]). Returns the bytes of hashes and the bytes of uncles written.
    fn hashes(&self, file: u32, index: u32, out: &mut [u8]) -> Option<(usize, usize)>;
}

/// Why a store refused. The peer is never to blame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreError {
    /// The file on disk is not what was shared: shorter, longer or other bytes.
    Changed,
    /// No room left on the device.
    Full,
    /// Permission denied, or the device failed.
    Failed,
    /// No such block here (not fetched yet, or out of range).
    Missing,
}
