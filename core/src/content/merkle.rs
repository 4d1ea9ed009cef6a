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
