//! How fast something goes, and how fast it may: meter, token bucket, backoff.

use crate::time::Millis;

/// Seconds a [`Meter`] looks back.
const WINDOW_S: u64 = 8;

/// Bytes a second, averaged over the last eight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    slots: [u64; 8],
    /// The second that `slots` ends with, and the first second ever counted.
    last: u64,
    first: Option<u64>,
}

impl Meter {
    /// Counts `bytes` now.
    pub fn add(&mut self, now: Millis, bytes: u64) {
        self.advance(now);
        if let Some(slot) = self.slots.get_mut(slot_of(self.last)) {
            *slot = slot.saturating_add(bytes);
        }
    }

    /// Bytes a second over the window, or over the time since the first byte if that is shorter.
    pub fn rate(&self, now: Millis) -> u64 {
        let mut copy = *self;
        copy.advance(now);
        let Some(first) = self.first else { return 0 };
        let span = copy.last.saturating_sub(first).saturating_add(1).min(WINDOW_S);
        copy.slots.iter().fold(0, |sum: u64, slot| sum.saturating_add(*slot)).checked_div(span).unwrap_or(0)
    }

    /// Empties the slots of seconds that passed.
    fn advance(&mut self, now: Millis) {
        let second = now.0 / 1000;
        if self.first.is_none() {
            (self.first, self.last) = (Some(second), second);
        }
        let passed = second.saturating_sub(self.last).min(WINDOW_S);
        for step in 1..=passed {
            if let Some(slot) = self.slots.get_mut(slot_of(self.last.saturating_add(step))) {
                *slot = 0;
            }
        }
        self.last = self.last.max(second);
    }
}

fn slot_of(second: u64) -> usize {
    usize::try_from(second % WINDOW_S).unwrap_or(0)
}

/// Lets through so much a second, and a burst.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Units that come back each second.
    per_s: u64,
    /// Thousandths of a unit at most.
    full: u64,
    /// Thousandths of a unit now.
    level: u64,
    last: Millis,
}

impl Bucket {
    /// A full bucket of `burst` units that regains `per_s` units a second.
    #[must_use]
    pub const fn new(now: Millis, per_s: u64, burst: u64) -> Self {
        let full = burst.saturating_mul(1000);
        Self { per_s, full, level: full, last: now }
    }

    /// Takes `units` if they are there. Taking more than the burst succeeds when the bucket is full.
    pub fn take(&mut self, now: Millis, units: u64) -> bool {
        self.refill(now);
        let cost = units.saturating_mul(1000).min(self.full);
        let enough = self.level >= cost;
        if enough {
            self.level = self.level.saturating_sub(cost);
        }
        enough
    }

    /// Whether `units` are there.
    pub fn holds(&mut self, now: Millis, units: u64) -> bool {
        self.refill(now);
        self.level >= units.saturating_mul(1000).min(self.full)
    }

    /// When `units` will be there.
    #[must_use]
    pub fn ready_at(&self, units: u64) -> Millis {
        let missing = units.saturating_mul(1000).min(self.full).saturating_sub(self.level);
        self.last.plus(missing.checked_div(self.per_s).unwrap_or(u64::MAX).saturating_add(1))
    }

    fn refill(&mut self, now: Millis) {
        let gained = now.since(self.last).saturating_mul(self.per_s);
        self.level = self.level.saturating_add(gained).min(self.full);
        self.last = self.last.max(now);
    }
}

/// Waits that double from `first_ms` to `most_ms`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first_ms: u64,
    most_ms: u64,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    #[must_use]
    pub const fn new(first_ms: u64, most_ms: u64) -> Self {
        Self { first_ms, most_ms, failures: 0 }
    }

    /// Counts a failure and says how many milliseconds to wait before the next try. `spread` (any random number)
    /// shortens the wait by up to a quarter, so that many who failed together do not return together.
    pub fn failed(&mut self, spread: u32) -> u64 {
        self.failed_within(self.most_ms, spread)
    }

    /// As [`failed`](Self::failed), where this wait is to be no longer than `most_ms`.
    pub fn failed_within(&mut self, most_ms: u64, spread: u32) -> u64 {
        let doubled = self.first_ms.saturating_mul(1_u64.checked_shl(self.failures).unwrap_or(u64::MAX));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.min(most_ms);
        wait.saturating_sub((wait / 4).saturating_mul(u64::from(spread % 256)) / 256)
    }

    /// It worked: start from the beginning next time.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_forgets_after_its_window() {
        let mut meter = Meter::default();
        for second in 10..20 {
            meter.add(Millis(second * 1000), 800);
        }
        assert_eq!(meter.rate(Millis(19_999)), 800);
        assert_eq!(meter.rate(Millis(23_000)), 400);
        assert_eq!(meter.rate(Millis(40_000)), 0);
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(Millis(0), 5, 20);
        assert!((0..20).all(|_| bucket.take(Millis(0), 1)));
        assert!(!bucket.take(Millis(0), 1));
        assert_eq!(bucket.ready_at(1), Millis(201));
        assert!(!bucket.take(Millis(199), 1));
        assert!(bucket.take(Millis(201), 1));
        assert!(bucket.take(Millis(100_000), 50), "more than the burst passes when full");
    }

    #[test]
    fn backoff_doubles_to_its_limit() {
        let mut backoff = Backoff::new(30_000, 900_000);
        let waits: [u64; 7] = core::array::from_fn(|_| backoff.failed(0));
        assert_eq!(waits, [30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000]);
        backoff.succeeded();
        assert_eq!(
            (backoff.failed(0), backoff.failed_within(40_000, 0), backoff.failed(0)),
            (30_000, 40_000, 120_000)
        );
        assert!((0..300).all(|spread| Backoff::new(1000, 1000).failed(spread) >= 750));
    }
}
