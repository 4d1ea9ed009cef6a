//! How many questions a second.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use super::Stage;
use super::speed::{ROUNDS, compare, spread};
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
    asked(stage, lines, "names never asked before", |name, round| (format!("{name}{round}"), NAMES));
    asked(stage, lines, "1 000 names again and again", |name, _| (name.to_owned(), FEW));
    Ok(())
}

/// One proxy after the other has its turn, several times; the middle one counts.
fn asked(stage: &Stage, lines: &Lines, what: &str, list: impl Fn(&str, usize) -> (String, u32)) {
    let mut proxies: Vec<_> = stage.all_dns().map(|(name, port)| (name, port, Vec::new())).collect();
    for round in 0..ROUNDS {
        for (name, port, turns) in &mut proxies {
            let prefix = name.replace(' ', "").to_lowercase();
            let turn = measure(stage, list(&prefix, round), *port);
            turns.extend(lines.or_fail(&format!("{name}: {what}"), turn));
        }
    }
    let mut rates = Vec::new();
    for (name, _, mut turns) in proxies {
        turns.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let Some((rate, lost)) = turns.get(turns.len() / 2) else { continue };
        lines.judge(&format!("{name}: {what}, median of {}", turns.len()), *rate > 0.0, *rate, "1/s");
        spread(lines, &format!("{name}: {what}"), turns.iter().map(|(rate, _)| *rate), "1/s");
        lines.tell(&format!("{name}: of these without answer"), *lost, "%");
        rates.push((name, *rate));
    }
    compare(lines, what, true, &rates);
}

/// Answers a second and the share of questions without one, of `names` names that begin with `prefix`.
fn measure(stage: &Stage, (prefix, names): (String, u32), port: u16) -> io::Result<(f64, f64)> {
    let list = stage.scratch.join("names");
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
