//! Frames in the shape of messages, made of bytes that mean nothing: for tests with random bytes, and for the fuzzer.

use std::vec;
use std::vec::Vec;

use super::Share;
use crate::id::{BlockId, InfoHash};
use crate::limits::{BLOCK_LEN, MAX_FRAME};
use crate::wire::Message;

/// Numbers that something ends at.
const EDGES: [u32; 12] =
    [0, 1, 7, 8, 63, 64, 0xffff, 1 << 20, u32::MAX / 2, u32::MAX - 8, u32::MAX - 7, u32::MAX];

/// Kinds of frames: the messages, bytes as they are, and from then on true blocks, without which nothing becomes whole.
const KINDS: u8 = 64;

/// Bytes as they are.
const RAW: u8 = 18;

/// Reads its choices from bytes, and zeros after their end.
#[derive(Clone, Copy, Debug)]
pub struct Shaper<'d>(&'d [u8]);

impl<'d> Shaper<'d> {
    /// All choices follow from `data`.
    #[must_use]
    pub const fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    /// Whether all bytes are used up.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next frame that a peer might send who shares `share` and was asked for some blocks.
    ///
    /// # Panics
    /// If a message is longer than a frame can be.
    pub fn frame(&mut self, share: &Share, asked: &[BlockId]) -> Vec<u8> {
        let (layout, kind) = (share.layout(), self.byte() % KINDS);
        let kind = if asked.is_empty() { kind % (RAW + 1) } else { kind };
        let (pieces, own) = (layout.pieces(), asked.get(usize::from(self.byte()) % asked.len().max(1)));
        let id = own.copied().filter(|_| kind > RAW || self.byte().is_multiple_of(2));
        let id = id.unwrap_or_else(|| BlockId { piece: self.number(pieces), block: self.number(4) as u16 });
        let (first, second, flag) = (self.number(pieces), self.number(pieces), self.byte().is_multiple_of(2));
        let (proof, block) =
            if kind == 7 || kind > RAW { self.block(share, id, kind > RAW) } else { Default::default() };
        let some = if matches!(kind, 2 | 10 | 12..=14 | RAW) { self.bytes() } else { Vec::new() };
        let message = match kind {
            0 => Message::Alive,
            1 => Message::Have(first),
            2 => Message::Haves { first: if flag { first & !7 } else { 0 }, bits: &some },
            3 => Message::Want(flag),
            4 => Message::Choke(flag),
            5 => Message::Request(id),
            6 => Message::Cancel(id),
            7 | 19.. => Message::Block { id, proof: &proof, bytes: &block },
            8 => Message::Refuse { id, gone: flag },
            9 => Message::AskHashes { file: first, index: second },
            10 => Message::Hashes { file: first, index: second, hashes: &some, uncles: &[] },
            11 => Message::AskInfo(first),
            12 => Message::Info { info_hash: InfoHash([0; 32]), total: first, offset: second, bytes: &some },
            13 => Message::Lanes(&some),
            14 => Message::Peers(&some),
            15 => Message::Bye,
            16 => Message::Join,
            17 => Message::Busy,
            RAW => return some,
        };
        let mut buf = vec![0; MAX_FRAME];
        message.encode(&mut buf).expect("a frame holds any message").to_vec()
    }

    /// Mostly below `end`, sometimes on an edge.
    fn number(&mut self, end: u32) -> u32 {
        match self.byte() {
            byte @ ..224 => u32::from(byte) % end.max(1),
            byte => EDGES[usize::from(byte) % EDGES.len()],
        }
    }

    /// Bytes to be carried: a few bits, a name, whatever comes, or as many as a message holds.
    fn bytes(&mut self) -> Vec<u8> {
        match (self.byte(), self.byte()) {
            (..64, fill) => vec![fill & 0xf0; 1],
            (..96, fill) => vec![2, fill, fill],
            (len @ ..248, fill) => (0..len % 48).map(|_| self.byte() ^ fill).collect(),
            (_, fill) => vec![fill; BLOCK_LEN],
        }
    }

    /// A block and its proof: `right`, or bent more often than not.
    fn block(&mut self, share: &Share, id: BlockId, right: bool) -> (Vec<u8>, Vec<u8>) {
        let hashes = share.layout().proof_len(id.piece).unwrap_or(0);
        let (mut proof, bend) = (vec![0; 32 * hashes], if right { u8::MAX } else { self.byte() });
        let mut bytes = share.block(id).unwrap_or_default().to_vec();
        _ = share.prove(id, &mut proof);
        match bend {
            0..32 => proof.truncate(proof.len() / 2),
            32..64 => bytes.truncate(bytes.len() / 2),
            64..96 => proof.extend([0; 32]),
            96..128 => bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1),
            128..160 => proof.iter_mut().take(1).for_each(|byte| *byte ^= 1),
            _ => {}
        }
        (proof, bytes)
    }
}
