//! What the story found, one row each.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// All rows so far; each is printed as it comes.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<Row>);

#[derive(Debug)]
struct Row {
    name: String,
    pass: bool,
    value: Option<f64>,
    unit: &'static str,
}

impl Rows {
    /// One thing about one machine, with its figure if it has one.
    pub(super) fn add(&mut self, machine: &str, what: &str, pass: bool, figure: Option<(f64, &'static str)>) {
        let (value, unit) = figure.map_or((None, ""), |(value, unit)| (Some(value), unit));
        let row = Row { name: format!("{machine}: {what}"), pass, value, unit };
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

    pub(super) fn table(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, row| {
            let _ = writeln!(text, "{}", row.line());
            text
        })
    }

    pub(super) fn json(&self) -> Value {
        let rows = self
            .0
            .iter()
            .map(|row| json!({ "name": row.name, "pass": row.pass, "value": row.value, "unit": row.unit }));
        json!({ "rows": rows.collect::<Vec<_>>() })
    }
}

impl Row {
    fn line(&self) -> String {
        let value = self.value.map(|value| format!("{value:.1}")).unwrap_or_default();
        let word = if self.pass { "" } else { "  FAILED" };
        format!("{:<58}{value:>8} {:<4}{word}", self.name, self.unit)
    }
}
