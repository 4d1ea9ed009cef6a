//! The clock of a board without a battery. It starts in 1970, or anywhere; an image knows a time before which it cannot be, and Tor's
//! relays, or a server that the owner names, tell the rest.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::console::say;
use crate::sys::board::system;

/// Nothing is older than an image by so much, in seconds: 20 years.
const LIFE_S: u64 = 20 * 366 * 86_400;

/// What relays say is believed from so many seconds on; Tor bears less, and so do certificates.
const NOTABLE_S: u64 = 60;

/// Steps after what relays say: so many, one more for each day, and so far apart. A lie makes Tor fail, as the relays' certificates are
/// not of that time; then they are asked again.
const STEPS: u32 = 8;
const BACK: Duration = Duration::from_hours(24);
const APART: Duration = Duration::from_secs(60);

/// What is told with the last one.
const SPENT: &str = "relays have moved this clock often and move it once a day from now on; if it goes wrong by itself, name a time \
                     server with board.time_server in bulbil.toml";

/// What Tor still says after a step is the same as before, give or take so many seconds, until it has asked again.
const STALE_S: u64 = 30;

/// See the module.
#[derive(Debug)]
pub(super) struct Clock {
    /// The earliest time it can be.
    floor: SystemTime,
    steps: Cell<Steps>,
    last: RefCell<Option<(Instant, i64)>>,
}

/// Steps that are left, and since when the next one is on its way back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Steps {
    left: u32,
    since: Instant,
}

impl Steps {
    /// With those that came back until now.
    fn at(self, now: Instant) -> Self {
        let passed = now.duration_since(self.since).as_secs() / BACK.as_secs();
        let days = u32::try_from(passed).unwrap_or(u32::MAX);
        let left = self.left.saturating_add(days).min(STEPS);
        // Nothing is on its way while all are there.
        let since = if left == STEPS { now } else { self.since + BACK * days };
        Self { left, since }
    }
}

/// Why a time cannot be.
const BEFORE: &str = "that is before the image was made";
const AFTER: &str = "that is 20 years after the image was made";

impl Clock {
    /// Moves the clock to the image's own time (seconds since 1970) when it is before that, and says so.
    pub(super) fn start(epoch: u64) -> Self {
        let floor = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
        if let Some(words) = raise(SystemTime::now(), floor, system::set_clock) {
            say(&words);
        }
        let steps = Steps { left: STEPS, since: Instant::now() };
        Self { floor, steps: Cell::new(steps), last: RefCell::new(None) }
    }

    /// The earliest time it can be.
    pub(super) const fn floor(&self) -> SystemTime {
        self.floor
    }

    /// Relays say that the clock is ahead by so many seconds (negative: behind).
    pub(super) fn heed_relays(&self, skew: i64) {
        let now = Instant::now();
        if !self.is_news(skew, now) {
            return;
        }
        let steps = self.steps.get().at(now);
        self.steps.set(Steps { left: steps.left.saturating_sub(1), ..steps });
        self.last.replace(Some((now, skew)));
        // Whole seconds are all that relays tell.
        let by = Duration::from_secs(skew.unsigned_abs());
        self.step(by, skew < 0, "Tor's relays say");
        if steps.left == 1 {
            say(SPENT);
        }
    }

    fn is_news(&self, skew: i64, now: Instant) -> bool {
        if skew.unsigned_abs() < NOTABLE_S || self.steps.get().at(now).left == 0 {
            return false;
        }
        match *self.last.borrow() {
            None => true,
            Some((at, before)) => now.duration_since(at) >= APART && before.abs_diff(skew) > STALE_S,
        }
    }

    /// Moves the clock, forward or back, and says so. What cannot be is refused.
    pub(super) fn step(&self, by: Duration, forward: bool, who: &str) {
        let way = if forward { "behind" } else { "ahead" };
        let what = format!("the clock is {} s {way}, {who}", by.as_secs());
        let done = self.target(SystemTime::now(), by, forward);
        match done.map(|to| system::set_clock(to).map_err(|error| error.to_string())) {
            Ok(Ok(())) => say(&format!("{what}; it was set right")),
            Ok(Err(error)) => say(&format!("{what}, but it cannot be set: {error}")),
            Err(why) => say(&format!("{what}, but {why}; it is left as it is")),
        }
    }

    fn target(&self, now: SystemTime, by: Duration, forward: bool) -> Result<SystemTime, &'static str> {
        let to = if forward { now.checked_add(by).ok_or(AFTER) } else { now.checked_sub(by).ok_or(BEFORE) }?;
        if to < self.floor {
            return Err(BEFORE);
        }
        let last = self.floor + Duration::from_secs(LIFE_S);
        // An image without a date of its own knows no bounds.
        if to > last && self.floor > SystemTime::UNIX_EPOCH { Err(AFTER) } else { Ok(to) }
    }
}

/// Sets a clock that is before `floor`: what to tell of it.
fn raise(
    now: SystemTime,
    floor: SystemTime,
    set: impl FnOnce(SystemTime) -> io::Result<()>,
) -> Option<String> {
    let behind = floor.duration_since(now).ok().filter(|behind| !behind.is_zero())?;
    let what = format!("the clock is {} s before the image was made", behind.as_secs());
    Some(match set(floor) {
        Ok(()) => format!("{what}; it was set to the image's date, and Tor's relays tell the rest"),
        Err(error) => format!("{what} and cannot be set: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        // Before any test runs: nothing is set.
        Clock::start(1_700_000_000)
    }

    #[test]
    fn the_clock_stays_between_the_image_and_its_end() {
        let clock = clock();
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let day = Duration::from_secs(86_400);
        assert_eq!(clock.target(at(1_700_000_000), day, true), Ok(at(1_700_086_400)));
        assert_eq!(clock.target(at(1_700_086_400), day, false), Ok(clock.floor()));
        assert_eq!(clock.target(at(1_700_086_399), day, false), Err(BEFORE));
        assert_eq!(
            clock.target(at(1_700_000_000), Duration::from_secs(LIFE_S), true),
            Ok(at(1_700_000_000 + LIFE_S))
        );
        assert_eq!(clock.target(at(1_700_000_001), Duration::from_secs(LIFE_S), true), Err(AFTER));
        assert_eq!(clock.target(at(1_700_000_000), Duration::MAX, true), Err(AFTER), "no time at all");
    }

    #[test]
    fn a_clock_before_the_image_is_raised_and_told_of() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let set = Cell::new(None);
        let done = |to| {
            set.set(Some(to));
            Ok(())
        };
        assert_eq!(raise(at(100), at(100), done), None);
        assert_eq!((raise(at(101), at(100), done), set.get()), (None, None), "it is late enough");
        let words = raise(at(40), at(100), done).unwrap();
        assert_eq!(set.get(), Some(at(100)));
        assert!(words.starts_with("the clock is 60 s before the image was made; it was set to"), "{words}");
        let words = raise(at(40), at(100), |_| Err(io::ErrorKind::PermissionDenied.into())).unwrap();
        assert!(words.contains("cannot be set"), "{words}");
    }

    #[test]
    fn what_relays_said_before_a_step_is_not_heeded_twice() {
        let (clock, now) = (clock(), Instant::now());
        assert!(clock.is_news(-90, now) && !clock.is_news(59, now) && clock.is_news(i64::MIN, now));
        clock.last.replace(Some((now, -5000)));
        let later = now + APART;
        assert!(!clock.is_news(-4000, now), "too soon");
        assert!(!clock.is_news(-5000, later) && !clock.is_news(-4990, later), "the same as before the step");
        assert!(clock.is_news(300, later) && clock.is_news(-300, later));
    }

    #[test]
    fn steps_come_back_one_a_day() {
        let (clock, now) = (clock(), Instant::now());
        let none = Steps { left: 0, since: now };
        clock.steps.set(none);
        let almost = now + BACK.checked_sub(Duration::from_secs(1)).unwrap();
        assert!(!clock.is_news(300, almost) && clock.is_news(300, now + BACK));
        // What is left of a day counts for the next one.
        let later = now + BACK * 2 + BACK / 2;
        assert_eq!(none.at(later), Steps { left: 2, since: now + BACK * 2 });
        let full = now + BACK * 400;
        assert_eq!(none.at(full), Steps { left: STEPS, since: full }, "no more than at first");
    }
}
