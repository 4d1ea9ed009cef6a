//! Messages of a meeting of friends (see [`friend`](crate::friend)). Golden bytes at the end.

use serde::{Deserialize, Serialize};

use super::{Malformed, TooSmall, exactly};
use crate::id::NodeKey;
use crate::limits::MAX_NAME;

/// One frame of a meeting. Who called is the guest, who was called the host; each says each message once at most, in the
/// order of their numbers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Friend<'a> {
    /// 0. Guest, then host: half of the key exchange.
    Start {
        /// [`VERSION`](super::VERSION) of the sender.
        version: u8,
        /// SPAKE2's message without its first byte, which says who sends it and is known.
        element: [u8; 32],
    },
    /// 1. Guest, then host: HMAC that shows that the sender has the same key, so the same code.
    Confirm([u8; 32]),
    /// 2. Host, then guest: who the sender is.
    Card {
        /// The key that its name and its records stand for.
        key: NodeKey,
        /// Where it is reached, up to [`MAX_NAME`] bytes.
        name: &'a [u8],
        /// First half of the ed25519 signature by `key` over this meeting and the name (R).
        r: [u8; 32],
        /// Second half (s).
        s: [u8; 32],
        /// HMAC of all of that under the key of the meeting.
        tag: [u8; 32],
    },
    /// 3. Host: it has the guest's card, and the code is used up.
    Done,
    /// 4. Host: the code is wrong.
    Refused,
}

impl<'a> Friend<'a> {
    /// Reads one frame. The message borrows `frame`; nothing is copied.
    pub fn decode(frame: &'a [u8]) -> Result<Self, Malformed> {
        match exactly(frame)? {
            Self::Card { name, .. } if name.len() > MAX_NAME => Err(Malformed),
            message => Ok(message),
        }
    }

    /// Writes the frame at the start of `buf` and returns it. 256 bytes are always enough.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], TooSmall> {
        postcard::to_slice(self, buf).map(|frame| &*frame).map_err(|_| TooSmall)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn every_message_keeps_its_bytes() {
        let golden = |message: Friend<'_>, parts: &[&[u8]]| {
            let (mut buf, bytes) = ([0; 256], parts.concat());
            assert_eq!(message.encode(&mut buf).unwrap(), bytes, "{message:?}");
            assert_eq!(Friend::decode(&bytes), Ok(message));
        };
        golden(Friend::Start { version: 1, element: [7; 32] }, &[&[0, 1], &[7; 32]]);
        golden(Friend::Confirm([7; 32]), &[&[1], &[7; 32]]);
        let card = Friend::Card { key: NodeKey([1; 32]), name: b"ab", r: [2; 32], s: [3; 32], tag: [4; 32] };
        golden(card, &[&[2], &[1; 32], &[2, b'a', b'b'], &[2; 32], &[3; 32], &[4; 32]]);
        golden(Friend::Done, &[&[3]]);
        golden(Friend::Refused, &[&[4]]);
        assert_eq!(Friend::decode(&[3, 0]), Err(Malformed), "nothing may follow");
    }

    #[test]
    fn names_have_a_longest_length_and_the_longest_card_fits() {
        let mut buf = [0; 256];
        let mut card = |len: usize| -> Vec<u8> {
            let name = std::vec![b'x'; len];
            let card =
                Friend::Card { key: NodeKey([1; 32]), name: &name, r: [2; 32], s: [3; 32], tag: [4; 32] };
            card.encode(&mut buf).unwrap().to_vec()
        };
        assert!(Friend::decode(&card(MAX_NAME)).is_ok());
        assert_eq!(Friend::decode(&card(MAX_NAME + 1)), Err(Malformed));
    }
}
