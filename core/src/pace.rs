//! How many requests to keep in flight on one lane: follows the measured round trip.
//!
//! A request's answer time is the lane's round trip plus what waits in queues before it. While the queues are short the
//! depth grows, doubling each round trip at first; when they are long it shrinks. So a lane holds about one round trip
//! of data in queues: enough never to run dry, little enough that a cancelled or lost lane costs little.

use crate::limits::{FIRST_DEPTH, MAX_DEPTH_REQUESTS};
use crate::time::Millis;

/// Milliseconds of queueing that are always tolerated: schedulers and cells make as much.
const SLACK_MS: u64 = 150;

/// Requests that a lane which answers within [`QUICK_MS`] may always have in flight: 320 KiB. Below Tor's limit for XOFF,
/// some 250 KiB, a Tor stream cannot give back the memory it loses as it is read (platform's README, "The leak").
const BASE: usize = 20;

/// See [`BASE`].
const QUICK_MS: u64 = 1_500;

/// Depth control of one lane.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    depth: usize,
    /// Doubling until the queues first grow.
    starting: bool,
    /// Never forgotten: a circuit keeps its path for life, and forgetting would take our own queue for the path.
    shortest_ms: Option<u64>,
    /// Answers since the last step of one.
    answers: usize,
}

impl Pace {
    /// Of a fresh lane.
    #[must_use]
    pub const fn new() -> Self {
        Self { depth: FIRST_DEPTH, starting: true, shortest_ms: None, answers: 0 }
    }

    /// Requests that may be in flight.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// Shortest answer time so far, in milliseconds.
    #[must_use]
    pub const fn rtt_ms(&self) -> Option<u64> {
        self.shortest_ms
    }

    /// Takes in the answer to a request made at `asked`.
    pub fn answered(&mut self, now: Millis, asked: Millis) {
        let took = now.since(asked);
        let shortest = self.shortest_ms.map_or(took, |known| known.min(took));
        self.shortest_ms = Some(shortest);
        let grow_below = shortest.saturating_add(shortest.max(SLACK_MS));
        let shrink_above =
            shortest.saturating_add(shortest.saturating_mul(3).max(SLACK_MS.saturating_mul(4)));
        self.answers = self.answers.saturating_add(1);
        let round = self.answers >= self.depth;
        if took > shrink_above {
            self.starting = false;
        }
        let below_base = self.depth < BASE && took < QUICK_MS;
        if (took < grow_below || below_base) && (self.starting || round) {
            self.depth = self.depth.saturating_add(1).min(MAX_DEPTH_REQUESTS);
        } else if took > shrink_above && round && !(self.depth <= BASE && took < QUICK_MS) {
            self.depth = self.depth.saturating_sub(1).max(FIRST_DEPTH);
        }
        if round {
            self.answers = 0;
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane that moves one block each `per_block` ms after a delay of `rtt` ms; returns the depth after a while.
    fn settle(rtt: u64, per_block: u64, blocks: u64) -> usize {
        let mut pace = Pace::new();
        let (mut now, mut free_at) = (0, 0);
        let mut flying = std::collections::VecDeque::new();
        for _ in 0..blocks {
            while flying.len() < pace.depth() {
                free_at = free_at.max(now + rtt) + per_block;
                flying.push_back((now, free_at));
            }
            let (asked, arrives) = flying.pop_front().unwrap();
            now = arrives;
            pace.answered(Millis(now), Millis(asked));
        }
        pace.depth()
    }

    #[test]
    fn depth_covers_the_round_trip() {
        // 300 ms and 10 ms a block: 30 blocks fill the pipe.
        let depth = settle(300, 10, 2000);
        assert!((30..=MAX_DEPTH_REQUESTS).contains(&depth), "{depth}");
        assert_eq!(settle(1000, 5, 2000), MAX_DEPTH_REQUESTS, "bounded");
    }

    #[test]
    fn a_slow_lane_stays_shallow() {
        assert!(settle(50, 200, 500) <= FIRST_DEPTH, "queueing eight blocks of 200 ms is more than enough");
        assert!(settle(5, 5, 500) >= BASE, "a quick lane keeps enough in flight for Tor");
    }
}
