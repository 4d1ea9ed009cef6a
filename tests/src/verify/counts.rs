//! How many tests passed, as cargo-nextest and libtest print it.

use std::error::Error;
use std::fmt;
use std::io;

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Counts {
    /// Both together.
    pub(super) const fn and(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// Adds what one line of output tells, if it is a line that sums up.
    pub(super) fn read(&mut self, line: &str) {
        let sums =
            line.contains("tests run:") || line.contains("test run:") || line.starts_with("test result:");
        if !sums {
            return;
        }
        let words: Vec<&str> = line.split([' ', ',', ';']).collect();
        for pair in words.windows(2) {
            if let [number, word] = pair {
                let number = number.parse().unwrap_or(0);
                match *word {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    _ => {}
                }
            }
        }
    }
}

/// An error that carries counts.
pub(super) fn error(why: &str, counts: Counts) -> io::Error {
    io::Error::other(Failed { why: why.to_owned(), counts })
}

/// The counts an error carries; any error is at least one failure.
pub(super) fn of_error(error: &io::Error) -> Counts {
    let carried = error.get_ref().and_then(|inner| inner.downcast_ref::<Failed>());
    let counts = carried.map(|failed| failed.counts).unwrap_or_default();
    Counts { failed: counts.failed.max(1), ..counts }
}

#[derive(Debug)]
struct Failed {
    why: String,
    counts: Counts,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Error for Failed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_runners() {
        let mut counts = Counts::default();
        counts.read("     Summary [  47.140s] 20 tests run: 18 passed (1 slow), 2 failed, 1 skipped");
        counts.read("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        counts.read("a log line: 9 passed, 9 failed");
        assert_eq!(counts, Counts { passed: 21, failed: 2 });
    }

    #[test]
    fn an_error_without_counts_is_one_failure() {
        assert_eq!(of_error(&io::Error::other("no")), Counts { passed: 0, failed: 1 });
    }
}
