//! One file to its merkle tree.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bulbil_core::content::merkle::{self, FileTree};
use bulbil_core::content::{Hash, piece_height};
use bulbil_core::limits::BLOCK_LEN;

use super::HashError;
use super::walk::Entry;

/// Bytes read at once: 16 blocks. Larger ones were no faster.
const BUFFER: usize = 16 * BLOCK_LEN;

/// What a file's blocks add up to.
#[derive(Debug)]
pub(super) struct Tree {
    /// `None` for an empty file.
    pub(super) root: Option<Hash>,
    /// Its piece layer, if it is longer than a piece.
    pub(super) layer: Option<Vec<u8>>,
}

/// Reads the whole file. `progress` hears how many more bytes were hashed.
pub(super) fn hash(
    entry: &Entry,
    piece_length: u32,
    mut progress: impl FnMut(u64),
) -> Result<Tree, HashError> {
    let path = entry.source.as_path();
    let mut file = File::open(path).map_err(HashError::io(path))?;
    let before = stamp(&file, path)?;
    let mut tree = FileTree::new(piece_height(piece_length));
    let (mut layer, mut read) = (Vec::new(), 0_u64);
    let mut buffer = vec![0; BUFFER];
    loop {
        let filled = fill(&mut file, &mut buffer).map_err(HashError::io(path))?;
        let bytes = buffer.get(..filled).unwrap_or_default();
        for block in bytes.chunks(BLOCK_LEN) {
            layer.extend(tree.push(merkle::leaf(block)).into_iter().flat_map(|hash| hash.0));
        }
        read += bytes.len() as u64;
        if read > entry.length {
            break;
        }
        progress(bytes.len() as u64);
        if filled < BUFFER {
            break;
        }
    }
    if read != entry.length || before != stamp(&file, path)? {
        return Err(HashError::Changed(path.to_path_buf()));
    }
    let (last, root) = tree.finish();
    layer.extend(last.into_iter().flat_map(|hash| hash.0));
    let long = entry.length > u64::from(piece_length);
    Ok(Tree { root: (entry.length > 0).then_some(root), layer: long.then_some(layer) })
}

/// What tells two versions of a file apart: bytes, and when content and inode were last changed.
fn stamp(file: &File, path: &Path) -> Result<[i64; 4], HashError> {
    let about: Metadata = file.metadata().map_err(HashError::io(path))?;
    Ok([about.size().cast_signed(), about.mtime(), about.mtime_nsec(), about.ino().cast_signed()])
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
