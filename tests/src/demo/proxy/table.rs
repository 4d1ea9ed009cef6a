//! The table of the story: filled from the thread that plays a part, whatever becomes of that.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// One line. One that measured nothing has no value and does not pass.
#[derive(Clone, Debug)]
pub(super) struct Row {
    name: String,
    pass: bool,
    value: Option<f64>,
    unit: &'static str,
}

/// All lines so far, as they were printed.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Row>);

/// Where a part puts its lines.
#[derive(Debug)]
pub(super) struct Lines(Sender<Row>);

impl Lines {
    /// A figure without an aim.
    pub(super) fn tell(&self, name: &str, value: f64, unit: &'static str) {
        self.judge(name, true, value, unit);
    }

    /// A figure that passes or does not.
    pub(super) fn judge(&self, name: &str, pass: bool, value: f64, unit: &'static str) {
        self.send(Row { name: name.to_owned(), pass, value: Some(value), unit });
    }

    /// What `measured` holds; a failure becomes a line, so that the part goes on.
    pub(super) fn or_fail<T>(&self, name: &str, measured: io::Result<T>) -> Option<T> {
        measured.inspect_err(|error| self.send(Row::failed(format!("{name}: {error}")))).ok()
    }

    /// Nobody listens to a part that has been given up.
    fn send(&self, row: Row) {
        let _ = self.0.send(row);
    }
}

impl Table {
    /// Plays a part on a thread of its own and prints its lines as they come. It is given up once `limit` has passed,
    /// which is a line too; what it had open then may disturb the parts after it.
    pub(super) fn play<S: Send + Sync + 'static>(
        &mut self,
        (name, limit): (&str, Duration),
        stage: &Arc<S>,
        part: impl FnOnce(&S, &Lines) -> io::Result<()> + Send + 'static,
    ) {
        println!("\n{name}");
        let (send, lines) = mpsc::channel();
        let stage = Arc::clone(stage);
        let player = thread::spawn(move || part(&stage, &Lines(send)));
        let until = Instant::now() + limit;
        let end = loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(row) => self.add(row),
                Err(end) => break end,
            }
        };
        let why = match end {
            RecvTimeoutError::Timeout => format!("not over after {} s", limit.as_secs()),
            RecvTimeoutError::Disconnected => match player.join() {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked".to_owned(),
            },
        };
        self.add(Row::failed(format!("{name}: {why}")));
    }

    /// A part that could not even begin.
    pub(super) fn fail(&mut self, name: &str, error: &io::Error) {
        self.add(Row::failed(format!("{name}: {error}")));
    }

    fn add(&mut self, row: Row) {
        println!("  {row}");
        self.0.push(row);
    }

    /// All lines once more.
    pub(super) fn print(&self) {
        let failed = self.0.iter().filter(|row| !row.pass).count();
        println!("\nall together: {} lines, {failed} of them failed", self.0.len());
        for row in &self.0 {
            println!("  {row}");
        }
    }

    /// Whether there are lines and all of them passed.
    pub(super) fn pass(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|row| row.pass)
    }

    /// `{"rows": [{"name", "pass", "value", "unit"}…]}`; the value of a line that measured nothing is null.
    pub(super) fn json(&self) -> Value {
        json!({ "rows": self.0.iter().map(Row::json).collect::<Vec<_>>() })
    }
}

impl Row {
    fn failed(name: String) -> Self {
        Self { name, pass: false, value: None, unit: "" }
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "pass": self.pass, "value": self.value, "unit": self.unit })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.pass { "pass" } else { "FAIL" };
        let value = self.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        write!(f, "{word}  {value:>10} {:<6} {}", self.unit, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_part_that_fails_keeps_its_lines_and_does_not_stop_the_next() {
        let (mut table, stage) = (Table::default(), Arc::new(7.0));
        table.play(("first", LONG), &stage, |stage, lines| {
            lines.tell("figure", *stage, "s");
            lines.or_fail("step", Err::<(), _>(io::Error::other("no luck")));
            Err(io::Error::other("broken"))
        });
        table.play(("second", LONG), &stage, |_, lines| {
            lines.judge("slow", false, 2.5, "s");
            Ok(())
        });
        let printed: Vec<String> = table.0.iter().map(|row| format!("{} {}", row.pass, row.name)).collect();
        assert_eq!(printed, ["true figure", "false step: no luck", "false first: broken", "false slow"]);
        assert_eq!(table.json()["rows"][2]["value"], Value::Null);
        assert!(!table.pass());
    }

    #[test]
    fn a_part_that_hangs_is_given_up() {
        let (mut table, (hold, held)) = (Table::default(), mpsc::channel::<()>());
        table.play(("hangs", Duration::from_millis(1)), &Arc::new(()), move |(), _| {
            let _ = held.recv_timeout(LONG);
            Ok(())
        });
        drop(hold);
        assert!(table.0[0].name.contains("not over"), "{:?}", table.0);
    }

    #[test]
    fn an_empty_table_does_not_pass() {
        assert!(!Table::default().pass());
    }
}
