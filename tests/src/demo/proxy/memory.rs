//! What it costs in memory.

use std::io;
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

/// What tor-proto 0.47 keeps of each byte that goes up, as long as nobody is slow: a waker for each cell.
const LEAK: f64 = 27.0 / 498.0;

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
    long(stage, lines, "download", (stage.outside.port(), false), 0.0)
}

/// One stream up.
pub(super) fn upload(stage: &Stage, lines: &Lines) -> io::Result<()> {
    long(stage, lines, "upload, no more than what tor-proto keeps of it", (stage.outside.port(), true), LEAK)
}

/// The same to a port that the node was told of.
pub(super) fn steady_upload(stage: &Stage, lines: &Lines) -> io::Result<()> {
    long(stage, lines, "upload to one of upload_ports", (stage.uploads.port(), true), 0.0)
}

/// `leak`: bytes for each byte that are known to stay.
fn long(stage: &Stage, lines: &Lines, name: &str, (port, up): (u16, bool), leak: f64) -> io::Result<()> {
    let (size, begun) = (stage.size, Instant::now());
    let name = format!("{name}, {:.0} MiB", mib(size));
    let (moved, growth, peak) = watch(stage, move |socks| {
        let mut stream = client::connect(socks, "long", port)?;
        stream.set_write_timeout(None)?;
        if up { client::put(&mut stream, size) } else { client::get(&mut stream, &format!("/size/{size}")) }
    })?;
    // What grows with what is moved shows over gigabytes only.
    let rate = mib(moved) / begun.elapsed().as_secs_f64();
    lines.judge(&format!("{name}: rate"), moved == size, rate, "MiB/s");
    let line = format!("{name}: growth after the first {:.0} %", WARM_UP * 100.0);
    lines.judge(&line, growth <= FLAT_MIB + mib(size) * leak, growth, "MiB");
    lines.tell(&format!("{name}: most memory"), peak, "MiB");
    Ok(())
}

/// Bytes moved, growth of the node's memory after the warm-up, and its highest value, the last two in MiB.
fn watch(
    stage: &Stage,
    carry: impl FnOnce(u16) -> io::Result<u64> + Send + 'static,
) -> io::Result<(u64, f64, f64)> {
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
    Ok((moved, growth, samples.iter().copied().fold(0.0, f64::max)))
}
