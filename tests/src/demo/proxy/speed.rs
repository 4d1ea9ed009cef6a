//! How fast: connections, and bytes.

use std::io;
use std::thread;
use std::time::Instant;

use super::table::Lines;
use super::{OURS, Stage, mib};
use crate::client;

/// Connections whose time is taken.
const CONNECTIONS: usize = 50;

/// Streams at once, and MiB of each.
const STREAMS: [(u64, u64); 3] = [(1, 64), (8, 8), (64, 1)];

/// What is aimed at beside C tor where latency is what limits. In a network without any, it is the CPU.
const AIM: f64 = 0.9;

/// The same beside arti everywhere; two runs of one program on a busy machine differ by as much.
const AIM_ARTI: f64 = 0.95;

/// Judges our figure, the first, by those of the others; more is better.
pub(super) fn compare(lines: &Lines, what: &str, limited_by_latency: bool, figures: &[(&str, f64)]) {
    let Some(((_, ours), others)) = figures.split_first().filter(|((name, _), _)| *name == OURS) else {
        return;
    };
    for (name, theirs) in others {
        let ratio = ours / theirs;
        let aim = match *name {
            "C tor" if limited_by_latency => AIM,
            "C tor" => 0.0,
            _ => AIM_ARTI,
        };
        lines.judge(&format!("{what}, Bulbil beside {name}"), ratio >= aim, ratio, "times");
    }
}

/// From the first byte to the proxy to the last of a short answer, over a circuit that is open.
#[allow(clippy::unnecessary_wraps, reason = "a part like the others")]
pub(super) fn latency(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let mut rates = Vec::new();
    for (name, proxy) in stage.all() {
        let line = format!("{name}: median of {CONNECTIONS} short requests");
        let Some(median) = lines.or_fail(&line, median(proxy, stage.outside.port())) else { continue };
        lines.tell(&line, median, "ms");
        rates.push((name, 1.0 / median));
    }
    compare(lines, "short requests one after the other", true, &rates);
    Ok(())
}

/// In milliseconds.
fn median(proxy: u16, port: u16) -> io::Result<f64> {
    // The circuit is built by the first, which is not counted.
    client::get(&mut client::connect(proxy, "latency", port)?, "/hello")?;
    let mut times = Vec::new();
    for _ in 0..CONNECTIONS {
        let begun = Instant::now();
        client::get(&mut client::connect(proxy, "latency", port)?, "/hello")?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(CONNECTIONS / 2).copied().unwrap_or_default())
}

/// The same bytes over more and more streams, all on one circuit.
pub(super) fn throughput(stage: &Stage, lines: &Lines) -> io::Result<()> {
    for (streams, size) in STREAMS {
        // Far relays give a tenth of the rate.
        let size = if stage.is_near() { size } else { (size / 4).max(1) };
        let mut rates = Vec::new();
        for (name, proxy) in stage.all() {
            let line = format!("{name}: {streams} streams");
            let (begun, cpu) = (Instant::now(), stage.usage(name)?.cpu_s);
            let came = at_once(proxy, stage.outside.port(), streams, size << 20);
            let Some(bytes) = lines.or_fail(&line, came) else { continue };
            let (took, cpu) = (begun.elapsed().as_secs_f64(), stage.usage(name)?.cpu_s - cpu);
            let rate = mib(bytes) / took;
            lines.judge(&line, bytes == (streams * size) << 20, rate, "MiB/s");
            lines.tell(&format!("{line}, CPU for 100 MiB"), cpu / mib(bytes) * 100.0, "s");
            lines.tell(&format!("{line}, memory after it"), mib(stage.usage(name)?.rss), "MiB");
            rates.push((name, rate));
        }
        compare(lines, &format!("{streams} streams"), !stage.is_near(), &rates);
    }
    Ok(())
}

fn at_once(proxy: u16, port: u16, streams: u64, size: u64) -> io::Result<u64> {
    thread::scope(|scope| {
        let all: Vec<_> = (0..streams)
            .map(|_| {
                scope.spawn(move || {
                    client::get(&mut client::connect(proxy, "speed", port)?, &format!("/size/{size}"))
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().map_err(|_| io::Error::other("a client panicked"))?).sum()
    })
}
