//! The figures of one run, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::files::BARE;
use crate::measure::Measured;
use crate::usage::Usage;

/// What was measured on one network.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// One fetch per number of lanes.
    pub(super) lanes: BTreeMap<u8, Measured>,
    /// C tor, nginx and curl.
    pub(super) c_tor: Measured,
    /// Bare streams of the network plug, where they could be measured.
    pub(super) bare: Option<Measured>,
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
    /// A ready node before its first transfer.
    pub(super) idle: Usage,
    /// The same with a directory as long as the public network's.
    pub(super) idle_long: Usage,
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
        if let (Some(bare), Some(ours)) = (&self.plain.bare, self.plain.lanes.get(&BARE)) {
            text +=
                &row("Bulbil, 2 lanes alone", ours.serve_cpu_s_per_100mib(), ours.fetch_cpu_s_per_100mib());
            text += &row("two bare streams", bare.serve_cpu_s_per_100mib(), bare.fetch_cpu_s_per_100mib());
        }
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
        at_least(
            &mut text,
            "two lanes against one, 0.29 s",
            ratio(slow(2), slow(1)),
            1.6,
            &self.why_lanes(2),
        );
        at_least(
            &mut text,
            "four lanes against one, 0.29 s",
            ratio(slow(4), slow(1)),
            2.5,
            &self.why_lanes(4),
        );
        let why = format!("CPUs were {:.0} % busy with C tor", self.slow.c_tor.busy * 100.0);
        at_least(&mut text, "best against C tor, 0.29 s", ratio(best, self.slow.c_tor.mib_s()), 1.0, &why);
        let why = format!(
            "serving takes {:.1} times C tor's, fetching {:.1} times",
            ratio(all.serve_cpu_s_per_100mib(), c_tor.serve_cpu_s_per_100mib()),
            ratio(all.fetch_cpu_s_per_100mib(), c_tor.fetch_cpu_s_per_100mib())
        );
        at_most(&mut text, "CPU against C tor", ratio(cpu, c_tor_cpu), 3.0, &why);
        text += &self.layers();
        for (what, idle, aim) in
            [("idle RSS, MiB", self.idle, 24.0), ("idle RSS, 9 000 relays", self.idle_long, 40.0)]
        {
            let own = mib(idle.rss.saturating_sub(idle.rss_file));
            let why = format!("{:.1} are its program, {own:.1} are its own", mib(idle.rss_file));
            at_most(&mut text, what, mib(idle.rss), aim, &why);
        }
        at_most(
            &mut text,
            "program, MiB",
            mib(self.program),
            16.0,
            "`cargo image static` builds smaller ones",
        );
        text
    }

    /// What our layers add to the CPU of the network alone.
    fn layers(&self) -> String {
        let mut text = String::new();
        let (Some(bare), Some(ours)) = (&self.plain.bare, self.plain.lanes.get(&BARE)) else {
            let _ =
                writeln!(text, "  CPU against bare streams: not measured, BULBIL_STREAM names no program");
            return text;
        };
        let cpu = |one: &Measured| one.serve_cpu_s_per_100mib() + one.fetch_cpu_s_per_100mib();
        let why = format!(
            "serving takes {:.2} times theirs, fetching {:.2} times",
            ratio(ours.serve_cpu_s_per_100mib(), bare.serve_cpu_s_per_100mib()),
            ratio(ours.fetch_cpu_s_per_100mib(), bare.fetch_cpu_s_per_100mib())
        );
        at_most(&mut text, "CPU against bare streams", ratio(cpu(ours), cpu(bare)), 1.2, &why);
        text
    }

    /// What was measured that may keep more lanes from going faster.
    fn why_lanes(&self, lanes: u8) -> String {
        let busy = |lanes| self.slow.lanes.get(&lanes).map_or(0.0, |one| one.busy * 100.0);
        format!("CPUs were {:.0} % busy with {lanes} lanes, {:.0} % with one", busy(lanes), busy(1))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(seconds: f64) -> Measured {
        Measured { bytes: 64 << 20, seconds, serve_cpu_s: 6.4, fetch_cpu_s: 3.2, busy: 0.9, verified: true }
    }

    fn report() -> Report {
        let round = |factor: f64| Round {
            lanes: [(1, moved(64.0 * factor)), (2, moved(32.0 * factor)), (4, moved(16.0 * factor))].into(),
            c_tor: moved(8.0 * factor),
            bare: Some(moved(16.0 * factor)),
        };
        Report {
            verified: true,
            plain: round(1.0),
            slow: round(2.0),
            rss_peak: [("seed".to_owned(), 20 << 20)].into(),
            idle_long: Usage { rss: 39 << 20, rss_file: 20 << 20, ..Usage::default() },
            idle: Usage { rss: 30 << 20, rss_file: 20 << 20, ..Usage::default() },
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
    fn layers_are_compared_where_bare_streams_were_measured() {
        let mut report = report();
        assert!(report.aims().lines().any(|line| line.contains("bare streams") && line.ends_with("met")));
        report.plain.bare = None;
        assert!(report.aims().contains("not measured"));
    }

    #[test]
    fn a_missed_aim_gives_its_reason() {
        let aims = report().aims();
        let line = |what: &str| aims.lines().find(|line| line.contains(what)).unwrap().to_owned();
        assert!(line("four lanes").ends_with("met"));
        assert!(line("idle RSS, 9 000 relays").contains("39.0"));
        assert!(line("idle RSS, MiB").ends_with("missed: 20.0 are its program, 10.0 are its own"));
        assert!(line("best against C tor").contains("missed"));
    }
}
