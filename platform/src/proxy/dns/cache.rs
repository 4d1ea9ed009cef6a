//! Answers that are still true.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::wire::Key;

/// What an entry costs beside its bytes, roughly.
const OVERHEAD: usize = 200;

/// A bounded table. The oldest answers go first when it is full.
#[derive(Debug)]
pub(super) struct Cache {
    most: usize,
    longest: Duration,
    used: usize,
    last: u64,
    entries: HashMap<Key, Entry>,
    order: BTreeMap<u64, Key>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    bytes: Vec<u8>,
    since: Instant,
    until: Instant,
}

impl Cache {
    /// Takes so many bytes at most, and keeps nothing for longer than that.
    pub(super) fn new(most: usize, longest: Duration) -> Self {
        Self { most, longest, used: 0, last: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }

    /// An answer and its age in seconds.
    pub(super) fn get(&mut self, key: &Key, now: Instant) -> Option<(Vec<u8>, u32)> {
        let entry = self.entries.get(key)?;
        if entry.until <= now {
            self.remove(key);
            return None;
        }
        let age = now.saturating_duration_since(entry.since).as_secs();
        Some((entry.bytes.clone(), u32::try_from(age).unwrap_or(u32::MAX)))
    }

    /// Keeps an answer for so many seconds.
    pub(super) fn put(&mut self, key: Key, bytes: Vec<u8>, seconds: u32, now: Instant) {
        let time = Duration::from_secs(seconds.into()).min(self.longest);
        self.remove(&key);
        let cost = bytes.len().saturating_add(OVERHEAD);
        if time.is_zero() || cost > self.most {
            return;
        }
        while self.used.saturating_add(cost) > self.most {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
        self.last = self.last.wrapping_add(1);
        self.used = self.used.saturating_add(cost);
        self.order.insert(self.last, key.clone());
        self.entries.insert(key, Entry { number: self.last, bytes, since: now, until: now + time });
    }

    /// Forgets everything. Says how many answers that were.
    pub(super) fn clear(&mut self) -> usize {
        let count = self.entries.len();
        *self = Self::new(self.most, self.longest);
        count
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
            self.used = self.used.saturating_sub(entry.bytes.len().saturating_add(OVERHEAD));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Query;
    use super::*;

    fn key(letter: u8) -> Key {
        let bytes = [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, letter, 0, 0, 1, 0, 1][..]].concat();
        Query::read(&bytes).unwrap().key()
    }

    #[test]
    fn answers_age_and_end() {
        let mut cache = Cache::new(10_000, Duration::from_secs(100));
        let now = Instant::now();
        cache.put(key(b'a'), vec![1], 10, now);
        cache.put(key(b'b'), vec![2], 1000, now);
        cache.put(key(b'c'), vec![3], 0, now);
        assert_eq!(cache.get(&key(b'A'), now + Duration::from_secs(9)), Some((vec![1], 9)));
        assert_eq!(cache.get(&key(b'a'), now + Duration::from_secs(10)), None);
        assert_eq!(cache.get(&key(b'b'), now + Duration::from_secs(100)), None);
        assert_eq!(cache.get(&key(b'c'), now), None);
        assert_eq!((cache.used, cache.order.len()), (0, 0));
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let mut cache = Cache::new(5 * (OVERHEAD + 100), Duration::from_secs(100));
        let now = Instant::now();
        for letter in 0..50 {
            cache.put(key(letter), vec![letter; 100], 10, now);
            cache.put(key(letter), vec![letter; 100], 10, now);
        }
        assert!(cache.get(&key(44), now).is_none());
        assert!((45..50).all(|letter| cache.get(&key(letter), now).is_some()));
        cache.put(key(b'x'), vec![0; 2000], 10, now);
        assert_eq!((cache.get(&key(b'x'), now), cache.clear(), cache.used), (None, 5, 0));
    }
}
