//! Mail that came: so much a second from each sender, each letter once.

use heapless::{Deque, Vec};

use super::Text;
use crate::id::NodeKey;
use crate::limits::{MAIL_RATE, MAX_FRAME, MAX_MAIL};
use crate::rate::Bucket;
use crate::time::Millis;

/// Letters of one sender that are known again if they come twice. One is on its way at a time, so one would do.
const REMEMBERED: usize = 4;

/// What became of a letter that came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// It is in the inbox: answer `Taken`.
    Taken,
    /// It was there already: answer `Taken` as well.
    Repeated,
    /// Too many from this sender, or the inbox is full: answer `Later`.
    Later,
}

#[derive(Clone, Debug)]
struct Sender {
    node: NodeKey,
    bucket: Bucket,
    known: Deque<u64, REMEMBERED>,
    heard: Millis,
}

/// Up to `LETTERS` letters, from `SENDERS` senders at a time.
#[derive(Clone, Debug, Default)]
pub struct Inbox<const SENDERS: usize, const LETTERS: usize> {
    senders: Vec<Sender, SENDERS>,
    letters: Deque<(NodeKey, Millis, Text), LETTERS>,
}

impl<const SENDERS: usize, const LETTERS: usize> Inbox<SENDERS, LETTERS> {
    /// Without letters.
    #[must_use]
    pub const fn new() -> Self {
        Self { senders: Vec::new(), letters: Deque::new() }
    }

    /// Takes a letter in. `from` is the key the conversation's opening proved.
    pub fn arrive(&mut self, now: Millis, from: NodeKey, id: u64, text: &str) -> Arrival {
        let full = self.letters.is_full();
        let Some(sender) = self.sender(now, from) else { return Arrival::Later };
        sender.heard = now;
        if !sender.bucket.take(now, 1) {
            return Arrival::Later;
        }
        if sender.known.iter().any(|known| *known == id) {
            return Arrival::Repeated;
        }
        let Ok(text) = Text::try_from(text) else { return Arrival::Later };
        if full {
            return Arrival::Later;
        }
        if sender.known.is_full() {
            sender.known.pop_front();
        }
        _ = sender.known.push_back(id); // room was made
        _ = self.letters.push_back((from, now, text)); // it is not full
        Arrival::Taken
    }

    /// What came, oldest first: from whom, when, and what it says.
    pub fn letters(&self) -> impl Iterator<Item = (&NodeKey, Millis, &str)> {
        self.letters.iter().map(|(from, at, text)| (from, *at, text.as_str()))
    }

    /// Removes the oldest letter, once it was read.
    pub fn read(&mut self) -> Option<(NodeKey, Millis, Text)> {
        self.letters.pop_front()
    }

    /// The sender's place; whoever was silent longest makes room, once its bucket is full again: forgetting it then
    /// gives it nothing.
    fn sender(&mut self, now: Millis, from: NodeKey) -> Option<&mut Sender> {
        if let Some(at) = self.senders.iter().position(|sender| sender.node == from) {
            return self.senders.get_mut(at);
        }
        if self.senders.is_full() {
            let (per_s, burst) = MAIL_RATE;
            let refilled = burst.saturating_mul(1000).checked_div(per_s).unwrap_or(u64::MAX);
            let silent = self.senders.iter().enumerate().min_by_key(|(_, sender)| sender.heard);
            let at = silent.filter(|(_, sender)| now.since(sender.heard) >= refilled).map(|(at, _)| at)?;
            self.senders.swap_remove(at);
        }
        let bucket = Bucket::new(now, MAIL_RATE.0, MAIL_RATE.1);
        self.senders.push(Sender { node: from, bucket, known: Deque::new(), heard: now }).ok()?;
        self.senders.last_mut()
    }
}

const _: () = assert!(MAX_MAIL + 32 < MAX_FRAME, "a letter fits a frame");

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeKey {
        NodeKey([number; 32])
    }

    #[test]
    fn a_burst_of_twenty_then_five_a_second() {
        let mut inbox: Inbox<4, 100> = Inbox::new();
        let mut taken = |now: u64, from: u8, ids: core::ops::Range<u64>| {
            ids.filter(|id| inbox.arrive(Millis(now), node(from), now * 1000 + id, "x") == Arrival::Taken)
                .count()
        };
        assert_eq!(taken(0, 1, 0..30), 20);
        assert_eq!(taken(1_000, 1, 0..30), 5);
        assert_eq!(taken(1_000, 2, 0..3), 3, "one sender's flood is not another's");
        assert_eq!(taken(61_000, 1, 0..30), 20);
        assert_eq!(inbox.letters().count(), 48);
    }

    #[test]
    fn a_letter_comes_once() {
        let mut inbox: Inbox<4, 2> = Inbox::new();
        assert_eq!(inbox.arrive(Millis(0), node(1), 7, "a"), Arrival::Taken);
        assert_eq!(inbox.arrive(Millis(1), node(1), 7, "a"), Arrival::Repeated);
        assert_eq!(inbox.arrive(Millis(1), node(2), 7, "b"), Arrival::Taken, "another's number");
        assert_eq!(inbox.arrive(Millis(1), node(2), 8, "c"), Arrival::Later, "full");
        assert_eq!(inbox.read().map(|(from, ..)| from), Some(node(1)));
        assert_eq!(inbox.arrive(Millis(2), node(2), 8, "c"), Arrival::Taken);
        let texts = inbox.letters().map(|(_, _, text)| text);
        assert!(texts.eq(["b", "c"]), "in order");
    }

    #[test]
    fn coming_under_many_names_gains_nothing() {
        let mut inbox: Inbox<4, 100> = Inbox::new();
        let mut arrive = |now, from| inbox.arrive(Millis(now), node(from), now, "x");
        assert!((0..4).all(|from| arrive(0, from) == Arrival::Taken));
        assert_eq!(arrive(3_999, 9), Arrival::Later);
        assert_eq!(arrive(4_000, 9), Arrival::Taken);
        assert_eq!(arrive(4_000, 3), Arrival::Taken, "who is known stays");
    }
}
