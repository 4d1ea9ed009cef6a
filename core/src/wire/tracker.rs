//! Messages between two stores of records. Golden bytes at the end.

use serde::{Deserialize, Serialize};

use super::{Malformed, TooSmall, exactly};
use crate::limits::{BLOCK_LEN, MAX_RANGES};

/// Bytes of a packed range: the first bits of the names in it, then how many bits.
pub const RANGE_LEN: usize = 9;

/// Bytes of a packed digest: 16 of the digest, then the number of records in the range, most significant byte first.
pub const DIGEST_LEN: usize = 20;

/// Bytes of a packed entry of a list: name 32, version 8 (most significant byte first), digest 16.
pub const ENTRY_LEN: usize = 56;

/// One frame of a conversation about records.
///
/// `Ask`, `List`, `Take` and `Fetch` are each answered by exactly one message, in order; a side has at most one of them
/// unanswered. Records are packed as two bytes of length (most significant first) and the signed record.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Mirror<'a> {
    /// 0. Nothing new; the conversation is alive.
    Alive,
    /// 1. Please send the digests of the 16 parts of each of these ranges: up to
    ///    [`MAX_RANGES`], [`RANGE_LEN`] bytes each.
    Ask(&'a [u8]),
    /// 2. The answer: 16 digests of [`DIGEST_LEN`] bytes for each range, in order.
    Digests(&'a [u8]),
    /// 3. Please list what is in these ranges: up to [`MAX_RANGES`].
    List(&'a [u8]),
    /// 4. The answer: entries of [`ENTRY_LEN`] bytes, in order of name.
    Entries {
        /// How many of the ranges are listed whole; ask again for the others.
        ranges: u8,
        /// The entries.
        entries: &'a [u8],
    },
    /// 5. Please send what is in this range, all of it, from the first name after `after` on.
    Take {
        /// [`RANGE_LEN`] bytes.
        range: &'a [u8],
        /// 32 bytes of the last name that came, or none.
        after: &'a [u8],
    },
    /// 6. Please send the records of these names, 32 bytes each, up to [`MAX_IDS`](crate::limits::MAX_IDS).
    Fetch(&'a [u8]),
    /// 7. The answer to `Take` and `Fetch`.
    Records {
        /// More would have come had the frame been longer: ask again.
        more: bool,
        /// Packed records.
        records: &'a [u8],
    },
    /// 8. Packed records that the sender thinks are news. Not answered.
    News(&'a [u8]),
    /// 9. The sender is about to hang up.
    Bye,
}

impl<'a> Mirror<'a> {
    /// Reads one frame. The message borrows `frame`; nothing is copied.
    pub fn decode(frame: &'a [u8]) -> Result<Self, Malformed> {
        let message = exactly(frame)?;
        let runs = |bytes: &[u8], len: usize, most: usize| {
            bytes.len().is_multiple_of(len) && bytes.len() <= most.saturating_mul(len)
        };
        let fits = match message {
            Self::Alive | Self::Bye => true,
            Self::Ask(ranges) | Self::List(ranges) => {
                !ranges.is_empty() && runs(ranges, RANGE_LEN, MAX_RANGES)
            }
            Self::Digests(digests) => runs(digests, DIGEST_LEN.saturating_mul(16), MAX_RANGES),
            Self::Entries { entries, .. } => runs(entries, ENTRY_LEN, BLOCK_LEN / ENTRY_LEN),
            Self::Take { range, after } => range.len() == RANGE_LEN && matches!(after.len(), 0 | 32),
            Self::Fetch(ids) => !ids.is_empty() && runs(ids, 32, crate::limits::MAX_IDS),
            Self::Records { records, .. } | Self::News(records) => records.len() <= BLOCK_LEN,
        };
        if fits { Ok(message) } else { Err(Malformed) }
    }

    /// Writes the frame at the start of `buf` and returns it.
    /// A buffer of [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes is always enough.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], TooSmall> {
        postcard::to_slice(self, buf).map(|frame| &*frame).map_err(|_| TooSmall)
    }
}

/// The packed records of a message, until one is cut short.
pub fn unpack(mut packed: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    core::iter::from_fn(move || {
        if packed.is_empty() {
            return None;
        }
        let cut = packed.split_first_chunk::<2>().and_then(|(len, rest)| {
            let len = usize::from(u16::from_be_bytes(*len));
            rest.split_at_checked(len)
        });
        packed = cut.map_or(&[], |(_, rest)| rest);
        Some(cut.map(|(record, _)| record).ok_or(Malformed))
    })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::limits::{MAX_FRAME, MAX_IDS};

    fn golden(message: Mirror<'_>, head: &[u8], body: &[u8]) {
        let bytes: Vec<u8> = [head, body].concat();
        let mut buf = [0; MAX_FRAME];
        assert_eq!(message.encode(&mut buf).unwrap(), bytes, "{message:?}");
        assert_eq!(Mirror::decode(&bytes), Ok(message));
    }

    #[test]
    fn every_message_keeps_its_bytes() {
        golden(Mirror::Alive, &[0], &[]);
        golden(Mirror::Ask(&[7; 9]), &[1, 9], &[7; 9]);
        golden(Mirror::Digests(&[7; 320]), &[2, 0xc0, 2], &[7; 320]);
        golden(Mirror::List(&[7; 9]), &[3, 9], &[7; 9]);
        golden(Mirror::Entries { ranges: 1, entries: &[7; 56] }, &[4, 1, 56], &[7; 56]);
        golden(Mirror::Take { range: &[7; 9], after: &[] }, &[5, 9], &[7, 7, 7, 7, 7, 7, 7, 7, 7, 0]);
        golden(Mirror::Fetch(&[7; 32]), &[6, 32], &[7; 32]);
        golden(Mirror::Records { more: true, records: b"\0\x01a" }, &[7, 1, 3], b"\0\x01a");
        golden(Mirror::News(b"\0\x01a"), &[8, 3], b"\0\x01a");
        golden(Mirror::Bye, &[9], &[]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "a minute of bytes, one by one")]
    fn the_longest_fit_a_frame_and_longer_ones_are_refused() {
        type Make = fn(&[u8]) -> Mirror<'_>;
        let mut buf = [0; MAX_FRAME];
        let bytes = [1; 2 * BLOCK_LEN];
        let mut try_len = |make: Make, len: usize| {
            let frame = make(&bytes[..len]).encode(&mut buf).map_err(|_| Malformed)?.to_vec();
            Mirror::decode(&frame).map(|_| ())
        };
        let makers: [(Make, usize, usize); 5] = [
            (|bytes| Mirror::Ask(bytes), RANGE_LEN, MAX_RANGES),
            (|bytes| Mirror::Digests(bytes), DIGEST_LEN * 16, MAX_RANGES),
            (|bytes| Mirror::Entries { ranges: 255, entries: bytes }, ENTRY_LEN, BLOCK_LEN / ENTRY_LEN),
            (|bytes| Mirror::Fetch(bytes), 32, MAX_IDS),
            (|bytes| Mirror::News(bytes), 1, BLOCK_LEN),
        ];
        for (make, unit, most) in makers {
            assert_eq!(try_len(make, unit * most), Ok(()));
            assert_eq!(try_len(make, unit * most + unit), Err(Malformed));
            assert!(unit == 1 || try_len(make, unit + 1) == Err(Malformed));
        }
    }

    #[test]
    fn records_cut_short_are_noticed() {
        let all: Vec<_> = unpack(b"\0\x01a\0\x02bc\0\x03d").collect();
        assert_eq!(all, [Ok(&b"a"[..]), Ok(b"bc"), Err(Malformed)]);
        assert_eq!(unpack(b"\0").count(), 1);
    }
}
