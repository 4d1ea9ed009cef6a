//! The steps of a story, each with whether it went as it should and one figure.

use std::io;

use serde_json::{Value, json};

/// All steps so far.
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
    /// Plays a step and notes what it measured; at most `limit`, if there is one. One that fails does not keep the next
    /// from being played.
    pub(super) fn step(
        &mut self,
        name: &str,
        (unit, limit): (&'static str, Option<f64>),
        play: impl FnOnce() -> io::Result<f64>,
    ) {
        let played = play();
        let value = played.as_ref().ok().copied();
        let pass = value.is_some_and(|value| limit.is_none_or(|limit| value <= limit));
        let word = if pass { "pass" } else { "FAIL" };
        let bound = limit.map_or_else(String::new, |limit| format!(" (at most {limit})"));
        match &played {
            Ok(value) => println!("{word}  {name}: {value:.1} {unit}{bound}"),
            Err(why) => println!("{word}  {name}: {why}"),
        }
        self.0.push(Row { name: name.to_owned(), pass, value, unit });
    }

    /// Whether there were steps and all of them went as they should.
    pub(super) fn pass(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|row| row.pass)
    }

    /// `{"rows": [{"name", "pass", "value", "unit"}…]}`; the value of a step that broke off is null.
    pub(super) fn json(&self) -> Value {
        let row =
            |row: &Row| json!({ "name": row.name, "pass": row.pass, "value": row.value, "unit": row.unit });
        json!({ "rows": self.0.iter().map(row).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_fails_when_it_breaks_off_or_takes_too_long() {
        let mut rows = Rows::default();
        assert!(!rows.pass(), "nothing was played");
        rows.step("one", ("s", None), || Ok(7.0));
        rows.step("two", ("s", Some(5.0)), || Ok(5.0));
        assert!(rows.pass());
        rows.step("three", ("s", Some(5.0)), || Ok(5.1));
        rows.step("four", ("", None), || Err(io::Error::other("no")));
        assert!(!rows.pass());
        let expected = json!({ "rows": [
            { "name": "one", "pass": true, "value": 7.0, "unit": "s" },
            { "name": "two", "pass": true, "value": 5.0, "unit": "s" },
            { "name": "three", "pass": false, "value": 5.1, "unit": "s" },
            { "name": "four", "pass": false, "value": null, "unit": "" },
        ] });
        assert_eq!(rows.json(), expected);
    }
}
