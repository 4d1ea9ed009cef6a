//! Waiting: always for something, never for longer than told.

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Pause between two looks at a condition that cannot be subscribed to.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Looks at `condition` until it holds. Fails, naming `what` was waited for, once `limit` has passed.
pub fn eventually(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> io::Result<()> {
    found(limit, what, || Ok(condition().then_some(())))
}

/// Calls `look` until it finds a value or fails. Fails, naming `what` was waited for, once `limit` has passed.
pub fn found<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> io::Result<Option<T>>,
) -> io::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if start.elapsed() >= limit {
            let why = format!("waited {:.0} s for this and it did not happen: {what}", limit.as_secs_f64());
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        // The things watched here (other programs' files, sockets and exits) send us no event.
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits for the wall clock to stand `phase` seconds after a multiple of `interval` seconds, or within `room` seconds
/// after that. Directory authorities vote by the wall clock, so this is the event itself.
pub fn clock_phase(interval: f64, phase: f64, room: f64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let late = (now - phase).rem_euclid(interval);
    if late > room {
        std::thread::sleep(Duration::from_secs_f64(interval - late));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_did_not_happen() {
        let error = eventually(Duration::ZERO, "the sea to part", || false).unwrap_err();
        assert!(error.to_string().contains("the sea to part"));
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn returns_the_first_value_found() {
        let mut looks = 0;
        let value = found(Duration::from_secs(5), "a third look", || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(value.unwrap(), 3);
    }
}
