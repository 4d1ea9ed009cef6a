//! The messages: one enum per conversation, encoded with postcard. Golden bytes for each at the end.
//!
//! A variant's position is its number on the wire: append, never reorder, never reuse.

pub mod friend;
pub mod mail;
pub mod tracker;

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
    /// 1. A node's records: [`tracker::Mirror`] follows.
    Mirror,
    /// 2. Messages between nodes: [`mail::Mail`] follows.
    Mail,
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
/// Each `Request`, `AskHashes` and `AskInfo` is answered by exactly one message, on the lane it came by. Before the
/// dialer has sent `Join` on a lane, only metadata is asked and given there.
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
    /// 3. Whether the sender would request anything if it were unchoked. Holds for this lane, false until said.
    Want(bool),
    /// 4. Whether requests will be refused. Holds for this lane, true until said.
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
    Refuse {
        /// Which block.
        id: BlockId,
        /// The sender cannot give this piece any more; otherwise it was cancelled or the receiver is choked.
        gone: bool,
    },
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
    /// 13. More names under which the sender takes lanes, packed as length byte and name.
    Lanes(&'a [u8]),
    /// 14. Names under which members of the swarm can be reached, the sender's own first. Packed as in `Lanes`.
    Peers(&'a [u8]),
    /// 15. The sender is about to hang up.
    Bye,
    /// 16. The dialer knows the metadata: this lane carries blocks from now on.
    Join,
    /// 17. All places are taken, and the sender hangs up: call again later.
    Busy,
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
    bytes.len().is_multiple_of(32)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::limits::{MAX_FRAME, MAX_UNCLES};

    const ID: BlockId = BlockId { piece: 300, block: 2 };

    fn golden(message: Message<'_>, bytes: &[u8]) {
        let mut buf = [0; MAX_FRAME];
        assert_eq!(message.encode(&mut buf).unwrap(), bytes, "{message:?}");
        assert_eq!(Message::decode(bytes), Ok(message));
    }

    #[test]
    fn every_message_keeps_its_bytes() {
        golden(Message::Alive, &[0]);
        golden(Message::Have(300), &[1, 0xac, 2]);
        golden(Message::Haves { first: 8, bits: &[0x80] }, &[2, 8, 1, 0x80]);
        golden(Message::Want(true), &[3, 1]);
        golden(Message::Choke(false), &[4, 0]);
        golden(Message::Request(ID), &[5, 0xac, 2, 2]);
        golden(Message::Cancel(ID), &[6, 0xac, 2, 2]);
        golden(Message::Block { id: ID, proof: &[], bytes: b"ok" }, &[7, 0xac, 2, 2, 0, 2, b'o', b'k']);
        golden(Message::Refuse { id: ID, gone: true }, &[8, 0xac, 2, 2, 1]);
        golden(Message::AskHashes { file: 1, index: 512 }, &[9, 1, 0x80, 4]);
        golden(Message::Hashes { file: 1, index: 0, hashes: &[], uncles: &[] }, &[10, 1, 0, 0, 0]);
        golden(Message::AskInfo(16384), &[11, 0x80, 0x80, 1]);
        let mut info = [7; 36].to_vec();
        (info[0], info[33], info[34], info[35]) = (12, 3, 0, 1);
        info.push(b'd');
        golden(Message::Info { info_hash: InfoHash([7; 32]), total: 3, offset: 0, bytes: b"d" }, &info);
        golden(Message::Lanes(b"\x01a"), &[13, 2, 1, b'a']);
        golden(Message::Peers(b"\x01a"), &[14, 2, 1, b'a']);
        golden(Message::Bye, &[15]);
        golden(Message::Join, &[16]);
        golden(Message::Busy, &[17]);
    }

    #[test]
    fn every_opening_keeps_its_bytes() {
        let mut buf = [0; MAX_FRAME];
        let hello = Opening::Hello {
            version: 1,
            purpose: Purpose::Peer,
            nonce: [1; 32],
            key: PeerKey([2; 32]),
            topic: [3; 32],
        };
        let proof = Opening::Proof { r: [4; 32], s: [5; 32], access: [6; 32] };
        let join = |head: &[u8], parts: [u8; 3]| {
            head.iter().copied().chain(parts.iter().flat_map(|part| [*part; 32])).collect::<Vec<u8>>()
        };
        assert_eq!(hello.encode(&mut buf).unwrap(), join(&[0, 1, 0], [1, 2, 3]));
        for (purpose, number) in [(Purpose::Peer, 0), (Purpose::Mirror, 1), (Purpose::Mail, 2)] {
            assert_eq!(postcard::to_slice(&purpose, &mut buf).unwrap(), [number]);
        }
        assert_eq!(proof.encode(&mut buf).unwrap(), join(&[1], [4, 5, 6]));
        assert_eq!(Opening::Refused.encode(&mut buf).unwrap(), [2]);
        assert_eq!(Opening::decode(&[2]), Ok(Opening::Refused));
        assert_eq!(Opening::decode(&[2, 0]), Err(Malformed), "nothing may follow");
    }

    #[test]
    fn the_longest_messages_fit_a_frame() {
        let (bytes, uncles) = ([1; BLOCK_LEN], [2; MAX_UNCLES * 32]);
        let mut buf = [0; MAX_FRAME];
        let id = BlockId { piece: u32::MAX, block: u16::MAX };
        for message in [
            Message::Block { id, proof: &uncles[..12 * 32], bytes: &bytes },
            Message::Hashes { file: u32::MAX, index: u32::MAX, hashes: &bytes, uncles: &uncles },
            Message::Haves { first: 0, bits: &bytes },
        ] {
            let frame = message.encode(&mut buf).unwrap().to_vec();
            assert_eq!(Message::decode(&frame), Ok(message));
        }
        let long = [0; BLOCK_LEN + 1];
        let frame = Message::Block { id, proof: &[], bytes: &long }.encode(&mut buf).unwrap().to_vec();
        assert_eq!(Message::decode(&frame), Err(Malformed));
        let odd = Message::Block { id, proof: &[0; 31], bytes: &[] }.encode(&mut buf).unwrap().to_vec();
        assert_eq!(Message::decode(&odd), Err(Malformed));
    }
}
