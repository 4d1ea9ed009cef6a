//! What lies in the inbox until its owner throws it away.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::state::InEntry;

/// Letters that are kept; more are asked to come later.
pub(super) const MAX: usize = 256;

/// Letters of one sender that are kept, so that one cannot keep all others out.
pub(super) const MAX_OF_ONE: usize = 64;

/// See the module. Our own undelivered letters are kept beyond the limit: there are no more than the outbox holds, once
/// a day.
#[derive(Debug)]
pub(super) struct Letters {
    last: u64,
    all: Vec<InEntry>,
}

impl Letters {
    pub(super) const fn new(last: u64, all: Vec<InEntry>) -> Self {
        Self { last, all }
    }

    /// Number of the newest one ever.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> &[InEntry] {
        &self.all
    }

    /// Whether this letter is here.
    pub(super) fn has(&self, from: &str, id: u64) -> bool {
        self.all.iter().any(|letter| !letter.undelivered && letter.id == id && letter.peer == from)
    }

    /// Whether there is room for one more from this sender.
    pub(super) fn has_room(&self, from: &str) -> bool {
        let of_one = self.all.iter().filter(|letter| !letter.undelivered && letter.peer == from).count();
        self.all.len() < MAX && of_one < MAX_OF_ONE
    }

    /// Puts one in. The caller made sure that there is room.
    pub(super) fn put(&mut self, from: String, id: u64, text: &str) {
        self.push(from, id, text, false);
    }

    /// Puts in a letter of our own that could not be delivered.
    pub(super) fn returned(&mut self, to: String, id: u64, text: &str) {
        self.push(to, id, text, true);
    }

    /// Throws one away. Says whether it was there.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let before = self.all.len();
        self.all.retain(|letter| letter.number != number);
        self.all.len() < before
    }

    fn push(&mut self, peer: String, id: u64, text: &str, undelivered: bool) {
        self.last = self.last.saturating_add(1);
        let at_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let text = text.to_owned();
        self.all.push(InEntry { number: self.last, peer, id, at_s, text, undelivered });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_cannot_fill_it_and_numbers_are_not_used_twice() {
        let mut letters = Letters::new(0, Vec::new());
        for id in 0..MAX_OF_ONE as u64 {
            assert!(letters.has_room("a"));
            letters.put("a".into(), id, "x");
        }
        assert!(!letters.has_room("a") && letters.has_room("b"));
        assert!(letters.has("a", 5) && !letters.has("b", 5));
        let last = letters.last();
        assert!(letters.remove(last) && !letters.remove(last));
        letters.put("a".into(), 99, "y");
        assert_eq!(letters.all().last().unwrap().number, last + 1);
        let mut sender = 0;
        while letters.has_room(&format!("s{sender}")) {
            letters.put(format!("s{sender}"), 1, "z");
            sender += 1;
        }
        assert_eq!(letters.all().len(), MAX);
        letters.returned("c".into(), 7, "not delivered");
        assert!(!letters.has("c", 7), "our own is nothing that came");
    }
}
