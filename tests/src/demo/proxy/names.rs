//! How many questions a second.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use super::{Row, Stage};
use crate::foreign::{LIMIT, run};

/// Names that are asked for; each once, so that nobody answers from memory.
const NAMES: u32 = 20_000;

/// Seconds of each measurement.
const SECONDS: &str = "5";

/// Questions under way.
const UNDER_WAY: &str = "100";

/// By dnsperf. C tor asks the exit for each name; the node asks one resolver over one stream.
pub(super) fn rate(stage: &Stage) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut rates = Vec::new();
    for (name, port) in [("Bulbil", stage.dns), ("C tor", stage.tor_dns)] {
        let (rate, lost) = measure(stage, name, port)?;
        rows.push(Row::of(&format!("{name}: names never asked before"), rate > 0.0, rate, "1/s"));
        rows.push(Row::of(&format!("{name}: of these without answer"), true, lost, "%"));
        rates.push(rate);
    }
    if let [ours, theirs] = rates.as_slice() {
        rows.push(Row::of("names, Bulbil to C tor", ours > theirs, ours / theirs, "times"));
    }
    let (again, _) = measure(stage, "Bulbil", stage.dns)?;
    rows.push(Row::of("Bulbil: the same names again", again > 0.0, again, "1/s"));
    Ok(rows)
}

fn measure(stage: &Stage, name: &str, port: u16) -> io::Result<(f64, f64)> {
    let list = stage.scratch.join("names");
    let prefix = name.replace(' ', "").to_lowercase();
    let mut text = String::new();
    for number in 0..NAMES {
        let _ = writeln!(text, "{prefix}{number}.test A");
    }
    fs::write(&list, text)?;
    let mut dnsperf = Command::new("dnsperf");
    dnsperf
        .args(["-s", "127.0.0.1", "-p", &port.to_string(), "-l", SECONDS, "-q", UNDER_WAY, "-d"])
        .arg(&list);
    let said = run(&mut dnsperf, LIMIT)?.out;
    let figure = |key: &str| -> Option<f64> {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(key))?;
        line.trim().split(' ').next()?.parse().ok()
    };
    let (rate, sent, lost) =
        (figure("Queries per second:"), figure("Queries sent:"), figure("Queries lost:"));
    let all = rate.zip(sent.zip(lost));
    let (rate, (sent, lost)) = all.ok_or_else(|| io::Error::other(format!("dnsperf said: {said}")))?;
    Ok((rate, lost / sent.max(1.0) * 100.0))
}
