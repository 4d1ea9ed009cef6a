//! The hardware's watchdog: it starts the machine anew when the first process hangs. It is fed by a thread of its own, as long as the
//! main loop was heard of lately, or the machine is being ended and still has time for it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::console::say;
use crate::sys::board::system;

/// How long the hardware waits for us; boards' own limits are 15 s and more.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it hears from us, and we from the main loop.
const EVERY: Duration = Duration::from_secs(5);

/// How long the main loop may be silent: starting a program from a slow card is fine, hanging is not.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the end may take: disks write out what they were given, at some MB/s.
const END: Duration = Duration::from_mins(2);

/// Written before it is closed, this letter switches it off (linux/watchdog.h, "magic close").
const GOODBYE: &[u8] = b"V";

/// The one of this machine, once it is in use.
static WATCHDOG: OnceLock<Arc<Watchdog>> = OnceLock::new();

/// Says that the main loop lives, as long as it does. A machine without a watchdog goes on without.
pub(super) async fn run() {
    let Ok(file) = OpenOptions::new().write(true).open("/dev/watchdog") else { return };
    if let Err(error) = system::watchdog_patience(&file, PATIENCE) {
        say(&format!("the watchdog keeps its own time: {error}"));
    }
    let watchdog = Arc::clone(WATCHDOG.get_or_init(|| Arc::new(Watchdog::new(file, Instant::now()))));
    let feeder = Arc::clone(&watchdog);
    thread::spawn(move || feeder.feed(EVERY));
    loop {
        watchdog.state().trust.beat(Instant::now());
        tokio::time::sleep(EVERY).await;
    }
}

/// The main loop is over; the machine may take [`END`] for what is left to do.
pub(super) fn end() {
    if let Some(watchdog) = WATCHDOG.get() {
        watchdog.state().trust.end(Instant::now());
    }
}

/// Switches it off; a machine that is being switched off needs no dog.
pub(super) fn release() {
    if let Some(watchdog) = WATCHDOG.get() {
        watchdog.release();
    }
}

/// Until when all is believed to be well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Trust {
    until: Instant,
    /// No beat counts any more.
    ends: bool,
}

impl Trust {
    fn new(now: Instant) -> Self {
        Self { until: now + SILENCE, ends: false }
    }

    /// The main loop lives.
    fn beat(&mut self, now: Instant) {
        if !self.ends {
            self.until = now + SILENCE;
        }
    }

    /// The machine is being ended.
    fn end(&mut self, now: Instant) {
        if !self.ends {
            *self = Self { until: now + END, ends: true };
        }
    }

    fn holds(self, now: Instant) -> bool {
        now < self.until
    }
}

/// The device and what is known of the main loop.
#[derive(Debug)]
struct Watchdog(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Gone once it is switched off.
    file: Option<File>,
    trust: Trust,
}

impl Watchdog {
    fn new(file: File, now: Instant) -> Self {
        Self(Mutex::new(State { file: Some(file), trust: Trust::new(now) }))
    }

    /// Feeds it, until it is switched off or bites.
    fn feed(&self, every: Duration) {
        while self.feed_once(Instant::now()) {
            thread::sleep(every);
        }
    }

    /// False when there is nothing to feed any more.
    fn feed_once(&self, now: Instant) -> bool {
        let mut state = self.state();
        let trusted = state.trust.holds(now);
        let Some(file) = state.file.as_mut() else { return false };
        if trusted {
            let _ = file.write_all(b"1"); // it will speak for itself
        }
        true
    }

    fn release(&self) {
        if let Some(mut file) = self.state().file.take() {
            let _ = file.write_all(GOODBYE);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::scratch::Scratch;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_loop_that_hangs_is_trusted_for_a_while_only() {
        let start = Instant::now();
        let mut trust = Trust::new(start);
        trust.beat(start + EVERY);
        let last = start + EVERY + SILENCE;
        assert!(trust.holds(start + EVERY + SILENCE / 2), "slow is fine");
        assert!(!trust.holds(last), "hanging is not");
        trust.beat(last);
        assert!(trust.holds(last), "it was slow after all");
    }

    #[test]
    fn the_end_has_its_time_and_no_more() {
        let start = Instant::now();
        let mut trust = Trust::new(start);
        trust.end(start);
        assert!(trust.holds(start + END / 2) && !trust.holds(start + END));
        trust.beat(start + END);
        trust.end(start + END);
        assert!(!trust.holds(start + END), "nothing makes it longer");
    }

    #[test]
    fn it_is_fed_without_the_main_loop_and_switched_off() {
        let folder = Scratch::new("watchdog");
        let path = folder.path().join("dog");
        let start = Instant::now();
        let watchdog = Arc::new(Watchdog::new(File::create(&path).unwrap(), start));
        let said = || fs::read_to_string(&path).unwrap();
        assert!(watchdog.feed_once(start) && watchdog.feed_once(start + SILENCE), "nobody beats");
        assert_eq!(said(), "1");
        watchdog.state().trust.end(start + SILENCE);
        let feeder = Arc::clone(&watchdog);
        let feeder = thread::spawn(move || feeder.feed(Duration::from_millis(1)));
        let limit = start + 10 * SECOND;
        while said().len() < 4 && Instant::now() < limit {
            thread::yield_now();
        }
        watchdog.release();
        feeder.join().unwrap();
        let said = said();
        assert!(said.len() >= 5 && said.ends_with("1V") && said.matches('V').count() == 1, "{said}");
    }
}
