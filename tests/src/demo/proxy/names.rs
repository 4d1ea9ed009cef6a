//! How many questions a second.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use super::Stage;
use super::speed::compare;
use super::table::Lines;
use crate::foreign::{LIMIT, run};

/// Names that are asked for; each once, so that nobody answers from memory.
const NAMES: u32 = 20_000;

/// Names that fit into the memory of either, asked for again and again.
const FEW: u32 = 1000;

/// Seconds of each measurement.
const SECONDS: &str = "5";

/// Questions under way.
const UNDER_WAY: &str = "100";

/// By dnsperf. C tor and arti ask the exit for each name; the node asks one resolver over one stream.
#[allow(clippy::unnecessary_wraps, reason = "a part like the others")]
pub(super) fn rate(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let mut rates = Vec::new();
    for (name, port) in stage.all_dns() {
        let line = format!("{name}: names never asked before");
        let Some((rate, lost)) = lines.or_fail(&line, measure(stage, name, port, NAMES)) else { continue };
        lines.judge(&line, rate > 0.0, rate, "1/s");
        lines.tell(&format!("{name}: of these without answer"), lost, "%");
        rates.push((name, rate));
    }
    compare(lines, "names never asked before", true, &rates);
    let mut rates = Vec::new();
    for (name, port) in stage.all_dns() {
        let line = format!("{name}: {FEW} names again and again");
        let Some((rate, _)) = lines.or_fail(&line, measure(stage, name, port, FEW)) else { continue };
        lines.judge(&line, rate > 0.0, rate, "1/s");
        rates.push((name, rate));
    }
    compare(lines, "names again and again", true, &rates);
    Ok(())
}

fn measure(stage: &Stage, name: &str, port: u16, names: u32) -> io::Result<(f64, f64)> {
    let list = stage.scratch.join("names");
    let prefix = name.replace(' ', "").to_lowercase();
    let mut text = String::new();
    for number in 0..names {
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
