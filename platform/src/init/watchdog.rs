//! The hardware's watchdog: it starts the machine anew when the first process hangs.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use super::console::say;
use crate::sys::board::system;

/// How long the watchdog waits for us; boards' own limits are 15 s and more.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it hears from us.
const EVERY: Duration = Duration::from_secs(5);

/// Written before it is closed, this letter switches it off (linux/watchdog.h, "magic close").
const GOODBYE: &[u8] = b"V";

thread_local! {
    static WATCHDOG: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// Tells the watchdog that we live, as long as we do. A machine without one goes on without.
pub(super) async fn run() {
    let Ok(file) = OpenOptions::new().write(true).open("/dev/watchdog") else { return };
    if let Err(error) = system::watchdog_patience(&file, PATIENCE) {
        say(&format!("the watchdog keeps its own time: {error}"));
    }
    WATCHDOG.set(Some(file));
    loop {
        WATCHDOG.with_borrow_mut(|file| {
            if let Some(file) = file {
                let _ = file.write_all(b"1"); // it will speak for itself
            }
        });
        tokio::time::sleep(EVERY).await;
    }
}

/// Switches it off; a machine that is being switched off needs no dog.
pub(super) fn release() {
    WATCHDOG.with_borrow_mut(|file| {
        if let Some(mut file) = file.take() {
            let _ = file.write_all(GOODBYE);
        }
    });
}
