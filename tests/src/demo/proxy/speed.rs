//! How fast: connections, and bytes.

use std::io;
use std::thread;
use std::time::Instant;

use super::table::Lines;
use super::{OURS, OURS_SPREAD, Stage, mib, rival};
use crate::client;

/// Connections whose time is taken.
const CONNECTIONS: usize = 50;

/// Streams at once, and MiB of each.
const STREAMS: [(u64, u64); 3] = [(1, 64), (8, 8), (64, 1)];

/// Turns of each proxy, of which the middle one counts.
pub(super) const ROUNDS: usize = 3;

/// What is aimed at beside C tor where latency is what limits. In a network without any, it is the CPU.
const AIM: f64 = 0.9;

/// The same beside arti everywhere: no less than what it does. How far two turns of one program differ is told beside.
const AIM_ARTI: f64 = 1.0;

/// Judges our figures by those of the others; more is better. Where arti is missing, that is a line that does not pass.
pub(super) fn compare(lines: &Lines, what: &str, limited_by_latency: bool, figures: &[(&str, f64)]) {
    let is_ours = |name: &str| [OURS, OURS_SPREAD].contains(&name);
    for (own, ours) in figures.iter().filter(|(name, _)| is_ours(name)) {
        for (name, theirs) in figures.iter().filter(|(name, _)| !is_ours(name)) {
            let ratio = ours / theirs;
            let aim = match *name {
                rival::ARTI => AIM_ARTI,
                _ if limited_by_latency => AIM,
                _ => 0.0,
            };
            lines.judge(&format!("{what}, {own} beside {name}"), ratio >= aim, ratio, "times");
        }
    }
    if !figures.iter().any(|(name, _)| *name == rival::ARTI) {
        let missing = Err::<(), _>(io::Error::other("not compared; --with-arti builds it"));
        let _ = lines.or_fail(&format!("{what}, {OURS} beside {}", rival::ARTI), missing);
    }
}

/// The slowest and the fastest of several turns, of which the middle one counts.
pub(super) fn spread(
    lines: &Lines,
    line: &str,
    sorted: impl DoubleEndedIterator<Item = f64>,
    unit: &'static str,
) {
    let mut sorted = sorted;
    let slowest = sorted.next();
    let fastest = sorted.next_back().or(slowest);
    for (word, rate) in [("slowest", slowest), ("fastest", fastest)] {
        if let Some(rate) = rate {
            lines.tell(&format!("{line}, {word} of these"), rate, unit);
        }
    }
}

/// From the first byte to the proxy to the last of a short answer, over a circuit that is open.
#[allow(clippy::unnecessary_wraps, reason = "a part like the others")]
pub(super) fn latency(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let mut rates = Vec::new();
    for (name, proxy) in stage.all() {
        let line = format!("{name}: median of {CONNECTIONS} short requests");
        let Some(times) = lines.or_fail(&line, times(proxy, stage.outside.port())) else { continue };
        let Some(median) = times.get(CONNECTIONS / 2) else { continue };
        lines.tell(&line, *median, "ms");
        let quarter = |part: usize| times.get(CONNECTIONS * part / 4).copied().unwrap_or_default();
        lines.tell(&format!("{name}: half of these took, from"), quarter(1), "ms");
        lines.tell(&format!("{name}: half of these took, to"), quarter(3), "ms");
        rates.push((name, 1.0 / median));
    }
    compare(lines, "short requests one after the other", true, &rates);
    Ok(())
}

/// In milliseconds, from the shortest to the longest.
fn times(proxy: u16, port: u16) -> io::Result<Vec<f64>> {
    // The circuit is built by the first, which is not counted.
    client::get(&mut client::connect(proxy, "latency", port)?, "/hello")?;
    let mut times = Vec::new();
    for _ in 0..CONNECTIONS {
        let begun = Instant::now();
        client::get(&mut client::connect(proxy, "latency", port)?, "/hello")?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The same bytes over more and more streams, each time on one circuit. One proxy after the other has its turn, several
/// times: a circuit is as good as the relays that it happens to lead through.
pub(super) fn throughput(stage: &Stage, lines: &Lines) -> io::Result<()> {
    for (streams, size) in STREAMS {
        // Far relays give a tenth of the rate.
        let size = if stage.is_near() { size } else { (size / 4).max(1) };
        let all = if streams == 1 { stage.all().collect() } else { stage.all_and_spread()? };
        let mut proxies: Vec<_> = all.into_iter().map(|(name, proxy)| (name, proxy, Vec::new())).collect();
        for round in 0..ROUNDS {
            for (name, proxy, turns) in &mut proxies {
                let turn = turn(stage, (name, *proxy), round, (streams, size << 20));
                turns.extend(lines.or_fail(&format!("{name}: {streams} streams"), turn));
            }
        }
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        for (name, _, mut turns) in proxies {
            turns.sort_by(|a, b| a.rate.total_cmp(&b.rate));
            let Some(median) = turns.get(turns.len() / 2) else { continue };
            let line = format!("{name}: {streams} streams");
            lines.tell(&format!("{line}, median of {}", turns.len()), median.rate, "MiB/s");
            spread(lines, &line, turns.iter().map(|turn| turn.rate), "MiB/s");
            lines.tell(&format!("{line}, CPU for 100 MiB"), median.cpu_s, "s");
            lines.tell(&format!("{line}, memory after it"), mib(stage.usage(name)?.rss), "MiB");
            rates.push((name, median.rate));
            costs.push((name, 1.0 / median.cpu_s.max(f64::MIN_POSITIVE)));
        }
        compare(lines, &format!("{streams} streams"), !stage.is_near(), &rates);
        compare(lines, &format!("{streams} streams, bytes for a CPU second"), false, &costs);
    }
    Ok(())
}

/// What one proxy did once.
struct Turn {
    /// MiB a second.
    rate: f64,
    /// For 100 MiB.
    cpu_s: f64,
}

/// `streams` of so many bytes each through one proxy, on a circuit that this round alone uses.
fn turn(
    stage: &Stage,
    (name, proxy): (&str, u16),
    round: usize,
    (streams, size): (u64, u64),
) -> io::Result<Turn> {
    let (user, port) = (format!("speed {streams} {round}"), stage.outside.port());
    // The circuit is built by the first, which is not counted.
    client::get(&mut client::connect(proxy, &user, port)?, "/hello")?;
    let (begun, cpu) = (Instant::now(), stage.usage(name)?.cpu_s);
    let bytes = at_once((proxy, port), &user, streams, size)?;
    let (took, cpu) = (begun.elapsed().as_secs_f64(), stage.usage(name)?.cpu_s - cpu);
    if bytes != streams * size {
        return Err(io::Error::other(format!("{bytes} bytes came instead of {}", streams * size)));
    }
    Ok(Turn { rate: mib(bytes) / took, cpu_s: cpu / mib(bytes) * 100.0 })
}

fn at_once((proxy, port): (u16, u16), user: &str, streams: u64, size: u64) -> io::Result<u64> {
    thread::scope(|scope| {
        let all: Vec<_> = (0..streams)
            .map(|_| {
                scope.spawn(move || {
                    client::get(&mut client::connect(proxy, user, port)?, &format!("/size/{size}"))
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().map_err(|_| io::Error::other("a client panicked"))?).sum()
    })
}
