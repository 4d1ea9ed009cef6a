//! How many lanes to one peer: one more is opened while the last one still raised throughput.
//!
//! A lane is a Tor circuit, and one stream on one circuit is bounded by Tor's windows; more circuits go faster until
//! something else (the peer, our board) is the bottleneck. So a lane is tried, the rate before and after is compared,
//! and a lane that did not pay is closed again. Trying waits longer each time it did not pay.

use crate::rate::Backoff;
use crate::time::Millis;

/// Milliseconds over which a rate is measured. Longer than a circuit takes to reach its speed.
const EPOCH_MS: u64 = 3_000;

/// A lane pays if it raises the rate by an eighth.
const WORTH: u64 = 8;

/// Milliseconds until the next try after a lane did not pay: doubling up to ten minutes.
const PAUSE_MS: (u64, u64) = (20_000, 600_000);

/// What to do about the number of lanes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Nothing.
    Stay,
    /// Close one.
    Shrink,
}

/// Control of the number of lanes to one peer.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    least: usize,
    most: usize,
    target: usize,
    /// Bytes got since `since`, with as many lanes as wanted.
    bytes: u64,
    since: Millis,
    /// Whether all lanes wanted were open when the epoch began.
    steady: bool,
    /// Bytes a second before the lane on trial was opened.
    before: Option<u64>,
    /// No trial until then.
    rest: Millis,
    pause: Backoff,
}

impl Growth {
    /// Starts with `least` lanes and never wants more than `most`.
    #[must_use]
    pub fn new(now: Millis, least: usize, most: usize) -> Self {
        let least = least.clamp(1, most.max(1));
        Self {
            least,
            most: most.max(1),
            target: least,
            bytes: 0,
            since: now,
            steady: false,
            before: None,
            rest: now,
            pause: Backoff::new(PAUSE_MS.0, PAUSE_MS.1),
        }
    }

    /// Lanes wanted.
    #[must_use]
    pub const fn target(&self) -> usize {
        self.target
    }

    /// Counts verified bytes.
    pub fn received(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// When [`handle_timeout`](Self::handle_timeout) next has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Millis {
        self.since.plus(EPOCH_MS)
    }

    /// Looks at the last epoch. `open` is the number of lanes that are open; `busy` says whether more data was wanted
    /// all along (a rate limited by having nothing to ask tells nothing). `spread` is any random number.
    pub fn handle_timeout(&mut self, now: Millis, open: usize, busy: bool, spread: u32) -> Step {
        let passed = now.since(self.since);
        if passed < EPOCH_MS {
            return Step::Stay;
        }
        let rate = self.bytes.saturating_mul(1000).checked_div(passed).unwrap_or(0);
        (self.bytes, self.since) = (0, now);
        let steady = core::mem::replace(&mut self.steady, open >= self.target);
        if !busy || open < self.target || !steady {
            return Step::Stay; // a lane is still being opened, or was new: its epoch has not begun
        }
        match self.before.take() {
            Some(before) if rate < before.saturating_add(before / WORTH) => {
                self.target = self.target.saturating_sub(1).max(self.least);
                self.steady = false;
                self.rest = now.plus(self.pause.failed(spread));
                Step::Shrink
            }
            paid => {
                if paid.is_some() {
                    self.pause.succeeded();
                }
                if now >= self.rest && self.target < self.most && rate > 0 {
                    self.before = Some(rate);
                    self.target = self.target.saturating_add(1);
                    self.steady = false;
                }
                Step::Stay
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs for `seconds` over a path that gives `rate(lanes)` bytes a second; returns the lanes at the end.
    fn settle(seconds: u64, rate: impl Fn(usize) -> u64) -> (usize, usize) {
        let mut growth = Growth::new(Millis(0), 2, 8);
        let (mut open, mut shrunk) = (2, 0);
        for second in 1..=seconds {
            growth.received(rate(open));
            if growth.handle_timeout(Millis(second * 1000), open, true, 0) == Step::Shrink {
                shrunk += 1;
            }
            open = growth.target();
        }
        (growth.target(), shrunk)
    }

    #[test]
    fn lanes_grow_while_they_pay() {
        assert_eq!(settle(120, |lanes| lanes as u64 * 500_000).0, 8);
    }

    #[test]
    fn a_shared_bottleneck_keeps_the_first_lanes() {
        let (lanes, shrunk) = settle(600, |_| 1_000_000);
        assert!(lanes <= 3 && shrunk <= 8, "{lanes} lanes, {shrunk} trials");
    }

    #[test]
    fn growth_stops_where_the_gain_stops() {
        let (lanes, _) = settle(300, |lanes| lanes.min(4) as u64 * 500_000);
        assert!((4..=5).contains(&lanes), "{lanes}");
    }
}
