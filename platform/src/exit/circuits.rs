//! How many circuits streams have called for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Isolation;

/// Tor gives a circuit no new streams after so long (Arti's `max_dirtiness`).
const FRESH: Duration = Duration::from_mins(10);

/// Isolations that are remembered. Beyond, old and young ones are forgotten, and counted again.
const MAX_SEEN: usize = 4096;

/// A circuit for each isolation that had none lately. Arti does not tell how many it built: it may have had one ready, or
/// have needed another for another port.
#[derive(Debug, Default)]
pub(super) struct Circuits(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    seen: HashMap<Isolation, Instant>,
    called: u64,
}

impl Circuits {
    /// A stream of this isolation is opened.
    pub(super) fn call(&self, isolation: &Isolation, now: Instant) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |since: &Instant| now.duration_since(*since) < FRESH;
        if book.seen.get(isolation).is_some_and(fresh) {
            return;
        }
        if book.seen.len() >= MAX_SEEN {
            book.seen.retain(|_, since| fresh(since));
        }
        if book.seen.len() >= MAX_SEEN {
            book.seen.clear();
        }
        book.seen.insert(*isolation, now);
        book.called = book.called.saturating_add(1);
    }

    /// So far.
    pub(super) fn called(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).called
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_isolation_counts_once_in_ten_minutes() {
        let (circuits, start) = (Circuits::default(), Instant::now());
        let (one, other) = (Isolation::of("a"), Isolation::of("b"));
        for isolation in [&one, &other, &one] {
            circuits.call(isolation, start);
        }
        assert_eq!(circuits.called(), 2);
        circuits.call(&one, start + FRESH);
        assert_eq!(circuits.called(), 3);
        for number in 0..MAX_SEEN * 2 {
            circuits.call(&one.and(&number.to_be_bytes()), start);
        }
        assert!(circuits.0.lock().unwrap().seen.len() <= MAX_SEEN);
    }
}
