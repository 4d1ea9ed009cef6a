//! What the page draws: traffic, memory and temperature of the last hour and the last day, in two rings of fixed size.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::status::Status;
use crate::sys::thermal;

/// Points in each ring.
pub const POINTS: usize = 120;

/// Between two points of the hour, and of the day.
pub const STEPS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(720)];

/// One point: averages since the point before.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Point {
    /// Bytes a second that came.
    pub down: u64,
    /// Bytes a second that went.
    pub up: u64,
    /// Resident memory in bytes.
    pub memory: u64,
    /// Degrees Celsius of the hottest sensor, where there is one.
    pub celsius: Option<i32>,
}

/// Both rings, oldest first.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct History {
    /// Every 30 seconds.
    pub hour: VecDeque<Point>,
    /// Every 12 minutes.
    pub day: VecDeque<Point>,
}

/// Fills a [`History`].
#[derive(Debug)]
pub(crate) struct Recorder {
    history: History,
    marks: [Mark; 2],
}

/// Where a ring's running point began.
#[derive(Clone, Copy, Debug)]
struct Mark {
    since: Instant,
    down: u64,
    up: u64,
}

impl Recorder {
    pub(crate) fn start(now: Instant) -> Self {
        let mark = Mark { since: now, down: 0, up: 0 };
        Self { history: History::default(), marks: [mark; 2] }
    }

    /// Takes note of the node as it is now. Gives the rings when a point came to them.
    pub(crate) fn note(&mut self, status: &Status, now: Instant) -> Option<History> {
        let (down, up) = totals(status);
        let rings = [&mut self.history.hour, &mut self.history.day];
        let mut grew = false;
        for ((ring, mark), step) in rings.into_iter().zip(&mut self.marks).zip(STEPS) {
            let passed = now.saturating_duration_since(mark.since);
            if passed < step {
                continue;
            }
            let seconds = passed.as_secs().max(1);
            if ring.len() == POINTS {
                ring.pop_front();
            }
            ring.push_back(Point {
                // Less than before means that a share or a fetch was forgotten.
                down: down.saturating_sub(mark.down) / seconds,
                up: up.saturating_sub(mark.up) / seconds,
                memory: status.memory.rss,
                celsius: thermal::hottest(),
            });
            *mark = Mark { since: now, down, up };
            grew = true;
        }
        grew.then(|| self.history.clone())
    }
}

/// Content bytes received and served since the start.
fn totals(status: &Status) -> (u64, u64) {
    let down = status.fetches.iter().map(|fetch| fetch.downloaded).fold(0, u64::saturating_add);
    let given = status.fetches.iter().map(|fetch| fetch.uploaded);
    let served = status.shares.iter().map(|share| share.uploaded);
    (down, given.chain(served).fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Fetch;

    fn after(downloaded: u64) -> Status {
        Status { fetches: vec![Fetch { downloaded, ..Fetch::default() }], ..Status::default() }
    }

    #[test]
    fn points_are_rates_and_their_number_is_bounded() {
        let mut now = Instant::now();
        let mut recorder = Recorder::start(now);
        assert_eq!(recorder.note(&after(0), now), None);
        now += STEPS[0];
        let history = recorder.note(&after(3_000), now).unwrap();
        assert_eq!(history.hour[0].down, 100);
        assert!(history.day.is_empty());
        for _ in 0..3_000 {
            now += STEPS[0];
            recorder.note(&after(0), now);
        }
        assert_eq!((recorder.history.hour.len(), recorder.history.day.len()), (POINTS, POINTS));
    }
}
