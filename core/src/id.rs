//! Names of things: newtypes, so that one kind of 32 bytes is never taken for another.

use core::fmt;

use serde::{Deserialize, Serialize};

/// SHA-256 of a share's info dictionary (BEP 52), untruncated. Names the share.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct InfoHash(pub [u8; 32]);

impl fmt::Display for InfoHash {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The ed25519 public key by which a peer is known in one swarm, and nowhere else.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct PeerKey(pub [u8; 32]);

/// The ed25519 public key that signs a node's records. A node has one for what it says in public, and another for each
/// swarm it fetches in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct NodeKey(pub [u8; 32]);

/// Names a record whatever its version: SHA-256 of its author, kind and subject.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct RecordId(pub [u8; 32]);

/// Where a block sits: piece number within the share, then block number within the piece, both from zero.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct BlockId {
    /// Piece within the share; files follow each other in info-dictionary order, each starting a new piece.
    pub piece: u32,
    /// Block within the piece; counts blocks of 16 KiB, not bytes.
    pub block: u16,
}
