//! The last lines that were logged, for the page. Debug lines never come here: they are not scrubbed.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// Lines kept.
const LINES: usize = 400;

/// Characters of a line that are kept.
const LENGTH: usize = 400;

/// One line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Line {
    /// Seconds since the first line.
    pub(crate) after_s: u64,
    /// `error`, `warn` or `info`.
    pub(crate) level: String,
    /// Scrubbed.
    pub(crate) text: String,
}

static RING: Mutex<Ring> = Mutex::new(Ring { began: None, lines: VecDeque::new() });

struct Ring {
    began: Option<Instant>,
    lines: VecDeque<Line>,
}

/// Keeps a line that was scrubbed.
pub(super) fn keep(level: &str, text: &str) {
    let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
    let after_s = ring.began.get_or_insert_with(Instant::now).elapsed().as_secs();
    if ring.lines.len() == LINES {
        ring.lines.pop_front();
    }
    let text = text.chars().take(LENGTH).collect();
    ring.lines.push_back(Line { after_s, level: level.to_owned(), text });
}

/// The lines kept, oldest first.
pub(crate) fn recent() -> Vec<Line> {
    RING.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lines_make_room_and_long_ones_are_cut() {
        for number in 0..LINES + 5 {
            keep("info", &format!("{number} {}", "x".repeat(LENGTH)));
        }
        let lines = recent();
        assert_eq!(lines.len(), LINES);
        assert!(lines.iter().all(|line| line.text.chars().count() <= LENGTH));
        assert!(lines[LINES - 1].text.starts_with(&format!("{} ", LINES + 4)));
    }
}
