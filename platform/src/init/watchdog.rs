//! The hardware's watchdog: it starts the machine anew when the first process hangs. It is fed by a thread of its own, as long as the
//! main loop was heard of lately, or the machine is being ended and still has time for it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::console::say;
use crate::sys::board::system;

/// The hardware, once its driver is loaded.
const DEVICE: &str = "/dev/watchdog";

/// How long the hardware waits for us; boards' own limits are 15 s and more.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it hears from us, and we from the main loop.
const EVERY: Duration = Duration::from_secs(5);

/// Pause between two looks for the hardware, and how long it is looked for: loading all drivers takes less.
const LOOK: Duration = Duration::from_millis(200);
const APPEAR: Duration = Duration::from_mins(2);

/// How long the main loop may be silent: starting a program from a slow card is fine, hanging is not.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the end may take: disks write out what they were given, at some MB/s.
const END: Duration = Duration::from_mins(2);

/// Written before it is closed, this letter switches it off (linux/watchdog.h, "magic close").
const GOODBYE: &[u8] = b"V";

/// A word of the kernel's command line, for machines that cannot bear that it is touched: `board.watchdog` is read too late for them.
const UNTOUCHED: &str = "bulbil.watchdog=off";

/// The one of this machine, once it is in use.
static WATCHDOG: OnceLock<Arc<Watchdog>> = OnceLock::new();

/// Starts it, before anything that can hang. A machine without a watchdog goes on without.
pub(super) fn start() {
    let words = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if words.split_whitespace().any(|word| word == UNTOUCHED) {
        return;
    }
    let watchdog = Arc::clone(WATCHDOG.get_or_init(|| Arc::new(Watchdog::new(Instant::now()))));
    let keep = move || watchdog.keep(Path::new(DEVICE), (LOOK, APPEAR), EVERY);
    if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(keep) {
        say(&format!("there is no watchdog: {error}"));
    }
}

/// Says that the main loop lives, as long as it does.
pub(super) async fn run() {
    loop {
        beat();
        tokio::time::sleep(EVERY).await;
    }
}

/// The main loop lives.
pub(super) fn beat() {
    if let Some(watchdog) = WATCHDOG.get() {
        watchdog.state().trust.beat(Instant::now());
    }
}

/// The main loop is over; the machine may take [`END`] for what is left to do.
pub(super) fn end() {
    if let Some(watchdog) = WATCHDOG.get() {
        watchdog.state().trust.end(Instant::now());
    }
}

/// Switches it off; a machine that is being switched off needs no dog, and some owners want none.
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
    /// Not there before its driver is.
    file: Option<File>,
    /// It is switched off, or will not come.
    over: bool,
    trust: Trust,
}

impl Watchdog {
    fn new(now: Instant) -> Self {
        Self(Mutex::new(State { file: None, over: false, trust: Trust::new(now) }))
    }

    /// Opens it when it is there, which starts it, and feeds it, until it is switched off or bites. Looked for this often, for so long.
    fn keep(&self, device: &Path, (look, appear): (Duration, Duration), every: Duration) {
        let until = Instant::now() + appear;
        while self.open(device) {
            if Instant::now() >= until {
                return self.release();
            }
            thread::sleep(look);
        }
        while self.feed_once(Instant::now()) {
            thread::sleep(every);
        }
    }

    /// Whether it has to be tried again.
    fn open(&self, device: &Path) -> bool {
        // Held, so that nobody switches off what is just being opened.
        let mut state = self.state();
        if state.over {
            return false;
        }
        let Ok(file) = OpenOptions::new().write(true).open(device) else { return true };
        if let Err(error) = system::watchdog_patience(&file, PATIENCE) {
            say(&format!("the watchdog keeps its own time: {error}"));
        }
        state.file = Some(file);
        false
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
        let mut state = self.state();
        state.over = true;
        if let Some(mut file) = state.file.take() {
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
        let watchdog = Arc::new(Watchdog::new(start));
        assert!(watchdog.open(&path) && !watchdog.feed_once(start), "its driver is not loaded yet");
        fs::write(&path, "").unwrap();
        let said = || fs::read_to_string(&path).unwrap();
        assert!(!watchdog.open(&path));
        assert!(watchdog.feed_once(start) && watchdog.feed_once(start + SILENCE), "nobody beats");
        assert_eq!(said(), "1");
        watchdog.state().trust.end(start + SILENCE);
        let (feeder, device) = (Arc::clone(&watchdog), path.clone());
        let soon = Duration::from_millis(1);
        let feeder = thread::spawn(move || feeder.keep(&device, (soon, 10 * SECOND), soon));
        let limit = start + 10 * SECOND;
        while !said().contains("1111") && Instant::now() < limit {
            thread::yield_now();
        }
        watchdog.release();
        feeder.join().unwrap();
        let said = said();
        assert!(said.len() >= 5 && said.ends_with("1V") && said.matches('V').count() == 1, "{said}");
        assert!(!watchdog.open(&path) && !watchdog.feed_once(start), "off is off");
    }

    #[test]
    fn one_that_does_not_come_is_given_up() {
        let watchdog = Watchdog::new(Instant::now());
        watchdog.keep(Path::new("/nowhere/dog"), (Duration::ZERO, Duration::from_millis(1)), SECOND);
        assert!(watchdog.state().over);
    }
}
