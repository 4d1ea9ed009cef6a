//! The story `memory`: one long transfer, and whether the memory of both nodes stays flat under it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::plot::{self, Line};
use super::{Options, build};
use crate::content;
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// Bytes that are moved unless `--size` says otherwise.
const SIZE: u64 = 3 << 30;

/// Both nodes' `memory` setting, in MiB: the program's own default, said aloud.
const MEMORY_MIB: u32 = 96;

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);

/// For each MiB of a fetch, at 0.1 MiB a second.
const LIMIT_PER_MIB: u64 = 10;

/// The part of a transfer, from its start, in which tables and pools are still being filled: it is left out of the slope.
const WARM_UP: f64 = 0.2;

/// How much a node may have grown, from the end of the warm-up to the end, in MiB. Without a remedy, what is known to
/// leak takes as much for each 160 MiB.
const FLAT_MIB: f64 = 8.0;

pub(super) fn run(options: &Options) -> io::Result<bool> {
    build::bulbil()?;
    let size = options.size.unwrap_or(SIZE);
    println!("starting a private Tor network and two nodes");
    let network = Network::start(Shape::default())?;
    let files = Scratch::new("memory")?;
    let start = |name: &str| {
        let memory = Some(format!("{MEMORY_MIB} MiB"));
        Node::start(&network, Settings { memory, ..Settings::named(name) })
    };
    let (seed, reader) = (start("seed")?, start("reader")?);
    let (file, out) = (files.join("long.bin"), files.join("out"));
    fs::create_dir_all(&out)?;
    let hash = content::write_file(&file, size, 3)?;
    let link = seed.share(&file)?;
    println!("fetching {} MiB", size >> 20);
    let mut fetch = reader.start_fetch(&link, &out, &files.join("fetch.log"))?;
    let trip = watch(&mut fetch, &seed, &reader, size)?;
    let verified = content::digest(&out.join("long.bin"))? == hash;
    let flat = trip.is_flat();
    println!("\n{}", trip.table(size));
    println!(
        "SHA-256 is {}; memory {} flat",
        word(verified, "right", "NOT right"),
        word(flat, "is", "is NOT")
    );
    println!("plot: {}", trip.draw()?.display());
    options.write_json(&trip.json(size, verified))?;
    Ok(verified && flat)
}

const fn word<'w>(holds: bool, yes: &'w str, no: &'w str) -> &'w str {
    if holds { yes } else { no }
}

/// Samples both nodes until the fetch has ended.
fn watch(fetch: &mut Process, seed: &Node, reader: &Node, size: u64) -> io::Result<Trip> {
    let began = Instant::now();
    let mut trip = Trip::default();
    let mut next = began;
    let limit = Duration::from_secs((size >> 20).saturating_mul(LIMIT_PER_MIB).max(60));
    let status = wait::found(limit, "the fetch to end", || {
        if Instant::now() >= next {
            next = Instant::now() + EVERY;
            trip.samples.push(Sample { done: done(reader)?, seed: rss(seed)?, reader: rss(reader)? });
        }
        fetch.ended()
    })?;
    trip.seconds = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(io::Error::other(format!("bulbil fetch failed ({status}): see above")));
    }
    trip.samples.push(Sample { done: mib(size), seed: rss(seed)?, reader: rss(reader)? });
    trip.peaks = [mib(seed.rss_peak()?), mib(reader.rss_peak()?)];
    Ok(trip)
}

/// MiB that are verified.
fn done(reader: &Node) -> io::Result<f64> {
    let status = reader.status()?;
    Ok(mib(status.pointer("/fetches/0/done").and_then(Value::as_u64).unwrap_or(0)))
}

fn rss(node: &Node) -> io::Result<f64> {
    Ok(mib(node.usage()?.rss))
}

/// One moment; everything in MiB.
#[derive(Clone, Copy, Debug)]
struct Sample {
    done: f64,
    seed: f64,
    reader: f64,
}

/// The whole transfer.
#[derive(Debug, Default)]
struct Trip {
    samples: Vec<Sample>,
    /// Highest of the seed and of the reader, in MiB, as the kernel saw it.
    peaks: [f64; 2],
    seconds: f64,
}

const NODES: [&str; 2] = ["seed", "reader"];

impl Trip {
    fn line(&self, node: usize) -> Vec<(f64, f64)> {
        let rss = |sample: &Sample| if node == 0 { sample.seed } else { sample.reader };
        self.samples.iter().map(|sample| (sample.done, rss(sample))).collect()
    }

    /// MiB that a node grew by for each MiB moved, after the warm-up.
    fn slope(&self, node: usize) -> f64 {
        let line = self.line(node);
        let end = line.last().map_or(0.0, |(done, _)| *done);
        let warm: Vec<_> = line.into_iter().filter(|(done, _)| *done >= end * WARM_UP).collect();
        slope(&warm)
    }

    /// MiB that a node grew by from the end of the warm-up to the end of the transfer, by its slope.
    fn growth(&self, node: usize) -> f64 {
        let end = self.samples.last().map_or(0.0, |sample| sample.done);
        self.slope(node) * end * (1.0 - WARM_UP)
    }

    fn is_flat(&self) -> bool {
        (0..NODES.len()).all(|node| self.growth(node) <= FLAT_MIB)
            && self.peaks.iter().all(|peak| *peak <= f64::from(MEMORY_MIB))
    }

    fn table(&self, size: u64) -> String {
        let mut text = format!(
            "{:<10}{:>12}{:>12}{:>12}{:>22}\n",
            "RSS, MiB", "start", "end", "peak", "KiB per MiB moved"
        );
        for (node, (name, peak)) in NODES.iter().zip(self.peaks).enumerate() {
            let line = self.line(node);
            let (first, last) = (line.first().map_or(0.0, |at| at.1), line.last().map_or(0.0, |at| at.1));
            let slope = self.slope(node) * 1024.0;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<10}{first:>12.1}{last:>12.1}{peak:>12.1}{slope:>22.2}");
        }
        let _ = write!(
            text,
            "{:.0} MiB in {:.0} s, {:.2} MiB/s; `memory` is {MEMORY_MIB} MiB; the first {:.0} % are left out of the slope",
            mib(size),
            self.seconds,
            mib(size) / self.seconds.max(f64::EPSILON),
            WARM_UP * 100.0
        );
        text
    }

    /// Writes the plot beside what cargo built, and returns where.
    fn draw(&self) -> io::Result<PathBuf> {
        let lines = NODES.iter().enumerate().map(|(node, name)| Line { name, points: self.line(node) });
        let svg =
            plot::svg("Resident memory, MiB", "MiB moved", &lines.collect::<Vec<_>>(), f64::from(MEMORY_MIB));
        let own = std::env::current_exe()?;
        let folder = own.ancestors().nth(2).unwrap_or(Path::new("."));
        let path = folder.join("memory.svg");
        fs::write(&path, svg)?;
        Ok(path)
    }

    fn json(&self, size: u64, verified: bool) -> Value {
        let node = |node: usize| {
            json!({
                "rss_peak_mib": self.peaks.get(node),
                "slope_kib_per_mib": self.slope(node) * 1024.0,
                "growth_mib": self.growth(node),
            })
        };
        json!({
            "verified": verified,
            "flat": self.is_flat(),
            "size_mib": mib(size),
            "seconds": self.seconds,
            "memory_mib": MEMORY_MIB,
            "seed": node(0),
            "reader": node(1),
            "samples_mib": self.samples.iter().map(|at| [at.done, at.seed, at.reader]).collect::<Vec<_>>(),
        })
    }
}

/// Slope of the straight line with the least squares of distances; 0 when the points do not say.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.iter().fold(0.0, |count, _| count + 1.0);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / f64::max(count, 1.0);
    let (middle_x, middle_y) = (mean(|at| at.0), mean(|at| at.1));
    let (mut both, mut squares) = (0.0, 0.0);
    for (x, y) in points {
        both += (x - middle_x) * (y - middle_y);
        squares += (x - middle_x).powi(2);
    }
    if squares > 0.0 { both / squares } else { 0.0 }
}

#[allow(clippy::cast_precision_loss)] // exact up to 8 PiB
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trip(leak: f64) -> Trip {
        let samples = (0..=100).map(|step| {
            let done = f64::from(step) * 10.0;
            let noise = f64::from(step % 3);
            Sample { done, seed: 20.0 + noise, reader: 20.0 + noise + leak * done }
        });
        Trip { samples: samples.collect(), peaks: [22.0, 22.0 + leak * 1000.0], seconds: 100.0 }
    }

    #[test]
    fn a_slope_is_found_under_noise() {
        assert!((trip(0.05).slope(1) - 0.05).abs() < 0.001);
        assert!(trip(0.05).slope(0).abs() < 0.001);
        assert!(slope(&[]).abs() < f64::EPSILON && slope(&[(1.0, 1.0)]).abs() < f64::EPSILON);
    }

    #[test]
    fn the_known_leak_would_be_seen() {
        assert!(trip(0.0).is_flat());
        assert!(!trip(0.05).is_flat(), "50 KB for each MB");
    }

    #[test]
    fn a_peak_over_the_setting_is_not_flat() {
        let trip = Trip { peaks: [97.0, 20.0], ..trip(0.0) };
        assert!(!trip.is_flat());
    }
}
