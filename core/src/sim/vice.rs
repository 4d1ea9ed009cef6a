//! What hostile peers do: the real machine, with a hand on what it says.

use std::vec::Vec;

use super::Random;
use crate::id::BlockId;
use crate::wire::Message;

/// One way to misbehave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Vice {
    /// Flips a bit in one block of ten.
    Corrupts,
    /// Takes requests and says nothing.
    Silent,
    /// Sends far more talk than anyone needs.
    Floods,
    /// Sends every request twice.
    Repeats,
    /// Sends bytes that are no message.
    Babbles,
    /// Sends messages at the wrong moment.
    OutOfTurn,
    /// Claims to have every piece.
    Claims,
    /// Takes requests and refuses them all, as if it were choked.
    Refuses,
}

impl Vice {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Corrupts,
        Self::Silent,
        Self::Floods,
        Self::Repeats,
        Self::Babbles,
        Self::OutOfTurn,
        Self::Claims,
        Self::Refuses,
    ];

    /// What is sent in place of `frame`, which the honest machine wanted to send.
    pub(super) fn twist(self, frame: &[u8], pieces: u32, random: &mut Random) -> Vec<Vec<u8>> {
        let own = || frame.to_vec();
        let message = Message::decode(frame);
        match (self, message) {
            (Self::Silent, Ok(Message::Block { .. } | Message::Refuse { .. })) => Vec::new(),
            (Self::Refuses, Ok(Message::Block { id, .. })) => {
                Vec::from([encode(&Message::Refuse { id, gone: false })])
            }
            (Self::Floods, Ok(Message::Request(_) | Message::Have(_))) => {
                let mut frames = Vec::from([own()]);
                frames.extend((0..2_000).map(|_| encode(&Message::Alive)));
                frames
            }
            (Self::Repeats, Ok(Message::Request(_))) => Vec::from([own(), own()]),
            (Self::Babbles, Ok(Message::Request(_) | Message::Block { .. })) if random.happens(100_000) => {
                let mut nonsense = random.array::<40>().to_vec();
                nonsense[0] |= 0x20; // no message has such a number
                Vec::from([own(), nonsense])
            }
            (Self::OutOfTurn, Ok(Message::Request(_) | Message::Block { .. })) if random.happens(100_000) => {
                let id = BlockId { piece: 0, block: 0 };
                let wrong =
                    [Message::Join, Message::Block { id, proof: &[], bytes: b"x" }, Message::Have(u32::MAX)];
                Vec::from([own(), encode(&wrong[random.between(0, 2) as usize])])
            }
            (Self::Claims, Ok(Message::Join | Message::Want(_))) => {
                let mut bits = std::vec![0xff; pieces.div_ceil(8) as usize];
                if let (Some(last), 1..) = (bits.last_mut(), pieces % 8) {
                    *last = 0xff << (8 - pieces % 8);
                }
                let claim = encode(&Message::Haves { first: 0, bits: &bits });
                Vec::from([own(), claim, encode(&Message::Choke(false))])
            }
            _ => Vec::from([own()]),
        }
    }
}

fn encode(message: &Message<'_>) -> Vec<u8> {
    let mut buf = std::vec![0; crate::limits::MAX_FRAME];
    message.encode(&mut buf).expect("a frame holds any message").to_vec()
}
