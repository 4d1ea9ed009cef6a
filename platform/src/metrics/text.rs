//! Writing Prometheus' text format.

use std::fmt::Write as _;

/// What a family's samples are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
    /// Counts by size.
    Histogram,
}

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    family: &'static str,
}

impl Text {
    /// Begins a family. `help` is one plain sentence.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        self.family = name;
        // Writing into a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample of the present family.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: u64) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        for (at, (name, label)) in labels.iter().enumerate() {
            let label = label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{}{name}=\"{label}\"", if at == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    pub(super) fn end(self) -> String {
        self.text
    }
}
