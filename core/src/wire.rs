//! The messages: one enum per conversation, encoded with postcard. Golden bytes for each at the end.
//!
//! A variant's position is its number on the wire: append, never reorder, never reuse.

use serde::{Deserialize, Serialize};

use crate::id::{BlockId, InfoHash, PeerKey};
use crate::limits::BLOCK_LEN;

/// The protocol spoken by this build.
pub const VERSION: u8 = 1;

/// What a conversation is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Purpose {
    /// 0. One share: [`Message`] follows.
    Peer,
}

/// The first frames of every conversation, both ways.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Opening {
    /// 0. Who speaks, in which version, about what.
    Hello {
        /// [`VERSION`] of the sender.
        version: u8,
        /// Which messages follow the opening.
        purpose: Purpose,
        /// Fresh randomness, so that no proof can be replayed.
        nonce: [u8; 32],
        /// The sender's key for this swarm.
        key: PeerKey,
        /// Hash of the share's token: says which share without giving the token away.
        topic: [u8; 32],
    },
    /// 1. Holds the key, and knows the token, as of this very conversation.
    Proof {
        /// First half of the ed25519 signature over the transcript (R).
        r: [u8; 32],
        /// Second half (s).
        s: [u8; 32],
        /// HMAC-SHA-256 of the transcript under the token.
        access: [u8; 32],
    },
    /// 2. Wrong token, no such share, no room: one answer for all.
    Refused,
}

/// One frame of a conversation about a share.
///
/// Each `Request` is answered by exactly one `Block` or `Refuse`, on the lane it came by.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Message<'a> {
    /// 0. Nothing new; the lane is alive.
    Alive,
    /// 1. The sender has this piece, whole and verified.
    Have(u32),
    /// 2. The sender has the pieces whose bit is set, most significant bit first, from piece `first` on.
    Haves {
        /// Piece of the first bit; a multiple of 8.
        first: u32,
        /// Up to [`BLOCK_LEN`] bytes of bits. Bits past the last piece are zero.
        bits: &'a [u8],
    },
    /// 3. Whether the sender would request anything if it were unchoked.
    Want(bool),
    /// 4. Whether requests will be refused.
    Choke(bool),
    /// 5. Please send this block.
    Request(BlockId),
    /// 6. No longer needed; still answered, by `Refuse` if it had not been sent.
    Cancel(BlockId),
    /// 7. A block that was requested.
    Block {
        /// Which block.
        id: BlockId,
        /// Sibling hashes from the block up to its piece, 32 bytes each, lowest first.
        proof: &'a [u8],
        /// Its bytes, up to [`BLOCK_LEN`].
        bytes: &'a [u8],
    },
    /// 8. A requested block that will not come.
    Refuse(BlockId),
    /// 9. Please send hashes of the piece layer of file number `file`, from hash number `index` on.
    AskHashes {
        /// File within the share, in info-dictionary order.
        file: u32,
        /// First hash; a multiple of [`MAX_HASHES`](crate::limits::MAX_HASHES).
        index: u32,
    },
    /// 10. The answer: up to [`MAX_HASHES`](crate::limits::MAX_HASHES) of them, and what ties them to the file's root.
    Hashes {
        /// As asked.
        file: u32,
        /// As asked.
        index: u32,
        /// 32 bytes each.
        hashes: &'a [u8],
        /// Sibling hashes from this run up to the root, 32 bytes each, lowest first.
        uncles: &'a [u8],
    },
    /// 11. Please send the info dictionary from this byte on.
    AskInfo(u32),
    /// 12. Part of the info dictionary.
    Info {
        /// SHA-256 of the whole.
        info_hash: InfoHash,
        /// Bytes of the whole.
        total: u32,
        /// Where `bytes` belongs.
        offset: u32,
        /// Up to [`BLOCK_LEN`] bytes.
        bytes: &'a [u8],
    },
    /// 13. More names under which the sender takes lanes of this conversation; each up to
    /// [`MAX_NAME`](crate::limits::MAX_NAME) bytes, packed as length byte and name.
    Lanes(&'a [u8]),
    /// 14. Names under which members of the swarm can be reached, the sender's own first. Packed as in `Lanes`.
    Peers(&'a [u8]),
    /// 15. The sender is about to hang up.
    Bye,
}

/// The frame is not exactly one message of ours. The peer is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// The buffer given to us cannot hold the frame. The caller is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooSmall;

impl Opening {
    /// Reads one frame.
    pub fn decode(frame: &[u8]) -> Result<Self, Malformed> {
        exactly(frame)
    }

    /// Writes the frame at the start of `buf` and returns it.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], TooSmall> {
        postcard::to_slice(self, buf).map(|frame| &*frame).map_err(|_| TooSmall)
    }
}

impl<'a> Message<'a> {
    /// Reads one frame. The message borrows `frame`; nothing is copied.
    pub fn decode(frame: &'a [u8]) -> Result<Self, Malformed> {
        let message = exactly(frame)?;
        let fits = match message {
            Self::Block { proof, bytes, .. } => bytes.len() <= BLOCK_LEN && whole_hashes(proof),
            Self::Haves { first, bits } => bits.len() <= BLOCK_LEN && first % 8 == 0,
            Self::Hashes { hashes, uncles, .. } => whole_hashes(hashes) && whole_hashes(uncles),
            Self::Info { bytes, .. } => bytes.len() <= BLOCK_LEN,
            _ => true,
        };
        if fits { Ok(message) } else { Err(Malformed) }
    }

    /// Writes the frame at the start of `buf` and returns it.
    /// A buffer of [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes is always enough.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], TooSmall> {
        postcard::to_slice(self, buf).map(|frame| &*frame).map_err(|_| TooSmall)
    }
}

/// One value and not a byte more.
fn exactly<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(frame) {
        Ok((value, [])) => Ok(value),
        _ => Err(Malformed),
    }
}

/// Whether `bytes` is a run of SHA-256 hashes.
fn whole_hashes(bytes: &[u8]) -> bool {
    bytes.len() % 32 == 0
}
