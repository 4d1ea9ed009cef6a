//! Messages that carry mail. Golden bytes at the end.

use serde::{Deserialize, Serialize};

use super::{Malformed, TooSmall, exactly};
use crate::limits::MAX_MAIL;

/// One frame of a conversation that carries mail. Each `Letter` is answered by `Taken` or `Later` with its number.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Mail<'a> {
    /// 0. Nothing new; the conversation is alive.
    Alive,
    /// 1. A message for the owner of the receiving node.
    Letter {
        /// Random, chosen by the sender: the same letter sent again has the same.
        id: u64,
        /// Up to [`MAX_MAIL`] bytes. A link in it can be fetched.
        text: &'a str,
    },
    /// 2. This letter is in the inbox.
    Taken(u64),
    /// 3. Too many letters, or no room: keep it and try again later.
    Later(u64),
    /// 4. The sender is about to hang up.
    Bye,
}

impl<'a> Mail<'a> {
    /// Reads one frame. The message borrows `frame`; nothing is copied.
    pub fn decode(frame: &'a [u8]) -> Result<Self, Malformed> {
        match exactly(frame)? {
            Self::Letter { text, .. } if text.len() > MAX_MAIL => Err(Malformed),
            message => Ok(message),
        }
    }

    /// Writes the frame at the start of `buf` and returns it.
    /// A buffer of [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes is always enough.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], TooSmall> {
        postcard::to_slice(self, buf).map(|frame| &*frame).map_err(|_| TooSmall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_FRAME;

    #[test]
    fn every_message_keeps_its_bytes() {
        let golden = |message: Mail<'_>, bytes: &[u8]| {
            let mut buf = [0; 64];
            assert_eq!(message.encode(&mut buf).unwrap(), bytes, "{message:?}");
            assert_eq!(Mail::decode(bytes), Ok(message));
        };
        golden(Mail::Alive, &[0]);
        golden(Mail::Letter { id: 300, text: "hi" }, &[1, 0xac, 2, 2, b'h', b'i']);
        golden(Mail::Taken(300), &[2, 0xac, 2]);
        golden(Mail::Later(300), &[3, 0xac, 2]);
        golden(Mail::Bye, &[4]);
    }

    #[test]
    fn letters_are_text_of_a_stated_length() {
        let mut buf = [0; MAX_FRAME];
        let text = "x".repeat(MAX_MAIL + 1);
        let long = Mail::Letter { id: u64::MAX, text: &text }.encode(&mut buf).unwrap().to_vec();
        assert_eq!(Mail::decode(&long), Err(Malformed));
        let fits = Mail::Letter { id: u64::MAX, text: &text[1..] }.encode(&mut buf).unwrap().to_vec();
        assert!(Mail::decode(&fits).is_ok());
        assert_eq!(Mail::decode(&[1, 0, 1, 0xff]), Err(Malformed), "not UTF-8");
    }
}
