//! What the story found, one row each.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

/// All rows so far; each is printed as it comes.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<Row>);

#[derive(Debug)]
struct Row {
    machine: String,
    what: String,
    pass: bool,
    value: Option<f64>,
    unit: &'static str,
}

impl Rows {
    /// One thing about one machine, with its figure if it has one.
    pub(super) fn add(&mut self, machine: &str, what: &str, pass: bool, figure: Option<(f64, &'static str)>) {
        let (value, unit) = figure.map_or((None, ""), |(value, unit)| (Some(value), unit));
        let row = Row { machine: machine.to_owned(), what: what.to_owned(), pass, value, unit };
        println!("  {}", row.line());
        self.0.push(row);
    }

    /// One that is as it should be.
    pub(super) fn passed(&mut self, machine: &str, what: &str, figure: Option<(f64, &'static str)>) {
        self.add(machine, what, true, figure);
    }

    /// One that ended a machine's story.
    pub(super) fn failed(&mut self, machine: &str, why: &str) {
        let why = why.lines().next().unwrap_or_default();
        self.add(machine, why, false, None);
    }

    pub(super) fn all_passed(&self) -> bool {
        self.0.iter().all(|row| row.pass)
    }

    /// One line for each machine, one column for each figure: what `boards/README.md` shows.
    pub(super) fn table(&self) -> String {
        let mut machines: Vec<&str> = Vec::new();
        let mut figures: Vec<(&str, &str)> = Vec::new();
        for row in &self.0 {
            if !machines.contains(&row.machine.as_str()) {
                machines.push(&row.machine);
            }
            if row.value.is_some() && !figures.iter().any(|(what, _)| *what == row.what) {
                figures.push((&row.what, row.unit));
            }
        }
        let mut text = String::from("| Machine |");
        for (what, unit) in &figures {
            let _ = write!(text, " {what}, {unit} |");
        }
        let _ = write!(text, "\n|---|{}", "---|".repeat(figures.len()));
        for machine in machines.into_iter().filter(|machine| self.has_figure(machine)) {
            let _ = write!(text, "\n| {machine} |");
            for (what, _) in &figures {
                let row = self.0.iter().find(|row| row.machine == machine && row.what == *what);
                let _ = write!(text, " {} |", row.map(Row::figure).unwrap_or_default());
            }
        }
        text
    }

    fn has_figure(&self, machine: &str) -> bool {
        self.0.iter().any(|row| row.machine == machine && row.value.is_some())
    }

    /// Puts the table where `boards/README.md` has the one of before.
    pub(super) fn write_table(&self) -> io::Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/README.md");
        let text = fs::read_to_string(&path)?;
        let parts = text.split_once(FROM).and_then(|(before, rest)| Some((before, rest.split_once(TO)?.1)));
        let missing = || io::Error::other(format!("boards/README.md needs the lines {FROM} and {TO}"));
        let (before, after) = parts.ok_or_else(missing)?;
        fs::write(path, format!("{before}{FROM}\n{}\n{TO}{after}", self.table()))
    }

    pub(super) fn json(&self) -> Value {
        let rows = self
            .0
            .iter()
            .map(|row| json!({ "name": format!("{}: {}", row.machine, row.what), "pass": row.pass, "value": row.value, "unit": row.unit }));
        json!({ "rows": rows.collect::<Vec<_>>() })
    }
}

/// Around the table in `boards/README.md`.
const FROM: &str = "<!-- written by `cargo demo -- boards --table` -->";
const TO: &str = "<!-- end -->";

impl Row {
    fn line(&self) -> String {
        let word = if self.pass { "" } else { "  FAILED" };
        format!("{:<40}{:>8} {:<4}{word}", self.what, self.figure(), self.unit)
    }

    fn figure(&self) -> String {
        self.value.map(|value| format!("{value:.1}")).unwrap_or_default()
    }
}
