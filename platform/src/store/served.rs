//! Files shared in place, read through maps, each block checked again before it leaves.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bulbil_core::content::{Hash, merkle};
use bulbil_core::id::{BlockId, InfoHash};
use bulbil_core::limits::BLOCK_LEN;
use bulbil_core::store::{Store, StoreError};

use super::content::Content;
use super::handles::Handles;
use super::warming::{Warm, Warming, leaves_of};
use crate::sys::map::Map;

/// Files kept mapped per share.
const MAPS: usize = 16;

/// Pieces whose leaves are kept per share, fewest and most: what a few lanes with full pipes are reading at once.
const PIECES: (usize, usize) = (8, 64);

/// Bytes of leaves kept per share: the fewest of the largest pieces, or the most of pieces up to 8 MiB.
const LEAVES: usize = 1024 * 1024;

/// Files shared in place.
#[derive(Debug)]
pub struct Served {
    content: Arc<Content>,
    /// Absolute path of each file, by file number.
    files: Vec<PathBuf>,
    maps: Handles<usize, Map>,
    leaves: Handles<u32, Vec<Hash>>,
    scratch: Vec<Hash>,
}

impl Served {
    /// Serves `content` out of `files`: an absolute path for each file number, empty files too.
    /// Nothing is opened before it is asked for.
    pub fn new(content: Arc<Content>, files: Vec<PathBuf>) -> Self {
        let piece = usize::from(content.layout().blocks_per_piece()).saturating_mul(size_of::<Hash>());
        let pieces = LEAVES.checked_div(piece).unwrap_or(PIECES.1).clamp(PIECES.0, PIECES.1);
        Self { content, files, maps: Handles::new(MAPS), leaves: Handles::new(pieces), scratch: Vec::new() }
    }

    /// What is served.
    pub const fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// Lets go of maps and leaves that can be made again.
    pub(crate) fn relieve(&mut self) {
        self.maps.clear();
        self.leaves.clear();
        self.scratch = Vec::new();
    }

    /// Whether each file is there and has its length. What is in them is not looked at.
    pub(crate) fn is_there(&self) -> bool {
        let layout = self.content.layout();
        self.files.iter().zip(0..).all(|(path, number)| {
            let length = layout.span_of_file(number).map_or(0, |span| span.length);
            path.metadata().is_ok_and(|file| file.is_file() && file.len() == length)
        })
    }

    /// Reads everything once. The error comes with the first piece that is not as it should be.
    pub fn verify(&mut self) -> Result<(), (u32, StoreError)> {
        for (number, path) in self.files.iter().enumerate() {
            let empty =
                self.content.layout().span_of_file(u32::try_from(number).unwrap_or(u32::MAX)).is_none();
            if empty && !path.metadata().is_ok_and(|file| file.is_file() && file.len() == 0) {
                return Err((0, StoreError::Changed));
            }
        }
        let mut block = vec![0; BLOCK_LEN];
        for piece in 0..self.content.layout().pieces() {
            self.leaves_of(piece, &mut block).map_err(|error| (piece, error))?;
        }
        Ok(())
    }

    /// Fills `out` with the block.
    fn fill(&mut self, id: BlockId, out: &mut [u8]) -> Result<(), StoreError> {
        let (place, offset) = self.content.offset(id).ok_or(StoreError::Missing)?;
        let span = *self.content.layout().spans().get(place).ok_or(StoreError::Missing)?;
        let path = usize::try_from(span.file)
            .ok()
            .and_then(|file| self.files.get(file))
            .ok_or(StoreError::Missing)?;
        let map = self.maps.get(place, || open(path, span.length))?.ok_or(StoreError::Failed)?;
        if map.read(offset, out).is_err() {
            self.maps.forget(place);
            return Err(StoreError::Changed);
        }
        Ok(())
    }

    /// What is to be done on another thread before [`read`](Store::read) gives a block of this piece without hashing all of
    /// it; `None` where that was done, or where there is no such piece.
    pub fn warming(&self, piece: u32) -> Option<Warming> {
        if self.leaves.has(piece) {
            return None;
        }
        let (place, _) = self.content.offset(BlockId { piece, block: 0 })?;
        let span = self.content.layout().spans().get(place)?;
        let path = self.files.get(usize::try_from(span.file).ok()?)?.clone();
        Some(Warming { content: Arc::clone(&self.content), piece, file: (path, span.length) })
    }

    /// Takes in what came of it.
    pub fn warmed(&mut self, warm: Warm) {
        _ = self.leaves.get(warm.piece, || Ok::<_, StoreError>(warm.leaves));
    }

    /// Leaves of a piece, checked against its hash.
    fn leaves_of(&mut self, piece: u32, block: &mut [u8]) -> Result<Vec<Hash>, StoreError> {
        let content = Arc::clone(&self.content);
        leaves_of(&content, piece, block, |id, out| self.fill(id, out))
    }

    /// Puts the leaves of a piece into `scratch`.
    fn recall(&mut self, piece: u32) -> Result<(), StoreError> {
        let mut known = None;
        if let Ok(Some(leaves)) = self.leaves.get(piece, || Err(())) {
            self.scratch.clone_from(leaves);
            known = Some(());
        }
        if known.is_none() {
            let leaves = self.leaves_of(piece, &mut vec![0; BLOCK_LEN])?;
            self.scratch.clone_from(&leaves);
            self.leaves.get(piece, || Ok::<_, StoreError>(leaves))?;
        }
        Ok(())
    }

    fn checked(&mut self, id: BlockId, proof: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError> {
        let layout = self.content.layout();
        let fits = layout.block_len(id) == Some(bytes.len())
            && layout.proof_len(id.piece).and_then(|levels| levels.checked_mul(32)) == Some(proof.len());
        if !fits {
            return Err(StoreError::Missing);
        }
        self.recall(id.piece)?;
        self.fill(id, bytes)?;
        let index = usize::from(id.block);
        if self.scratch.get(index) != Some(&merkle::leaf(bytes)) {
            return Err(StoreError::Changed);
        }
        merkle::prove(&mut self.scratch, index, proof).map(drop).ok_or(StoreError::Failed)
    }
}

/// Maps a file that must still have its length.
pub(super) fn open(path: &PathBuf, length: u64) -> Result<Map, StoreError> {
    let map = File::open(path).and_then(|file| Map::new(&file)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StoreError::Changed,
        _ => StoreError::Failed,
    })?;
    if map.len() == length { Ok(map) } else { Err(StoreError::Changed) }
}

impl Store for Served {
    fn piece_root(&self, piece: u32) -> Option<Hash> {
        self.content.piece_root(piece)
    }

    fn read(&mut self, id: BlockId, proof: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError> {
        let done = self.checked(id, proof, bytes);
        if done.is_err() {
            // Whatever was believed about the files is not believed any more.
            bytes.fill(0);
            self.maps.clear();
            self.leaves.clear();
        }
        done
    }

    fn write(&mut self, _: BlockId, _: &Hash, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::Failed)
    }

    fn info(&self, offset: u32, out: &mut [u8]) -> usize {
        self.content.info(offset, out)
    }

    fn info_hash(&self) -> InfoHash {
        self.content.info_hash()
    }

    fn info_len(&self) -> u32 {
        self.content.info_len()
    }

    fn hashes(&self, file: u32, index: u32, out: &mut [u8]) -> Option<(usize, usize)> {
        self.content.hashes(file, index, out)
    }
}
