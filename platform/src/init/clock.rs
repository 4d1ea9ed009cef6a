//! A board without a battery starts in 1970. Its image is younger than that.

use std::time::{Duration, SystemTime};

use super::console::say;
use crate::sys::board::system;

/// Moves the clock to the image's own time when it is before that. Tor tells the node the rest.
pub(super) fn floor(epoch: u64) {
    let floor = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
    if SystemTime::now() < floor
        && let Err(error) = system::set_clock(floor)
    {
        say(&format!("the clock is before the image was made and cannot be set: {error}"));
    }
}
