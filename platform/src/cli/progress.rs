//! A progress bar on stderr; plain lines, now and then, where that is no terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::status::{Fetch, FetchState, NetStatus};
use crate::words::{percent, rate, size, time_left};

/// Cells of the bar.
const CELLS: u64 = 24;

/// Between two plain lines that say the same but for numbers.
const PLAIN: Duration = Duration::from_secs(10);

/// One line that is drawn over and over.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    last: Option<(Instant, FetchState, u64)>,
    connecting: bool,
    said: String,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { terminal: stderr().is_terminal(), last: None, connecting: true, said: String::new() }
    }

    /// The fetch has moved on.
    pub(super) fn show(&mut self, fetch: &Fetch) {
        self.connecting = matches!(fetch.state, FetchState::Connecting);
        let (percent, now) = (done(fetch), Instant::now());
        let due = self.last.as_ref().is_none_or(|(then, state, tenth)| {
            *state != fetch.state || *tenth != percent / 10 || now.duration_since(*then) >= PLAIN
        });
        if self.terminal || due {
            self.last = Some((now, fetch.state.clone(), percent / 10));
            self.say(&line(fetch, self.terminal));
        }
    }

    /// The network has moved on, which matters while nobody is reached yet.
    pub(super) fn net(&mut self, net: &NetStatus) {
        if self.connecting && !net.ready {
            let why = net.blocked.as_ref().unwrap_or(&net.doing);
            self.say(&format!("Tor {} % {why}", net.percent));
        }
    }

    /// Leaves the last line standing.
    pub(super) fn end(&mut self) {
        if self.terminal && !self.said.is_empty() {
            let _ = writeln!(stderr());
        }
    }

    fn say(&mut self, text: &str) {
        if self.said == text {
            return;
        }
        text.clone_into(&mut self.said);
        // Back to the start, the text, and the rest of the old line erased. Nobody to tell if stderr is gone.
        let mut out = stderr().lock();
        let _ = if self.terminal { write!(out, "\r{text}\x1b[K") } else { writeln!(out, "{text}") };
        let _ = out.flush();
    }
}

fn done(fetch: &Fetch) -> u64 {
    fetch.size.map_or(0, |size| percent(fetch.done, size))
}

/// `[=====     ]  42 %  1.2 MiB/s  4 lanes  3 min 10 s left`
fn line(fetch: &Fetch, bar: bool) -> String {
    let word = match &fetch.state {
        FetchState::Connecting => return "connecting…".to_owned(),
        FetchState::Waiting(why) => return format!("waiting: {why}"),
        FetchState::Learning => return "reading metadata…".to_owned(),
        FetchState::Failed(_) => "failed",
        FetchState::Done => "done",
        FetchState::Fetching => "",
    };
    let percent = done(fetch);
    let whole = fetch.size.unwrap_or(0);
    let full = usize::try_from(percent * CELLS / 100).unwrap_or(0);
    let cells = if bar { format!("[{:24}] ", "=".repeat(full)) } else { String::new() };
    let how = if word.is_empty() {
        let left = time_left(whole.saturating_sub(fetch.done), fetch.rate);
        let left = left.map(|span| format!("  {span} left")).unwrap_or_default();
        let lanes = if fetch.lanes == 1 { "lane" } else { "lanes" };
        format!("{}  {} {lanes}{left}", rate(fetch.rate), fetch.lanes)
    } else {
        word.to_owned()
    };
    format!("{cells}{percent:3} % of {}  {how}", size(whole))
}

/// Progress of work done by this very process: shown on terminals only.
#[derive(Debug)]
pub(super) struct Meter {
    word: &'static str,
    terminal: bool,
    last: Option<u64>,
}

impl Meter {
    pub(super) fn new(word: &'static str) -> Self {
        Self { word, terminal: stderr().is_terminal(), last: None }
    }

    /// Draws when the percentage has changed.
    pub(super) fn show(&mut self, done: u64, all: u64) {
        let percent = percent(done, all);
        if self.terminal && self.last != Some(percent) {
            self.last = Some(percent);
            let _ = write!(stderr(), "\r{} {percent:3} % of {}\x1b[K", self.word, size(all));
        }
    }

    /// Erases the line.
    pub(super) fn end(&mut self) {
        if self.last.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_it_goes() {
        let fetch = Fetch {
            size: Some(100 << 20),
            done: 50 << 20,
            rate: 1 << 20,
            lanes: 4,
            state: FetchState::Fetching,
            ..Fetch::default()
        };
        assert_eq!(
            line(&fetch, true),
            "[============            ]  50 % of 100 MiB  1.0 MiB/s  4 lanes  50 s left"
        );
        let stuck = Fetch { rate: 0, lanes: 1, ..fetch.clone() };
        assert_eq!(line(&stuck, false), " 50 % of 100 MiB  0 B/s  1 lane");
        let done = Fetch { done: 100 << 20, state: FetchState::Done, ..fetch };
        assert_eq!(line(&done, false), "100 % of 100 MiB  done");
    }
}
