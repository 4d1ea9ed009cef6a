//! The authorities' memory of past shared randomness.
//!
//! A young network has no shared random value for its first 24 votes. C `tor` manages without; Arti then lacks the
//! second ring of onion service directories and its services never become fully reachable. So the authorities are
//! given a past (format: Tor's `sr-state`, dir-spec section "shared random values").

use std::fs::File;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;

/// A state file with two made-up values, valid during the present period of 24 votes, the same for all authorities.
pub(super) fn state(tor_version: &str, interval_s: u64) -> io::Result<String> {
    let period = 24 * interval_s;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let start = now / period * period;
    let mut bytes = [0; 64];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let (previous, current) = bytes.split_at(32);
    Ok(format!(
        "Version 1\nTorVersion {tor_version}\nValidAfter {}\nValidUntil {}\n\
         SharedRandPreviousValue 3 {}\nSharedRandCurrentValue 3 {}\n",
        date(start),
        date(start + period),
        BASE64.encode(previous),
        BASE64.encode(current)
    ))
}

/// `YYYY-MM-DD HH:MM:SS` in UTC, for times up to the year 9999.
fn date(seconds: u64) -> String {
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = |year| if leap(year) { 366 } else { 365 };
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_leap_days() {
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(date(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(date(1_772_323_200), "2026-03-01 00:00:00");
        assert_eq!(date(1_798_761_599), "2026-12-31 23:59:59");
    }
}
