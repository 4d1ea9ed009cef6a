//! SHA-256 merkle trees over blocks of 16 KiB (BEP 52): roots, and proofs of one block under its piece.
//!
//! Leaves are hashes of blocks; the last block of a file is hashed at its real length. Leaves that a balanced tree
//! still lacks are 32 zero bytes, and so [`zero`] tells the hash of any subtree that holds nothing else.
//! Heights count from the leaves: a leaf has height 0, a piece of 2^k blocks height k.

use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A node of a merkle tree.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Hash(pub [u8; 32]);

/// Bytes of one hash.
pub const HASH_LEN: usize = 32;

/// Levels a [`Tree`] can carry: 2^48 leaves, more than could be hashed in a life.
const LEVELS: usize = 49;

impl fmt::Display for Hash {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of one block.
pub fn leaf(block: &[u8]) -> Hash {
    Hash(Sha256::digest(block).into())
}

/// The node above two others.
pub fn parent(left: &Hash, right: &Hash) -> Hash {
    let mut sha = Sha256::new();
    sha.update(left.0);
    sha.update(right.0);
    Hash(sha.finalize().into())
}

/// The root of a subtree of this height in which every leaf is padding. Costs one hash a level.
pub fn zero(height: u32) -> Hash {
    let mut node = Hash::default();
    for _ in 0..height {
        node = parent(&node, &node);
    }
    node
}

/// Height of the smallest balanced tree with room for this many leaves: the logarithm, rounded up.
pub const fn height(leaves: u64) -> u32 {
    match leaves {
        0 | 1 => 0,
        n => u64::BITS.saturating_sub(n.saturating_sub(1).leading_zeros()),
    }
}

/// The hash of a block that arrives in parts.
#[derive(Clone, Debug, Default)]
pub struct Leaf(Sha256);

impl Leaf {
    /// Takes in the next bytes of the block.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The leaf; what follows belongs to the next block.
    pub fn finish(&mut self) -> Hash {
        Hash(self.0.finalize_reset().into())
    }
}

/// A tree that is fed its leaves in order and keeps one node a level (1.6 KiB in all).
#[derive(Clone, Debug)]
pub struct Tree {
    base: u32,
    leaves: u64,
    /// The finished left subtree of each level: meaningful where `leaves` has that bit set.
    nodes: [Hash; LEVELS],
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree over hashes of blocks.
    pub const fn new() -> Self {
        Self::above(0)
    }

    /// A tree whose leaves are themselves roots of subtrees of height `base`, such as the hashes of a piece layer.
    pub const fn above(base: u32) -> Self {
        Self { base, leaves: 0, nodes: [Hash([0; 32]); LEVELS] }
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        let full = self.leaves.trailing_ones();
        for left in self.nodes.iter().take(usize::try_from(full).unwrap_or(LEVELS)) {
            node = parent(left, &node);
        }
        if let Some(place) = usize::try_from(full).ok().and_then(|at| self.nodes.get_mut(at)) {
            *place = node;
        }
        self.leaves = self.leaves.saturating_add(1);
    }

    /// Leaves so far.
    pub const fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root of the smallest balanced tree over the leaves so far; a padding leaf if there is none.
    pub fn root(&self) -> Hash {
        self.root_at(height(self.leaves)).unwrap_or_default()
    }

    /// The root of a tree of `height` levels above its leaves. `None` if there are more than 2^height leaves.
    pub fn root_at(&self, height: u32) -> Option<Hash> {
        if self::height(self.leaves) > height {
            return None;
        }
        let mut pad = zero(self.base);
        let mut open: Option<Hash> = None;
        for level in 0..height {
            let left = self.finished(level);
            open = match (left, open) {
                (Some(left), Some(right)) => Some(parent(&left, &right)),
                (Some(left), None) | (None, Some(left)) => Some(parent(&left, &pad)),
                (None, None) => None,
            };
            pad = parent(&pad, &pad);
        }
        Some(open.or_else(|| self.finished(height)).unwrap_or(pad))
    }

    /// The finished subtree of this level that still waits for its right sibling.
    fn finished(&self, level: u32) -> Option<Hash> {
        let waits = self.leaves.checked_shr(level).is_some_and(|rest| rest & 1 == 1);
        if waits { self.nodes.get(usize::try_from(level).ok()?).copied() } else { None }
    }
}

/// A whole file's tree, fed block by block: gives each piece's hash as it completes, and the root at the end.
#[derive(Clone, Debug)]
pub struct FileTree {
    piece_height: u32,
    piece: Tree,
    layer: Tree,
}

impl FileTree {
    /// For pieces of 2^`piece_height` blocks.
    pub const fn new(piece_height: u32) -> Self {
        Self { piece_height, piece: Tree::new(), layer: Tree::above(piece_height) }
    }

    /// Appends the leaf of the next block. Gives the hash of the piece that it completes.
    pub fn push(&mut self, leaf: Hash) -> Option<Hash> {
        self.piece.push(leaf);
        if self.piece.leaves().checked_shr(self.piece_height)? == 0 {
            return None;
        }
        let hash = self.piece.root_at(self.piece_height)?;
        self.piece = Tree::new();
        self.layer.push(hash);
        Some(hash)
    }

    /// The hash of the short last piece of a file longer than one piece, if there is one, and the file's root.
    ///
    /// A file no longer than one piece has no piece layer; what [`push`](Self::push) gave for it is its root.
    pub fn finish(mut self) -> (Option<Hash>, Hash) {
        if self.layer.leaves() == 0 {
            return (None, self.piece.root());
        }
        if self.layer.leaves() == 1 && self.piece.leaves() == 0 {
            return (None, self.layer.root());
        }
        let last = (self.piece.leaves() > 0).then(|| self.piece.root_at(self.piece_height)).flatten();
        if let Some(hash) = last {
            self.layer.push(hash);
        }
        (last, self.layer.root())
    }
}

/// Whether `leaf` is number `index` of the leaves under `root`.
///
/// `proof` holds the siblings on the way up, 32 bytes each, lowest first; its length says how high the tree is.
pub fn verify(leaf: Hash, index: u64, proof: &[u8], root: &Hash) -> bool {
    let (siblings, rest) = proof.as_chunks::<HASH_LEN>();
    if !rest.is_empty() || siblings.len() > LEVELS {
        return false;
    }
    let (mut node, mut index) = (leaf, index);
    for sibling in siblings {
        let sibling = Hash(*sibling);
        node = if index & 1 == 0 { parent(&node, &sibling) } else { parent(&sibling, &node) };
        index >>= 1;
    }
    index == 0 && node == *root
}

/// Writes the proof of leaf `index` into `proof`, whose length (32 bytes a level) says how high the tree is,
/// and gives the tree's root.
///
/// `leaves` are all hashes of the tree but its padding; they are overwritten. `None` if there are more of them than
/// such a tree holds, or `index` is none of them.
pub fn prove(leaves: &mut [Hash], index: usize, proof: &mut [u8]) -> Option<Hash> {
    let (places, rest) = proof.as_chunks_mut::<HASH_LEN>();
    let levels = u32::try_from(places.len()).ok()?;
    let count = u64::try_from(leaves.len()).ok()?;
    if !rest.is_empty() || height(count) > levels || index >= leaves.len() {
        return None;
    }
    let (mut index, mut pad, mut count) = (index, Hash::default(), leaves.len());
    for place in places {
        let level = leaves.get_mut(..count)?;
        *place = level.get(index ^ 1).unwrap_or(&pad).0;
        count = raise(level, &pad);
        index >>= 1;
        pad = parent(&pad, &pad);
    }
    leaves.first().copied()
}

/// Replaces each pair of nodes by their parent and says how many there are now.
fn raise(level: &mut [Hash], pad: &Hash) -> usize {
    let count = level.len().div_ceil(2);
    for at in 0..count {
        let left = level.get(at.saturating_mul(2)).copied().unwrap_or(*pad);
        let right = level.get(at.saturating_mul(2).saturating_add(1)).copied().unwrap_or(*pad);
        if let Some(place) = level.get_mut(at) {
            *place = parent(&left, &right);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Leaves, levels and heights that are tried: under miri a hash takes as long as ten thousand elsewhere.
    const MOST: u64 = if cfg!(miri) { 4 } else { 70 };
    const HIGH: u32 = if cfg!(miri) { 2 } else { 8 };
    const PIECE_HEIGHTS: u32 = if cfg!(miri) { 2 } else { 4 };
    const FLIPPED: usize = if cfg!(miri) { 67 } else { 1 };

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    /// The tree as BEP 52 draws it: all leaves, all padding, pairs until one is left.
    fn drawn(leaves: &[Hash], height: u32) -> Hash {
        let mut level = leaves.to_vec();
        level.resize(1 << height, Hash::default());
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| parent(&pair[0], &pair[1])).collect();
        }
        level[0]
    }

    fn hex(hash: &Hash) -> std::string::String {
        std::format!("{hash}")
    }

    #[test]
    fn hashes_are_those_of_other_programs() {
        // sha256sum of nothing, of 64 zero bytes, and of that twice.
        assert_eq!(hex(&leaf(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(&zero(1)), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
        assert_eq!(hex(&zero(2)), "db56114e00fdd4c1f85c892bf35ac9a89289aaecb1ebd0a96cde606a748b5d71");
    }

    #[test]
    fn streamed_root_is_the_drawn_one() {
        for count in 1..MOST {
            let leaves = leaves(count);
            let mut tree = Tree::new();
            for leaf in &leaves {
                tree.push(*leaf);
            }
            assert_eq!(tree.root(), drawn(&leaves, height(count)), "{count} leaves");
            assert_eq!(tree.root_at(HIGH), Some(drawn(&leaves, HIGH)), "{count} leaves, padded");
            assert_eq!(tree.root_at(height(count)), Some(tree.root()));
            assert_eq!(height(count).checked_sub(1).and_then(|low| tree.root_at(low)), None);
        }
        assert_eq!(Tree::new().root_at(5), Some(zero(5)));
    }

    #[test]
    fn file_tree_gives_layer_and_root() {
        for piece_height in 0..PIECE_HEIGHTS {
            for count in 1..MOST.min(40) {
                let leaves = leaves(count);
                let mut tree = FileTree::new(piece_height);
                let mut layer: Vec<Hash> = leaves.iter().filter_map(|leaf| tree.push(*leaf)).collect();
                let (last, root) = tree.finish();
                layer.extend(last);
                assert_eq!(root, drawn(&leaves, height(count)), "{count} leaves, height {piece_height}");
                let blocks = 1 << piece_height;
                if count > blocks {
                    let pieces: Vec<Hash> = leaves
                        .chunks(usize::try_from(blocks).unwrap())
                        .map(|piece| drawn(piece, piece_height))
                        .collect();
                    assert_eq!(layer, pieces);
                }
            }
        }
    }

    #[test]
    fn every_proof_holds_and_no_other() {
        for count in if cfg!(miri) { &[1_u64, 3][..] } else { &[1, 2, 3, 5, 8, 13] }.iter().copied() {
            let all = leaves(count);
            for levels in height(count)..=HIGH.min(4) {
                for index in 0..count {
                    let at = usize::try_from(index).unwrap();
                    let mut proof = std::vec![0; levels as usize * 32];
                    let root = prove(&mut all.clone(), at, &mut proof).unwrap();
                    assert_eq!(root, drawn(&all, levels));
                    assert!(verify(all[at], index, &proof, &root));
                    assert!(!verify(leaf(b"lie"), index, &proof, &root));
                    assert!(!verify(all[at], index + 1, &proof, &root));
                    assert!(!verify(all[at], index + (1 << levels), &proof, &root));
                    assert!(!verify(all[at], index, &[proof.as_slice(), &[0]].concat(), &root));
                    for byte in (0..proof.len()).step_by(FLIPPED) {
                        proof[byte] ^= 1;
                        assert!(!verify(all[at], index, &proof, &root));
                        proof[byte] ^= 1;
                    }
                }
            }
        }
        assert_eq!(prove(&mut leaves(3), 0, &mut [0; 32]), None);
        assert_eq!(prove(&mut leaves(2), 2, &mut [0; 32]), None);
        assert_eq!(prove(&mut leaves(2), 0, &mut [0; 33]), None);
    }

    #[test]
    fn a_leaf_in_parts_is_the_leaf() {
        let mut parts = Leaf::default();
        parts.update(b"bul");
        parts.update(b"bil");
        assert_eq!(parts.finish(), leaf(b"bulbil"));
        assert_eq!(parts.finish(), leaf(b""));
    }
}
