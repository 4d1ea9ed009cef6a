//! A share in memory, cut into pieces of one block each: the simplest store there is.

use bulbil_core::content::Hash;
use bulbil_core::id::{BlockId, InfoHash};
use bulbil_core::limits::BLOCK_LEN;
use bulbil_core::store::{Store, StoreError};

/// All that is kept.
pub struct Chip {
    info: &'static [u8],
    info_hash: InfoHash,
    roots: &'static [Hash],
    bytes: &'static mut [u8],
}

impl Chip {
    fn block(&mut self, id: BlockId, len: usize) -> Result<&mut [u8], StoreError> {
        let start = usize::try_from(id.piece).ok().and_then(|piece| piece.checked_mul(BLOCK_LEN));
        let bytes = start.and_then(|start| self.bytes.get_mut(start..)?.get_mut(..len));
        bytes.ok_or(StoreError::Missing)
    }
}

impl Store for Chip {
    fn piece_root(&self, piece: u32) -> Option<Hash> {
        self.roots.get(usize::try_from(piece).ok()?).copied()
    }

    fn read(&mut self, id: BlockId, _: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError> {
        bytes.copy_from_slice(self.block(id, bytes.len())?);
        Ok(())
    }

    fn write(&mut self, id: BlockId, _: &Hash, bytes: &[u8]) -> Result<(), StoreError> {
        self.block(id, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn info(&self, offset: u32, out: &mut [u8]) -> usize {
        let rest =
            usize::try_from(offset).ok().and_then(|offset| self.info.get(offset..)).unwrap_or_default();
        out.iter_mut().zip(rest).map(|(out, byte)| *out = *byte).count()
    }

    fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    fn info_len(&self) -> u32 {
        u32::try_from(self.info.len()).unwrap_or(u32::MAX)
    }

    fn hashes(&self, _: u32, _: u32, _: &mut [u8]) -> Option<(usize, usize)> {
        None
    }
}
