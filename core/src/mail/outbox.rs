//! Mail that waits for its receiver: first in, first out for each, tried again ever more rarely, for a day.

use heapless::Vec;

use super::Text;
use crate::id::NodeKey;
use crate::limits::{MAIL_AT_ONCE, MAIL_LIFE_MS, MAIL_RETRY_MS};
use crate::rate::Backoff;
use crate::time::Millis;

/// One message on its way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Letter {
    /// Random: by it the receiver knows a letter sent twice.
    pub id: u64,
    /// For whom.
    pub to: NodeKey,
    /// What it says.
    pub text: Text,
    /// When it was written. A restored letter keeps its age.
    pub written: Millis,
}

/// As many letters wait as there is room for: wait until some are delivered or expire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OutboxFull;

/// How mail for one node stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// Letters.
    pub letters: usize,
    /// Tries in a row that failed.
    pub failures: u32,
    /// When it is tried next; `None` while it is being served.
    pub next: Option<Millis>,
}

#[derive(Clone, Debug)]
struct Receiver {
    node: NodeKey,
    retry: Backoff,
    next: Millis,
    served: bool,
}

/// Up to `LETTERS` letters, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Outbox<const LETTERS: usize> {
    letters: Vec<Letter, LETTERS>,
    /// One for each node that has letters here.
    receivers: Vec<Receiver, LETTERS>,
}

impl<const LETTERS: usize> Outbox<LETTERS> {
    /// Without letters.
    #[must_use]
    pub const fn new() -> Self {
        Self { letters: Vec::new(), receivers: Vec::new() }
    }

    /// Takes a letter. It is tried at once, or in its turn.
    pub fn post(&mut self, now: Millis, letter: Letter) -> Result<(), OutboxFull> {
        let node = letter.to;
        self.letters.push(letter).map_err(|_| OutboxFull)?;
        if !self.receivers.iter().any(|receiver| receiver.node == node) {
            let retry = Backoff::new(MAIL_RETRY_MS.0, MAIL_RETRY_MS.1);
            // There are no more receivers than letters.
            _ = self.receivers.push(Receiver { node, retry, next: now, served: false });
        }
        Ok(())
    }

    /// A node to serve now, at most [`MAIL_AT_ONCE`] at a time, whoever waited longest first. Send it what
    /// [`first`](Self::first) gives until that is `None`, then call [`done`](Self::done); or [`failed`](Self::failed).
    pub fn poll_serve(&mut self, now: Millis) -> Option<NodeKey> {
        if self.served() >= MAIL_AT_ONCE {
            return None;
        }
        let free = self.receivers.iter_mut().filter(|receiver| !receiver.served && receiver.next <= now);
        let receiver = free.min_by_key(|receiver| receiver.next)?;
        receiver.served = true;
        Some(receiver.node)
    }

    /// The oldest letter for this node.
    pub fn first(&self, to: &NodeKey) -> Option<&Letter> {
        self.letters.iter().find(|letter| letter.to == *to)
    }

    /// This letter is in the receiver's inbox.
    pub fn delivered(&mut self, to: &NodeKey, id: u64) {
        if let Some(at) = self.letters.iter().position(|letter| letter.to == *to && letter.id == id) {
            self.letters.remove(at);
            self.receivers.iter_mut().filter(|receiver| receiver.node == *to).for_each(|receiver| {
                receiver.retry.succeeded();
            });
        }
    }

    /// No more letters are being sent to this node; any that came meanwhile wait for the next turn.
    pub fn done(&mut self, now: Millis, to: &NodeKey) {
        self.end(to, now);
    }

    /// This node was not reached, or had no room: it is tried again after 30 s, doubling to 15 min.
    pub fn failed(&mut self, now: Millis, to: &NodeKey) {
        let wait = self.receivers.iter_mut().find(|receiver| receiver.node == *to);
        let wait = wait.map_or(0, |receiver| receiver.retry.failed(0));
        self.end(to, now.plus(wait));
    }

    /// This node was heard of: its mail is tried at once. Failures still count.
    pub fn seen(&mut self, now: Millis, node: &NodeKey) {
        for receiver in self.receivers.iter_mut().filter(|receiver| receiver.node == *node) {
            receiver.next = receiver.next.min(now);
        }
    }

    /// A letter that was not delivered within a day: it is dropped, and its sender must be told. Call until `None`.
    pub fn poll_expired(&mut self, now: Millis) -> Option<Letter> {
        let old = |letter: &Letter| now.since(letter.written) >= MAIL_LIFE_MS;
        let at = self.letters.iter().position(old)?;
        let letter = self.letters.remove(at);
        let lonely = |receiver: &Receiver| !receiver.served && self.first(&receiver.node).is_none();
        if let Some(at) = self.receivers.iter().position(lonely) {
            self.receivers.swap_remove(at);
        }
        Some(letter)
    }

    /// When [`poll_serve`](Self::poll_serve) or [`poll_expired`](Self::poll_expired) next has something to say; `None`
    /// if nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        let expiry = self.letters.iter().map(|letter| letter.written.plus(MAIL_LIFE_MS)).min();
        let room = self.served() < MAIL_AT_ONCE;
        let next =
            self.receivers.iter().filter(|receiver| room && !receiver.served).map(|receiver| receiver.next);
        next.chain(expiry).min()
    }

    /// Everything that waits, oldest first: for the page, and for the keep file.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.letters.iter()
    }

    /// How mail for this node stands; `None` if there is none.
    #[must_use]
    pub fn waiting(&self, to: &NodeKey) -> Option<Waiting> {
        let receiver = self.receivers.iter().find(|receiver| receiver.node == *to)?;
        let letters = self.letters.iter().filter(|letter| letter.to == *to).count();
        let next = (!receiver.served).then_some(receiver.next);
        Some(Waiting { letters, failures: receiver.retry.failures(), next })
    }

    fn served(&self) -> usize {
        self.receivers.iter().filter(|receiver| receiver.served).count()
    }

    fn end(&mut self, to: &NodeKey, next: Millis) {
        let Some(at) = self.receivers.iter().position(|receiver| receiver.node == *to) else { return };
        if self.first(to).is_none() {
            self.receivers.swap_remove(at);
        } else if let Some(receiver) = self.receivers.get_mut(at) {
            (receiver.served, receiver.next) = (false, next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const START: Millis = Millis(1_000_000);

    fn node(number: u8) -> NodeKey {
        NodeKey([number; 32])
    }

    fn letter(to: u8, id: u64) -> Letter {
        Letter { id, to: node(to), text: Text::try_from("hello").unwrap(), written: START }
    }

    /// Lets virtual time run; says when each try was made, until the letter expired.
    fn run(
        outbox: &mut Outbox<8>,
        mut reached: impl FnMut(Millis) -> bool,
    ) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        let (mut tries, mut delivered, mut expired) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(now) = outbox.poll_timeout() {
            let now = now.max(START);
            while let Some(letter) = outbox.poll_expired(now) {
                assert_eq!(now.since(letter.written), MAIL_LIFE_MS);
                expired.push(letter.id);
            }
            while let Some(to) = outbox.poll_serve(now) {
                tries.push(now.since(START) / 1000);
                if !reached(now) {
                    outbox.failed(now, &to);
                    continue;
                }
                while let Some(id) = outbox.first(&to).map(|letter| letter.id) {
                    delivered.push(id);
                    outbox.delivered(&to, id);
                }
                outbox.done(now, &to);
            }
        }
        (tries, delivered, expired)
    }

    #[test]
    fn retries_double_to_a_quarter_of_an_hour_and_end_after_a_day() {
        let mut outbox: Outbox<8> = Outbox::new();
        outbox.post(START, letter(1, 7)).unwrap();
        let (tries, delivered, expired) = run(&mut outbox, |_| false);
        assert_eq!(tries[..8], [0, 30, 90, 210, 450, 930, 1830, 2730]);
        assert!(tries[6..].windows(2).all(|pair| pair[1] - pair[0] == 900));
        assert!(*tries.last().unwrap() < 24 * 3600);
        assert_eq!((delivered.len(), expired), (0, [7].to_vec()));
        assert_eq!((outbox.letters().count(), outbox.waiting(&node(1))), (0, None));
    }

    #[test]
    fn order_is_kept_over_failures() {
        let mut outbox: Outbox<8> = Outbox::new();
        (0..5).for_each(|id| outbox.post(START, letter(1, id)).unwrap());
        let (tries, delivered, expired) = run(&mut outbox, |now| now.since(START) >= 400_000);
        assert_eq!((tries.len(), delivered, expired.len()), (5, (0..5).collect(), 0));
    }

    #[test]
    fn ten_are_served_at_once_and_each_in_turn() {
        let mut outbox: Outbox<64> = Outbox::new();
        (0..25).for_each(|to| outbox.post(START, letter(to, u64::from(to))).unwrap());
        let first: Vec<_> = core::iter::from_fn(|| outbox.poll_serve(START)).collect();
        assert_eq!(first.len(), MAIL_AT_ONCE);
        assert_eq!(
            outbox.poll_timeout(),
            Some(START.plus(MAIL_LIFE_MS)),
            "nothing to do before a place is free"
        );
        outbox.failed(START, &first[0]);
        let next = outbox.poll_serve(START).unwrap();
        assert!(!first.contains(&next));
        assert_eq!(outbox.poll_serve(START), None);
        let waiting = outbox.waiting(&first[0]).unwrap();
        assert_eq!((waiting.letters, waiting.failures, waiting.next), (1, 1, Some(START.plus(30_000))));
        outbox.done(START, &next);
        outbox.seen(START, &first[0]);
        assert_eq!(outbox.poll_serve(START), Some(first[0]), "it was heard of");
    }

    #[test]
    fn a_full_outbox_says_so_and_a_restored_letter_keeps_its_age() {
        let mut outbox: Outbox<2> = Outbox::new();
        outbox.post(START, letter(1, 1)).unwrap();
        outbox.post(START, letter(1, 2)).unwrap();
        assert_eq!(outbox.post(START, letter(2, 3)), Err(OutboxFull));
        let mut restored: Outbox<2> = Outbox::new();
        let later = START.plus(MAIL_LIFE_MS - 1);
        outbox.letters().for_each(|letter| restored.post(later, letter.clone()).unwrap());
        assert_eq!(restored.poll_expired(later), None);
        assert_eq!(restored.poll_expired(later.plus(1)).map(|letter| letter.id), Some(1));
    }
}
