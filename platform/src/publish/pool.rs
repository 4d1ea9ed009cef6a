//! Which backend is next: the one with the fewest streams among those that work. Pure; time is passed in.

use std::time::{Duration, Instant};

/// How long a backend that failed is left out before it is tried again, at first and at most.
const REST: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));

/// What is known of each backend behind one virtual port.
#[derive(Debug)]
pub(super) struct Pool(Vec<Member>);

/// What is known of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Streams it serves now.
    pub(super) streams: u32,
    /// Streams it was given.
    pub(super) served: u64,
    /// Left out until then.
    resting: Option<Instant>,
    /// Failures since it last worked.
    failures: u32,
    /// The last failure was silence, which taking a connection does not disprove.
    silent: bool,
    /// When it last sent a byte to anyone.
    spoke: Option<Instant>,
}

impl Pool {
    pub(super) fn new(backends: usize) -> Self {
        let fresh = Member { streams: 0, served: 0, resting: None, failures: 0, silent: false, spoke: None };
        Self(vec![fresh; backends])
    }

    /// The best backend that is not in `tried`: one that works, with the fewest streams, least used so far. If none
    /// works, the one that has rested longest: better a try than a refusal.
    pub(super) fn pick(&self, tried: &[usize], now: Instant) -> Option<usize> {
        let free = || self.0.iter().enumerate().filter(|(at, _)| !tried.contains(at));
        let well = free().filter(|(_, member)| member.is_up(now));
        let best = well.min_by_key(|(_, member)| (member.streams, member.served));
        best.or_else(|| free().min_by_key(|(_, member)| member.resting)).map(|(at, _)| at)
    }

    /// A stream goes to it.
    pub(super) fn begin(&mut self, at: usize) {
        if let Some(member) = self.0.get_mut(at) {
            member.streams = member.streams.saturating_add(1);
            member.served = member.served.saturating_add(1);
        }
    }

    /// The stream is over.
    pub(super) fn end(&mut self, at: usize) {
        if let Some(member) = self.0.get_mut(at) {
            member.streams = member.streams.saturating_sub(1);
        }
    }

    /// It sent something.
    pub(super) fn works(&mut self, at: usize, now: Instant) {
        if let Some(member) = self.0.get_mut(at) {
            (member.resting, member.failures, member.silent, member.spoke) = (None, 0, false, Some(now));
        }
    }

    /// It takes connections, which says nothing of whether it answers.
    pub(super) fn connects(&mut self, at: usize) {
        if let Some(member) = self.0.get_mut(at).filter(|member| !member.silent) {
            (member.resting, member.failures) = (None, 0);
        }
    }

    /// It did not connect, broke off, or failed its check: others are asked for a while, longer each time.
    pub(super) fn fails(&mut self, at: usize, now: Instant) {
        if let Some(member) = self.0.get_mut(at) {
            let factor = 1_u32.checked_shl(member.failures.min(16)).unwrap_or(u32::MAX);
            member.failures = member.failures.saturating_add(1);
            member.resting = now.checked_add(REST.0.saturating_mul(factor).min(REST.1));
        }
    }

    /// It has kept a stream waiting since `asked`. That counts as a failure unless it has spoken to another since.
    pub(super) fn hangs(&mut self, at: usize, asked: Instant, now: Instant) {
        if self.0.get(at).is_some_and(|member| member.spoke.is_none_or(|spoke| spoke < asked)) {
            self.fails(at, now);
            if let Some(member) = self.0.get_mut(at) {
                member.silent = true;
            }
        }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }
}

impl Member {
    /// Whether it is given streams before others are.
    pub(super) fn is_up(&self, now: Instant) -> bool {
        self.resting.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_busy_one_is_picked() {
        let now = Instant::now();
        let mut pool = Pool::new(3);
        for expected in [0, 1, 2, 0] {
            let at = pool.pick(&[], now).unwrap();
            assert_eq!(at, expected);
            pool.begin(at);
        }
        pool.end(2);
        assert_eq!(pool.pick(&[], now), Some(2));
        assert_eq!(pool.pick(&[2], now), Some(1));
        assert_eq!(pool.pick(&[0, 1, 2], now), None);
    }

    #[test]
    fn one_that_fails_rests_longer_each_time() {
        let now = Instant::now();
        let mut pool = Pool::new(2);
        pool.fails(0, now);
        assert_eq!(pool.pick(&[], now), Some(1));
        assert_eq!(pool.pick(&[], now + REST.0), Some(0));
        pool.fails(0, now);
        assert_eq!(pool.pick(&[], now + REST.0), Some(1));
        pool.works(0, now);
        assert_eq!(pool.pick(&[], now), Some(0));
        for _ in 0..100 {
            pool.fails(0, now);
        }
        assert_eq!(pool.pick(&[], now + REST.1), Some(0));
    }

    #[test]
    fn if_none_works_the_one_that_rested_longest_is_tried() {
        let now = Instant::now();
        let mut pool = Pool::new(2);
        pool.fails(1, now);
        pool.fails(0, now + Duration::from_secs(1));
        assert_eq!(pool.pick(&[], now), Some(1));
    }

    #[test]
    fn a_slow_answer_is_no_failure_while_others_are_answered() {
        let (asked, later) = (Instant::now(), Instant::now() + Duration::from_secs(9));
        let mut pool = Pool::new(2);
        pool.works(0, asked + Duration::from_secs(1));
        pool.hangs(0, asked, later);
        assert!(pool.members().next().unwrap().is_up(later));
        pool.hangs(1, asked, later);
        assert!(!pool.members().nth(1).unwrap().is_up(later));
        pool.connects(1);
        assert!(!pool.members().nth(1).unwrap().is_up(later), "a connection is no answer");
        pool.works(1, later);
        assert!(pool.members().nth(1).unwrap().is_up(later));
    }
}
