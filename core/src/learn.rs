//! Asking one peer for the metadata of a share: the info dictionary, then the piece layers.
//!
//! Runs on a lane that was dialed and on which `Join` has not been said. The owner keeps the bytes: it puts the info
//! dictionary together, checks its hash, and checks each run of hashes against the root of its file
//! ([`verify_run`](crate::content::layer::verify_run)) before it keeps it. When all is known the lane goes on to the
//! swarm.

use heapless::Deque;

use crate::id::InfoHash;
use crate::limits::{BLOCK_LEN, LEARN_MS, MAX_HASHES, MAX_INFO, STALL_MS};
use crate::swarm::Reject;
use crate::time::Millis;
use crate::wire::{Message, TooSmall};

/// Questions in flight: they are small, their answers are a block each.
const WINDOW: usize = 16;

/// What a frame brought, borrowed from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'f> {
    /// Nothing.
    Quiet,
    /// The next bytes of the info dictionary. The last part ends at `total`.
    Info {
        /// SHA-256 of the whole, as the peer says.
        info_hash: InfoHash,
        /// Bytes of the whole.
        total: u32,
        /// Where `bytes` belongs; parts come in order.
        offset: u32,
        /// At least one byte.
        bytes: &'f [u8],
    },
    /// A run of piece hashes, not yet checked.
    Hashes {
        /// As wanted.
        file: u32,
        /// First hash of the run.
        index: u32,
        /// 32 bytes each.
        hashes: &'f [u8],
        /// What ties them to the root.
        uncles: &'f [u8],
    },
    /// The peer said goodbye.
    Closed,
    /// All places at the peer are taken: ask again later.
    Busy,
}

/// A question, in the order asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ask {
    Info(u32),
    Hashes { file: u32, index: u32 },
}

/// The conversation about metadata.
#[derive(Debug)]
pub struct Learn {
    info_hash: Option<InfoHash>,
    /// Bytes of the info dictionary, once told.
    total: Option<u32>,
    /// First byte not asked for.
    next_info: u32,
    /// File, next run to ask for, and pieces of it.
    wanted: Option<(u32, u32, u32)>,
    flying: Deque<Ask, WINDOW>,
    /// The last frame, and the last answer.
    heard: Millis,
    answered: Millis,
}

impl Learn {
    /// Asks for the info dictionary from its start; the first answer tells how long it is. `info_hash` is what it must
    /// be, if that is known.
    #[must_use]
    pub const fn new(now: Millis, info_hash: Option<InfoHash>) -> Self {
        Self::with(now, info_hash, None)
    }

    /// Asks for hashes only: the info dictionary is here.
    #[must_use]
    pub const fn hashes_only(now: Millis, info_hash: InfoHash) -> Self {
        Self::with(now, Some(info_hash), Some(0))
    }

    const fn with(now: Millis, info_hash: Option<InfoHash>, total: Option<u32>) -> Self {
        let flying = Deque::new();
        Self { info_hash, total, next_info: 0, wanted: None, flying, heard: now, answered: now }
    }

    /// Whether [`want`](Self::want) can be called.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.wanted.is_none() && self.total == Some(self.next_info)
    }

    /// Whether no answer is outstanding and nothing is left to ask.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_ready() && self.flying.is_empty()
    }

    /// Asks for the piece layer of file number `file`, which has this many pieces. Only when ready.
    pub fn want(&mut self, file: u32, pieces: u32) {
        if self.is_ready() && pieces > 0 {
            self.wanted = Some((file, 0, pieces));
        }
    }

    /// Takes in one frame.
    pub fn handle_frame<'f>(&mut self, now: Millis, frame: &'f [u8]) -> Result<Event<'f>, Reject> {
        self.heard = now;
        match Message::decode(frame).map_err(|_| Reject::Malformed)? {
            Message::Alive => Ok(Event::Quiet),
            Message::Bye => Ok(Event::Closed),
            Message::Busy => Ok(Event::Busy),
            Message::Info { info_hash, total, offset, bytes } => {
                self.expect(now, Ask::Info(offset))?;
                self.check_info(info_hash, total, offset, bytes)?;
                Ok(Event::Info { info_hash, total, offset, bytes })
            }
            Message::Hashes { file, index, hashes, uncles } => {
                self.expect(now, Ask::Hashes { file, index })?;
                Ok(Event::Hashes { file, index, hashes, uncles })
            }
            _ => Err(Reject::OutOfTurn),
        }
    }

    /// Answers come in the order of the questions.
    fn expect(&mut self, now: Millis, ask: Ask) -> Result<(), Reject> {
        if self.flying.front() != Some(&ask) {
            return Err(Reject::Unasked);
        }
        self.flying.pop_front();
        self.answered = now;
        Ok(())
    }

    fn check_info(
        &mut self,
        info_hash: InfoHash,
        total: u32,
        offset: u32,
        bytes: &[u8],
    ) -> Result<(), Reject> {
        let known = *self.info_hash.get_or_insert(info_hash) == info_hash;
        let first = self.total.is_none();
        if !known || total == 0 || total > MAX_INFO || *self.total.get_or_insert(total) != total {
            return Err(Reject::OutOfRange);
        }
        let part = u32::try_from(BLOCK_LEN).unwrap_or(u32::MAX);
        let wanted = total.saturating_sub(offset).min(part);
        if u32::try_from(bytes.len()) != Ok(wanted) || wanted == 0 {
            return Err(Reject::OutOfRange);
        }
        if first {
            self.next_info = wanted;
        }
        Ok(())
    }

    /// Writes the next question into `tx`; `None` if there is none now. On `TooSmall` nothing has changed.
    pub fn poll_transmit<'b>(&mut self, tx: &'b mut [u8]) -> Result<Option<&'b [u8]>, TooSmall> {
        let Some((ask, after)) = self.next_ask().filter(|_| !self.flying.is_full()) else { return Ok(None) };
        let message = match ask {
            Ask::Info(offset) => Message::AskInfo(offset),
            Ask::Hashes { file, index } => Message::AskHashes { file, index },
        };
        let frame = message.encode(tx)?;
        _ = self.flying.push_back(ask); // room checked
        match ask {
            Ask::Info(_) => self.next_info = after,
            Ask::Hashes { file, .. } => {
                self.wanted = self
                    .wanted
                    .map(|(_, _, pieces)| (file, after, pieces))
                    .filter(|(_, next, all)| next < all);
            }
        }
        Ok(Some(frame))
    }

    /// The next question, and where the one after it starts.
    fn next_ask(&self) -> Option<(Ask, u32)> {
        let step =
            |from: u32, by: usize, end: u32| from.saturating_add(u32::try_from(by).unwrap_or(end)).min(end);
        match (self.total, self.wanted) {
            // One question first: its answer tells how many more there are.
            (None, _) => self.flying.is_empty().then_some((Ask::Info(0), 0)),
            (Some(total), _) if self.next_info < total => {
                Some((Ask::Info(self.next_info), step(self.next_info, BLOCK_LEN, total)))
            }
            (Some(_), Some((file, index, pieces))) => {
                Some((Ask::Hashes { file, index }, step(index, MAX_HASHES, pieces)))
            }
            (Some(_), None) => None,
        }
    }

    /// When the peer has been silent for too long, if answers are outstanding. `Alive` puts that off, since answers may
    /// wait in the peer's upload limit, but not past [`LEARN_MS`] after the last answer.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        let due = self.heard.plus(STALL_MS).min(self.answered.plus(LEARN_MS));
        (!self.flying.is_empty()).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::limits::MAX_FRAME;

    const HASH: InfoHash = InfoHash([9; 32]);

    fn asks(learn: &mut Learn) -> Vec<Vec<u8>> {
        let mut buf = [0; MAX_FRAME];
        core::iter::from_fn(|| learn.poll_transmit(&mut buf).unwrap().map(<[u8]>::to_vec)).collect()
    }

    fn info(offset: u32, total: u32, len: usize) -> Vec<u8> {
        let bytes = std::vec![1; len];
        let mut buf = [0; MAX_FRAME];
        Message::Info { info_hash: HASH, total, offset, bytes: &bytes }.encode(&mut buf).unwrap().to_vec()
    }

    #[test]
    fn info_and_hashes_come_in_order() {
        let mut learn = Learn::new(Millis(0), None);
        assert_eq!(asks(&mut learn).len(), 1, "one question until the length is known");
        let first = u32::try_from(BLOCK_LEN).unwrap();
        let total = first + 5;
        learn.handle_frame(Millis(1), &info(0, total, BLOCK_LEN)).unwrap();
        assert_eq!(asks(&mut learn), [Message::AskInfo(first).encode(&mut [0; 9]).unwrap()]);
        assert!(!learn.is_idle());
        let last = info(first, total, 5);
        assert!(
            matches!(learn.handle_frame(Millis(2), &last), Ok(Event::Info { offset, .. }) if offset == first)
        );
        assert!(learn.is_idle());
        learn.want(3, 600);
        assert_eq!(asks(&mut learn).len(), 2, "two runs");
        let mut buf = [0; 64];
        let hashes = Message::Hashes { file: 3, index: 512, hashes: &[], uncles: &[] };
        let wrong = hashes.encode(&mut buf).unwrap();
        assert_eq!(learn.handle_frame(Millis(3), wrong), Err(Reject::Unasked), "the first run comes first");
    }

    #[test]
    fn who_is_alive_and_never_answers_is_given_up() {
        let mut learn = Learn::new(Millis(0), None);
        asks(&mut learn);
        let mut now = Millis(0);
        while learn.poll_timeout().is_some_and(|due| due > now) && now < Millis(10 * LEARN_MS) {
            assert_eq!(learn.handle_frame(now, &[0]), Ok(Event::Quiet));
            now = now.plus(STALL_MS / 2);
        }
        assert_eq!(now, Millis(LEARN_MS), "neither sooner nor later");
        // An answer starts both clocks again.
        let mut learn = Learn::new(Millis(0), None);
        asks(&mut learn);
        learn.handle_frame(Millis(LEARN_MS - 1), &info(0, MAX_INFO, BLOCK_LEN)).unwrap();
        asks(&mut learn);
        assert_eq!(learn.poll_timeout(), Some(Millis(LEARN_MS - 1 + STALL_MS)));
    }

    #[test]
    fn lies_about_length_or_hash_are_refused() {
        for (offset, total, len) in
            [(0, 0, 0), (0, MAX_INFO + 1, BLOCK_LEN), (0, 100, 99), (0, 100, 101), (1, 100, 99)]
        {
            let mut learn = Learn::new(Millis(0), None);
            asks(&mut learn);
            assert!(
                learn.handle_frame(Millis(1), &info(offset, total, len)).is_err(),
                "{offset} {total} {len}"
            );
        }
        let mut learn = Learn::new(Millis(0), Some(InfoHash([8; 32])));
        asks(&mut learn);
        assert_eq!(learn.handle_frame(Millis(1), &info(0, 100, 100)), Err(Reject::OutOfRange));
        assert_eq!(learn.poll_timeout(), None);
        let mut learn = Learn::new(Millis(0), None);
        assert_eq!(
            learn.handle_frame(Millis(1), &info(0, 100, 100)),
            Err(Reject::Unasked),
            "nothing was asked"
        );
        asks(&mut learn);
        assert_eq!(learn.poll_timeout(), Some(Millis(1 + STALL_MS)));
        assert_eq!(learn.handle_frame(Millis(1), &[17]), Ok(Event::Busy));
    }
}
