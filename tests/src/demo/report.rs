//! The figures of one run, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::measure::Measured;

/// What was measured on one network.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// One fetch per number of lanes.
    pub(super) lanes: BTreeMap<u8, Measured>,
    /// C tor, nginx and curl.
    pub(super) c_tor: Measured,
}

impl Round {
    /// Whether every fetched file had the right SHA-256.
    pub(super) fn verified(&self) -> bool {
        self.lanes.values().chain([&self.c_tor]).all(|one| one.verified)
    }
}

/// Everything that one run measured.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Every fetched file had the right SHA-256.
    pub(super) verified: bool,
    /// Without added latency.
    pub(super) plain: Round,
    /// With it.
    pub(super) slow: Round,
    /// Highest resident memory of each node, in bytes.
    pub(super) rss_peak: BTreeMap<String, u64>,
    /// Resident memory of a ready node before its first transfer, in bytes.
    pub(super) rss_idle: u64,
    /// Size of the program, in bytes.
    pub(super) program: u64,
}

impl Report {
    pub(super) fn json(&self) -> Value {
        let lanes = |round: &Round| -> Map<String, Value> {
            round.lanes.iter().map(|(lanes, one)| (lanes.to_string(), one.mib_s().into())).collect()
        };
        let all = Measured::together(self.plain.lanes.values());
        let nodes = self.rss_peak.iter().map(|(name, bytes)| (name.clone(), Value::from(mib(*bytes))));
        json!({
            "verified": self.verified,
            "throughput_mib_s": {
                "bulbil": lanes(&self.plain),
                "bulbil_latency": lanes(&self.slow),
                "c_tor_http": self.plain.c_tor.mib_s(),
                "c_tor_http_latency": self.slow.c_tor.mib_s(),
            },
            "cpu_s_per_100mib": {
                "serve": all.serve_cpu_s_per_100mib(),
                "fetch": all.fetch_cpu_s_per_100mib(),
                "c_tor_serve": self.plain.c_tor.serve_cpu_s_per_100mib(),
                "c_tor_fetch": self.plain.c_tor.fetch_cpu_s_per_100mib(),
            },
            "rss_peak_mib": nodes.collect::<Map<String, Value>>(),
        })
    }

    /// The one table.
    pub(super) fn table(&self) -> String {
        let mut text = heading("Throughput, MiB/s", "no latency", "0.29 s trip");
        for (lanes, plain) in &self.plain.lanes {
            let name = format!("Bulbil, {lanes} lane{}", if *lanes == 1 { "" } else { "s" });
            let slow = self.slow.lanes.get(lanes).copied().unwrap_or_default();
            text += &row(&name, plain.mib_s(), slow.mib_s());
        }
        text += &row(C_TOR, self.plain.c_tor.mib_s(), self.slow.c_tor.mib_s());
        text += &heading("CPU seconds per 100 MiB", "serving", "fetching");
        let all = Measured::together(self.plain.lanes.values());
        text += &row("Bulbil", all.serve_cpu_s_per_100mib(), all.fetch_cpu_s_per_100mib());
        let c_tor = &self.plain.c_tor;
        text += &row(C_TOR, c_tor.serve_cpu_s_per_100mib(), c_tor.fetch_cpu_s_per_100mib());
        text += &heading("Memory, MiB", "peak RSS", "");
        for (name, bytes) in &self.rss_peak {
            let _ = writeln!(text, "  {name:<28}{:>14.1}", mib(*bytes));
        }
        text
    }

    /// How the figures stand to what the project aims at.
    pub(super) fn aims(&self) -> String {
        let slow = |lanes| self.slow.lanes.get(&lanes).map_or(0.0, Measured::mib_s);
        let best = self.slow.lanes.values().map(Measured::mib_s).fold(0.0, f64::max);
        let all = Measured::together(self.plain.lanes.values());
        let cpu = all.serve_cpu_s_per_100mib() + all.fetch_cpu_s_per_100mib();
        let c_tor = &self.plain.c_tor;
        let c_tor_cpu = c_tor.serve_cpu_s_per_100mib() + c_tor.fetch_cpu_s_per_100mib();
        let mut text = String::from("Aims\n");
        at_least(&mut text, "two lanes against one, 0.29 s", ratio(slow(2), slow(1)), 1.6, WHY_LANES);
        at_least(&mut text, "four lanes against one, 0.29 s", ratio(slow(4), slow(1)), 2.5, WHY_LANES);
        at_least(
            &mut text,
            "best against C tor, 0.29 s",
            ratio(best, self.slow.c_tor.mib_s()),
            1.0,
            WHY_BEST,
        );
        at_most(&mut text, "CPU against C tor", ratio(cpu, c_tor_cpu), 3.0, WHY_CPU);
        at_most(&mut text, "idle RSS, MiB", mib(self.rss_idle), 24.0, WHY_IDLE);
        at_most(&mut text, "program, MiB", mib(self.program), 16.0, WHY_PROGRAM);
        text
    }

    /// The yardstick's part of the table, for the story that measures nothing else.
    pub(super) fn yardstick_lines(plain: &Measured, slow: &Measured) -> String {
        let mut text = heading("Throughput, MiB/s", "no latency", "0.29 s trip");
        text += &row(C_TOR, plain.mib_s(), slow.mib_s());
        text += &heading("CPU seconds per 100 MiB", "serving", "fetching");
        text += &row(C_TOR, plain.serve_cpu_s_per_100mib(), plain.fetch_cpu_s_per_100mib());
        text += &row("  the same at 0.29 s", slow.serve_cpu_s_per_100mib(), slow.fetch_cpu_s_per_100mib());
        text
    }
}

fn heading(what: &str, first: &str, second: &str) -> String {
    format!("{what:<30}{first:>14}{second:>14}").trim_end().to_owned() + "\n"
}

fn row(name: &str, first: f64, second: f64) -> String {
    format!("  {name:<28}{first:>14.2}{second:>14.2}\n")
}

fn at_least(text: &mut String, what: &str, is: f64, aim: f64, why: &str) {
    verdict(text, what, is, &format!("at least {aim}"), is >= aim, why);
}

fn at_most(text: &mut String, what: &str, is: f64, aim: f64, why: &str) {
    verdict(text, what, is, &format!("at most {aim}"), is <= aim, why);
}

fn verdict(text: &mut String, what: &str, is: f64, aim: &str, met: bool, why: &str) {
    let verdict = if met { "met".to_owned() } else { format!("missed: {why}") };
    let _ = writeln!(text, "  {what:<34}{is:>8.2}   {aim:<13}{verdict}");
}

/// 0 when there is nothing to compare with.
fn ratio(is: f64, to: f64) -> f64 {
    if to > 0.0 { is / to } else { 0.0 }
}

#[allow(clippy::cast_precision_loss)] // exact up to 8 PiB
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

const C_TOR: &str = "C tor + nginx + curl";

const WHY_LANES: &str =
    "all relays and nodes share this machine's CPU, which a single lane may already use up";
const WHY_BEST: &str = "Arti moves fewer bytes per round trip and per CPU second than C tor";
const WHY_CPU: &str = "Arti alone costs 4 to 6 times C tor's CPU per byte";
const WHY_IDLE: &str = "Arti's directory and the allocator hold most of it";
const WHY_PROGRAM: &str = "not stripped, or not a release build";

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(seconds: f64) -> Measured {
        Measured { bytes: 64 << 20, seconds, serve_cpu_s: 6.4, fetch_cpu_s: 3.2, verified: true }
    }

    fn report() -> Report {
        let round = |factor: f64| Round {
            lanes: [(1, moved(64.0 * factor)), (2, moved(32.0 * factor)), (4, moved(16.0 * factor))].into(),
            c_tor: moved(8.0 * factor),
        };
        Report {
            verified: true,
            plain: round(1.0),
            slow: round(2.0),
            rss_peak: [("seed".to_owned(), 20 << 20)].into(),
            rss_idle: 30 << 20,
            program: 14 << 20,
        }
    }

    #[test]
    fn json_has_the_promised_keys() {
        let expected = json!({
            "verified": true,
            "throughput_mib_s": {
                "bulbil": { "1": 1.0, "2": 2.0, "4": 4.0 },
                "bulbil_latency": { "1": 0.5, "2": 1.0, "4": 2.0 },
                "c_tor_http": 8.0,
                "c_tor_http_latency": 4.0,
            },
            "cpu_s_per_100mib": { "serve": 10.0, "fetch": 5.0, "c_tor_serve": 10.0, "c_tor_fetch": 5.0 },
            "rss_peak_mib": { "seed": 20.0 },
        });
        let mut json = report().json();
        // Sums of thirds need not be exact.
        for value in json["cpu_s_per_100mib"].as_object_mut().unwrap().values_mut() {
            *value = json!((value.as_f64().unwrap() * 1e6).round() / 1e6);
        }
        assert_eq!(json, expected);
    }

    #[test]
    fn a_missed_aim_gives_its_reason() {
        let aims = report().aims();
        let line = |what: &str| aims.lines().find(|line| line.contains(what)).unwrap().to_owned();
        assert!(line("four lanes").ends_with("met"));
        assert!(line("idle RSS").ends_with(WHY_IDLE));
        assert!(line("best against C tor").contains("missed"));
    }
}
