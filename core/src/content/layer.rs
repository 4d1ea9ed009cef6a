//! Piece layers (BEP 52): the hashes of a file's pieces, cut into runs that each prove themselves.
//!
//! A layer is the hashes of all pieces of a file longer than one piece, 32 bytes each. A run is
//! [`MAX_HASHES`] of them, from a multiple of that number on; its uncles are the siblings on the way from the run's own
//! root to the file's. Places past the last piece are padded with the hash of an empty piece.

use super::merkle::{HASH_LEN, Hash, Tree, height, parent, verify, zero};
use crate::limits::{MAX_HASHES, MAX_PIECES, MAX_UNCLES};

/// Height of a full run above the piece layer: log2 of [`MAX_HASHES`].
const RUN_HEIGHT: u32 = MAX_HASHES.trailing_zeros();

/// The root of a file with this piece layer, or of one run of a layer.
///
/// `piece_height` is the height of a piece above its blocks. Bytes past the last whole hash are ignored.
pub fn root(layer: &[u8], piece_height: u32) -> Hash {
    tree(layer, piece_height).root()
}

/// Bytes of the [`crown`] of a layer of so many pieces: 32 for about every 256th of them, none for a single run.
pub fn crown_len(pieces: u32) -> usize {
    let nodes = levels(pieces).fold(0_usize, usize::saturating_add);
    nodes.saturating_mul(HASH_LEN)
}

/// Writes the crown of a layer, what lies between its runs and the file's root, and gives that root.
///
/// The crown is the roots of all runs, then the nodes above them, level by level, without padding and without the root.
/// `None` unless `crown` has [`crown_len`] bytes. Hashes the whole layer once: about half a millisecond per 1 000 pieces.
pub fn crown(layer: &[u8], piece_height: u32, crown: &mut [u8]) -> Option<Hash> {
    let pieces = u32::try_from(layer.len() / HASH_LEN).ok()?;
    if crown.len() != crown_len(pieces) {
        return None;
    }
    let (nodes, _) = crown.as_chunks_mut::<HASH_LEN>();
    let mut below = nodes;
    let mut counts = levels(pieces);
    let Some(runs) = counts.next() else { return Some(root(layer, piece_height)) };
    for (node, run) in below.iter_mut().zip(layer.chunks(MAX_HASHES.saturating_mul(HASH_LEN))) {
        *node = tree(run, piece_height).root_at(RUN_HEIGHT)?.0;
    }
    let (mut count, mut pad) = (runs, zero(piece_height.saturating_add(RUN_HEIGHT)));
    for above in counts {
        let (level, rest) = below.split_at_mut_checked(count)?;
        for (node, pair) in rest.iter_mut().zip(level.chunks(2)) {
            *node = over(pair, &pad).0;
        }
        (below, count, pad) = (rest, above, parent(&pad, &pad));
    }
    Some(over(below, &pad))
}

/// The run that starts at piece hash `index`, and the bytes of its uncles, written to the start of `uncles`.
///
/// `crown` is what [`crown`] gave for this layer; `uncles` of [`MAX_UNCLES`] times 32 bytes are always enough. `None` if
/// `index` is no multiple of [`MAX_HASHES`] or lies past the layer, `uncles` is too short, or `crown` is of another layer.
/// Looks up one node a level and hashes none but padding, whatever the size of the layer.
pub fn run<'l>(
    layer: &'l [u8],
    crown: &[u8],
    piece_height: u32,
    index: u32,
    uncles: &mut [u8],
) -> Option<(&'l [u8], usize)> {
    let pieces = u32::try_from(layer.len() / HASH_LEN).ok()?;
    let hashes = part(layer, u64::from(index), u64::from(run_len(pieces, index)?))?;
    if crown.len() != crown_len(pieces) {
        return None;
    }
    let (places, _) = uncles.as_chunks_mut::<HASH_LEN>();
    let (mut places, mut written) = (places.iter_mut(), 0_usize);
    let (mut nodes, _) = crown.as_chunks::<HASH_LEN>();
    let mut at = usize::try_from(index >> RUN_HEIGHT).ok()?;
    let mut pad = zero(piece_height.saturating_add(RUN_HEIGHT));
    for count in levels(pieces) {
        let (level, above) = nodes.split_at_checked(count)?;
        *places.next()? = level.get(at ^ 1).copied().unwrap_or(pad.0);
        written = written.saturating_add(HASH_LEN);
        (nodes, at, pad) = (above, at >> 1, parent(&pad, &pad));
    }
    Some((hashes, written))
}

/// Nodes on each level of a crown, from the runs up: the last has two.
fn levels(pieces: u32) -> impl Iterator<Item = usize> {
    let runs = usize::try_from(pieces).unwrap_or(usize::MAX).div_ceil(MAX_HASHES);
    core::iter::successors(Some(runs), |count| Some(count.div_ceil(2))).take_while(|count| *count > 1)
}

/// The node above one or two others.
fn over(pair: &[[u8; HASH_LEN]], pad: &Hash) -> Hash {
    let node = |at: usize| pair.get(at).map_or(*pad, |node| Hash(*node));
    parent(&node(0), &node(1))
}

/// Whether `hashes` are the run from piece hash `index` on, of a file of `pieces` pieces with this `root`.
///
/// True only for exactly the hashes and uncles that [`run`] gives.
pub fn verify_run(
    root: &Hash,
    pieces: u32,
    piece_height: u32,
    index: u32,
    hashes: &[u8],
    uncles: &[u8],
) -> bool {
    let Some(count) = run_len(pieces, index) else { return false };
    let top = height(u64::from(pieces));
    let wanted = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(HASH_LEN);
    let above = usize::try_from(top.saturating_sub(RUN_HEIGHT)).unwrap_or(MAX_UNCLES);
    if hashes.len() != wanted || uncles.len() != above.saturating_mul(HASH_LEN) {
        return false;
    }
    let Some(node) = tree(hashes, piece_height).root_at(top.min(RUN_HEIGHT)) else { return false };
    verify(node, u64::from(index >> RUN_HEIGHT), uncles, root)
}

/// Hashes in the run that starts at `index`. `None` if no run starts there.
pub fn run_len(pieces: u32, index: u32) -> Option<u32> {
    let full = u32::try_from(MAX_HASHES).ok()?;
    let left = pieces.checked_sub(index)?;
    let starts = pieces <= MAX_PIECES && left > 0 && index & full.saturating_sub(1) == 0;
    starts.then_some(left.min(full))
}

/// A tree over these piece hashes.
fn tree(hashes: &[u8], piece_height: u32) -> Tree {
    let mut tree = Tree::above(piece_height);
    hashes.as_chunks::<HASH_LEN>().0.iter().for_each(|hash| tree.push(Hash(*hash)));
    tree
}

/// Up to `count` hashes from number `first` on: fewer, or none, where the layer ends before.
fn part(layer: &[u8], first: u64, count: u64) -> Option<&[u8]> {
    let at = |n: u64| usize::try_from(n).ok()?.checked_mul(HASH_LEN);
    let from = at(first)?.min(layer.len());
    let to = at(first.checked_add(count)?)?.min(layer.len());
    layer.get(from..to)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::content::merkle::leaf;

    fn layer(pieces: u32) -> Vec<u8> {
        (0..pieces).flat_map(|n| leaf(&n.to_be_bytes()).0).collect()
    }

    #[test]
    fn every_run_proves_itself_and_no_other() {
        // Around one run, two runs, and an odd number of runs; under miri, where a hash takes 20 ms, less than one.
        let most = if cfg!(miri) { 2 } else { 2600 };
        for pieces in
            [1, 2, 3, 511, 512, 513, 1024, 1025, 1537, 2600].into_iter().filter(|pieces| *pieces <= most)
        {
            let layer = layer(pieces);
            let root = root(&layer, 3);
            let mut above = std::vec![0; crown_len(pieces)];
            assert_eq!(crown(&layer, 3, &mut above), Some(root), "{pieces}");
            assert_eq!(crown(&layer, 3, &mut [0; 31]), None);
            let mut place = [0; MAX_UNCLES * 32];
            for index in (0..pieces).step_by(MAX_HASHES) {
                let (hashes, used) = run(&layer, &above, 3, index, &mut place).unwrap();
                let uncles = &place[..used];
                assert!(verify_run(&root, pieces, 3, index, hashes, uncles), "{pieces} {index}");
                assert!(!verify_run(&leaf(b""), pieces, 3, index, hashes, uncles));
                assert!(!verify_run(&root, pieces, 3, index + 1, hashes, uncles));
                assert!(!verify_run(&root, pieces, 3, index + 512, hashes, uncles));
                assert!(!verify_run(&root, pieces, 3, index, &hashes[32..], uncles));
                assert!(!verify_run(&root, pieces, 3, index, hashes, &place[..used + 32]));
                let mut lie = hashes.to_vec();
                *lie.last_mut().unwrap() ^= 1;
                assert!(!verify_run(&root, pieces, 3, index, &lie, uncles));
            }
            assert!(run(&layer, &above, 3, 1, &mut place).is_none());
            assert!(run(&layer, &above, 3, pieces.next_multiple_of(512), &mut place).is_none());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of hashes")]
    fn a_short_buffer_for_uncles_is_refused() {
        let (layer, mut above) = (layer(2600), std::vec![0; crown_len(2600)]);
        crown(&layer, 0, &mut above).unwrap();
        assert!(run(&layer, &above, 0, 0, &mut [0; 96]).is_some());
        assert!(run(&layer, &above, 0, 0, &mut [0; 64]).is_none());
        assert!(run(&layer, &above[32..], 0, 0, &mut [0; 96]).is_none(), "nor the crown of another layer");
    }
}
