//! What it costs in memory.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::table::Lines;
use super::{OURS, Stage, mib};
use crate::client;

/// Streams that are open at once.
const OPEN: usize = 500;

/// MiB that the node may take with these.
const OPEN_MIB: f64 = 64.0;

/// Between two looks at the node's memory.
const EVERY: Duration = Duration::from_millis(500);

/// The part of a transfer, from its start, in which tables and pools are still being filled.
const WARM_UP: f64 = 0.2;

/// MiB that the node may grow by from then to the end.
const FLAT_MIB: f64 = 8.0;

/// The node's `memory` in MiB: the program's own choice.
const MEMORY_MIB: f64 = 96.0;

/// Bytes of a first upload, after which the node knows that there are long ones; it takes half of that to know.
const FIRST: u64 = 64 << 20;

/// Slow downloads at once. One alone would have to go on for hours before its memory shows.
const SLOW: u64 = 16;

/// Bytes a second of each, which is less than what tor-proto lets pile up before it asks for a pause.
const SLOW_RATE: u64 = 200_000;

/// Bytes of each: two minutes, and half as much again as one is read of without a rest.
const SLOW_SIZE: u64 = SLOW_RATE * 120;

/// Bytes written at once where they are counted.
const CHUNK: usize = 64 * 1024;

/// Streams that wait for their targets, through each proxy.
pub(super) fn open(stage: &Stage, lines: &Lines) -> io::Result<()> {
    for (name, proxy) in stage.all() {
        let before = mib(stage.usage(name)?.rss);
        let opened: io::Result<Vec<_>> = (0..OPEN)
            .map(|number| client::connect(proxy, &format!("open{}", number % 10), stage.outside.port()))
            .collect();
        let line = format!("{name}: memory with {OPEN} open streams");
        let Some(mut streams) = lines.or_fail(&line, opened) else { continue };
        let with = mib(stage.usage(name)?.rss);
        // They end as a client's do; one that only hangs up keeps its place for some seconds.
        let answered = streams.iter_mut().filter_map(|stream| client::get(stream, "/hello").ok()).count();
        lines.tell(&format!("{name}: memory before the first of these"), before, "MiB");
        lines.judge(&line, with <= OPEN_MIB || name != OURS, with, "MiB");
        let number = f64::from(u32::try_from(answered).unwrap_or(u32::MAX));
        lines.judge(
            &format!("{name}: of these answered in the end"),
            answered == OPEN || name != OURS,
            number,
            "",
        );
    }
    Ok(())
}

/// One stream down, for as long as the size says.
pub(super) fn download(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let size = stage.size;
    flat(stage, lines, ("download", size), move |socks, port| {
        client::get(&mut client::connect(socks, "download", port)?, &format!("/size/{size}"))
    })
}

/// Many streams down, each at a rate of slow paths.
pub(super) fn slow_downloads(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let name = format!("{SLOW} downloads at {} KB/s together", SLOW_RATE / 1000);
    flat(stage, lines, (&name, SLOW * SLOW_SIZE), |socks, port| {
        let one = move |number: u64| {
            let mut stream = client::connect(socks, &format!("slow{}", number % 4), port)?;
            client::get(&mut stream, &format!("/slow/{SLOW_RATE}/{SLOW_SIZE}"))
        };
        let all: Vec<_> = (0..SLOW).map(|number| thread::spawn(move || one(number))).collect();
        all.into_iter().map(|one| one.join().map_err(|_| io::Error::other("a client panicked"))?).sum()
    })
}

/// One stream up, to a port that the node was told of.
pub(super) fn named_upload(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let (size, port) = (stage.size, stage.uploads.port());
    flat(stage, lines, ("upload to one of upload_ports", size), move |socks, _| {
        put(socks, "named", port, size)
    })
}

/// One stream up, to where a shorter one went before it.
pub(super) fn learned_upload(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let (size, port) = (stage.size, stage.outside.port());
    let first = put(stage.socks, "learned", port, FIRST)?;
    lines.judge("upload of 64 MiB to somewhere new", first == FIRST, mib(first), "MiB");
    flat(stage, lines, ("upload to the same place", size), move |socks, port| {
        put(socks, "learned", port, size)
    })
}

/// One stream up to somewhere new. It holds memory, which ends it rather than have the node take more than its share.
pub(super) fn first_upload(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let (size, port) = (stage.size, stage.outside.port());
    let name = format!("first upload to somewhere new, {:.0} MiB", mib(size));
    let seen = watch(stage, move |socks| put_while_it_goes(socks, "first", port, size))?;
    lines.judge(&format!("{name}: went on for"), seen.moved > 0, mib(seen.moved), "MiB");
    let held = (seen.peak - seen.before) * 1024.0 / mib(seen.moved).max(1.0);
    lines.tell(&format!("{name}: memory for each MiB"), held, "KiB");
    lines.judge(
        &format!("{name}: most memory, of the {MEMORY_MIB:.0} MiB set"),
        seen.peak <= MEMORY_MIB,
        seen.peak,
        "MiB",
    );
    let again = put(stage.socks, "first", port, FIRST)?;
    lines.judge(&format!("{name}: tried again, now"), again == FIRST, mib(again), "MiB");
    Ok(())
}

fn put(socks: u16, user: &str, port: u16, size: u64) -> io::Result<u64> {
    let mut stream = client::connect(socks, user, port)?;
    stream.set_write_timeout(None)?;
    client::put(&mut stream, size)
}

/// The same until the proxy ends it. Says how many bytes it took.
fn put_while_it_goes(socks: u16, user: &str, port: u16, size: u64) -> io::Result<u64> {
    let mut stream = client::connect(socks, user, port)?;
    write!(stream, "PUT / HTTP/1.0\r\nContent-Length: {size}\r\n\r\n")?;
    let (chunk, mut sent) = (vec![b'y'; CHUNK], 0);
    while sent < size {
        let now = usize::try_from(size - sent).unwrap_or(CHUNK).min(CHUNK);
        match stream.write(chunk.get(..now).unwrap_or_default()) {
            Ok(0) | Err(_) => return Ok(sent),
            Ok(taken) => sent += taken as u64,
        }
    }
    // The answer says that all of it came; what ends before that was ended.
    let _ = io::copy(&mut stream, &mut io::sink());
    Ok(sent)
}

/// A transfer of so many bytes under which the node's memory must stay flat. `carry` is told the proxy's port and the target's.
fn flat(
    stage: &Stage,
    lines: &Lines,
    (name, size): (&str, u64),
    carry: impl FnOnce(u16, u16) -> io::Result<u64> + Send + 'static,
) -> io::Result<()> {
    let (begun, port) = (Instant::now(), stage.outside.port());
    let name = format!("{name}, {:.0} MiB", mib(size));
    let seen = watch(stage, move |socks| carry(socks, port))?;
    // What grows with what is moved shows over gigabytes only.
    let rate = mib(seen.moved) / begun.elapsed().as_secs_f64();
    lines.judge(&format!("{name}: rate"), seen.moved == size, rate, "MiB/s");
    let line = format!("{name}: growth after the first {:.0} %", WARM_UP * 100.0);
    lines.judge(&line, seen.growth <= FLAT_MIB, seen.growth, "MiB");
    lines.tell(&format!("{name}: most memory"), seen.peak, "MiB");
    Ok(())
}

/// What became of a transfer.
struct Seen {
    /// Bytes.
    moved: u64,
    /// The node's memory before it, in MiB.
    before: f64,
    /// From the end of the warm-up to that of the transfer, in MiB.
    growth: f64,
    /// In MiB.
    peak: f64,
}

fn watch(stage: &Stage, carry: impl FnOnce(u16) -> io::Result<u64> + Send + 'static) -> io::Result<Seen> {
    let socks = stage.socks;
    let carrying = thread::spawn(move || carry(socks));
    let mut samples = vec![stage.rss()?];
    while !carrying.is_finished() {
        thread::park_timeout(EVERY);
        samples.push(stage.rss()?);
    }
    let moved = carrying.join().map_err(|_| io::Error::other("the client panicked"))??;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part"
    )]
    let warm = (samples.len() as f64 * WARM_UP) as usize;
    let at = |place: usize| samples.get(place).copied().unwrap_or_default();
    let growth = at(samples.len().saturating_sub(1)) - at(warm);
    Ok(Seen { moved, before: at(0), growth, peak: samples.iter().copied().fold(0.0, f64::max) })
}
