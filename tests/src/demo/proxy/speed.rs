//! How fast: connections, and bytes.

use std::io;
use std::thread;
use std::time::Instant;

use super::{Row, Stage, mib};
use crate::client;

/// Connections whose time is taken.
const CONNECTIONS: usize = 50;

/// Streams at once, and MiB of each.
const STREAMS: [(u64, u64); 3] = [(1, 64), (8, 8), (64, 1)];

/// From the first byte to the proxy to the last of a short answer, over a circuit that is open.
pub(super) fn latency(stage: &Stage) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, proxy) in stage.both() {
        let mut times = Vec::new();
        for _ in 0..CONNECTIONS {
            let begun = Instant::now();
            client::get(&mut client::connect(proxy, "latency", stage.outside.port())?, "/hello")?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        let median = times.get(CONNECTIONS / 2).copied().unwrap_or_default();
        rows.push(Row::of(&format!("{name}: median of {CONNECTIONS} short requests"), true, median, "ms"));
    }
    Ok(rows)
}

/// The same bytes over more and more streams, all on one circuit.
pub(super) fn throughput(stage: &Stage) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (streams, size) in STREAMS {
        let mut rates = Vec::new();
        for (name, proxy) in stage.both() {
            let (begun, cpu) = (Instant::now(), stage.cpu_s(name)?);
            let bytes = at_once(proxy, stage.outside.port(), streams, size << 20)?;
            let (took, cpu) = (begun.elapsed().as_secs_f64(), stage.cpu_s(name)? - cpu);
            let rate = mib(bytes) / took;
            rows.push(Row::of(
                &format!("{name}: {streams} streams"),
                bytes == (streams * size) << 20,
                rate,
                "MiB/s",
            ));
            rows.push(Row::of(
                &format!("{name}: {streams} streams, CPU for 100 MiB"),
                true,
                cpu / mib(bytes) * 100.0,
                "s",
            ));
            rates.push(rate);
        }
        if let [ours, theirs] = rates.as_slice() {
            rows.push(Row::of(&format!("{streams} streams, Bulbil to C tor"), true, ours / theirs, "times"));
        }
    }
    Ok(rows)
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
