//! What happens under load, and to those who do not take part in it.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Stage;
use super::table::Lines;
use crate::client;

/// Connections at once.
const MANY: usize = 2000;

/// Threads that open them.
const OPENERS: usize = 16;

/// Connections that say half of what they should.
const HALF: usize = 10_000;

/// Connections that send a byte a second, and for how long.
const SLOW: (usize, u32) = (600, 20);

/// Bytes of noise to each listener, and of each connection or datagram.
const NOISE: (usize, usize) = (50_000_000, 16_384);

/// The node's own limit, in MiB.
const LIMIT_MIB: f64 = 96.0;

/// Someone who does as one should, all the while; and how often that failed.
fn beside<T>(stage: &Stage, load: impl FnOnce() -> T) -> (T, u32, u32) {
    let (over, served, failed) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                let fine = stage.get("good", "/hello").is_ok();
                if fine { &served } else { &failed }.fetch_add(1, Ordering::Relaxed);
            }
        });
        let done = load();
        over.store(true, Ordering::Release);
        done
    });
    (done, served.into_inner(), failed.into_inner())
}

/// Judges what happened beside `load`, and what the node took.
fn judge(stage: &Stage, lines: &Lines, name: &str, load: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (done, served, failed) = beside(stage, load);
    lines.or_fail(name, done);
    lines.judge(&format!("{name}: requests beside it that were served"), served > 0, served.into(), "");
    lines.judge(&format!("{name}: requests beside it that failed"), failed == 0, failed.into(), "");
    let rss = stage.rss()?;
    lines.judge(&format!("{name}: memory after it"), rss <= LIMIT_MIB, rss, "MiB");
    Ok(())
}

/// All open at once, then all used.
pub(super) fn many(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let begun = Instant::now();
    let (socks, port) = (stage.socks, stage.outside.port());
    let all: Vec<io::Result<TcpStream>> = thread::scope(|scope| {
        let openers: Vec<_> = (0..OPENERS)
            .map(|opener| {
                scope.spawn(move || {
                    let user = format!("many{}", opener % 4);
                    (0..MANY / OPENERS).map(|_| client::connect(socks, &user, port)).collect::<Vec<_>>()
                })
            })
            .collect();
        openers.into_iter().flat_map(|opener| opener.join().unwrap_or_default()).collect()
    });
    let took = begun.elapsed().as_secs_f64();
    let rss = stage.rss()?;
    let (open, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    let mut open: Vec<TcpStream> = open.into_iter().filter_map(Result::ok).collect();
    let count = open.len();
    let (fine, broken): (Vec<_>, Vec<_>) =
        open.iter_mut().map(|stream| client::get(stream, "/hello")).partition(Result::is_ok);
    let answered = fine.len();
    // One example of each, so that it can be understood.
    if let Some(one) = refused.into_iter().next() {
        lines.or_fail("not opened", one);
    }
    if let Some(one) = broken.into_iter().next() {
        lines.or_fail("not answered", one);
    }
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    lines.judge("connections open at once", count == MANY, number(count), "");
    lines.judge("of these answered", answered == MANY, number(answered), "");
    lines.tell("time to open them", took, "s");
    lines.judge("memory with all of them", rss <= LIMIT_MIB, rss, "MiB");
    Ok(())
}

/// Connections that break off in the middle of a handshake, then some that never get on with it.
pub(super) fn half_open(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let open = |port: u16, bytes: &[u8]| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.write_all(bytes)?;
        Ok::<_, io::Error>(stream)
    };
    judge(stage, lines, "dropped half-way", || {
        (0..HALF).try_for_each(|number| {
            let (port, bytes): (u16, &[u8]) = match number % 3 {
                0 => (stage.socks, &[5, 1]),
                1 => (stage.dns, &[0]),
                _ => (stage.http, b"GET /ip HTTP/1.1\r\nHost: 127.0.0.1\r\n"),
            };
            open(port, bytes).map(drop)
        })
    })?;
    judge(stage, lines, "a byte a second", || {
        let mut slow: Vec<TcpStream> = Vec::new();
        for number in 0..SLOW.0 {
            let all = [stage.socks, stage.dns, stage.http];
            let port = all.get(number % all.len()).copied().unwrap_or_default();
            slow.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
        }
        for byte in 0..SLOW.1 {
            // The proxy hangs up on most of them, which is what should happen.
            slow.retain_mut(|stream| stream.write_all(&[if byte == 0 { 5 } else { 200 }]).is_ok());
            thread::park_timeout(Duration::from_secs(1));
        }
        Ok(())
    })
}

/// Bytes that mean nothing.
pub(super) fn noise(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let mut random = vec![0; NOISE.1];
    let mut source = io::Read::take(std::fs::File::open("/dev/urandom")?, 1 << 40);
    for (name, port) in
        [("noise to SOCKS", stage.socks), ("noise to DNS over TCP", stage.dns), ("noise to HTTP", stage.http)]
    {
        judge(stage, lines, name, || {
            for _ in 0..NOISE.0 / NOISE.1 {
                io::Read::read_exact(&mut source, &mut random)?;
                // It is hung up on before it has said all of it.
                let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?.write_all(&random);
            }
            Ok(())
        })?;
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    judge(stage, lines, "noise to DNS over UDP", || {
        for _ in 0..NOISE.0 / NOISE.1 {
            io::Read::read_exact(&mut source, &mut random)?;
            socket.send_to(&random, (Ipv4Addr::LOCALHOST, stage.dns))?;
        }
        Ok(())
    })
}
