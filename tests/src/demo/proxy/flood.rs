//! What happens under load, and to those who do not take part in it.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Row, Stage};
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

fn rows(stage: &Stage, name: &str, served: u32, failed: u32) -> io::Result<Vec<Row>> {
    let rss = stage.rss()?;
    Ok(vec![
        Row::of(&format!("{name}: requests beside it that were served"), served > 0, served.into(), ""),
        Row::of(&format!("{name}: requests beside it that failed"), failed == 0, failed.into(), ""),
        Row::of(&format!("{name}: memory after it"), rss <= LIMIT_MIB, rss, "MiB"),
    ])
}

/// All open at once, then all used.
pub(super) fn many(stage: &Stage) -> io::Result<Vec<Row>> {
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
    let mut open: Vec<TcpStream> = all.into_iter().filter_map(Result::ok).collect();
    let count = open.len();
    let answered = open.iter_mut().filter_map(|stream| client::get(stream, "/hello").ok()).count();
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    Ok(vec![
        Row::of("connections open at once", count == MANY, number(count), ""),
        Row::of("of these answered", answered == MANY, number(answered), ""),
        Row::of("time to open them", true, took, "s"),
        Row::of("memory with all of them", rss <= LIMIT_MIB, rss, "MiB"),
    ])
}

/// Connections that break off in the middle of a handshake, then some that never get on with it.
pub(super) fn half_open(stage: &Stage) -> io::Result<Vec<Row>> {
    let open = |port: u16, bytes: &[u8]| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.write_all(bytes)?;
        Ok::<_, io::Error>(stream)
    };
    let (done, served, failed) = beside(stage, || {
        (0..HALF).try_for_each(|number| {
            let (port, bytes): (u16, &[u8]) = match number % 3 {
                0 => (stage.socks, &[5, 1]),
                1 => (stage.dns, &[0]),
                _ => (stage.http, b"GET /ip HTTP/1.1\r\nHost: 127.0.0.1\r\n"),
            };
            open(port, bytes).map(drop)
        })
    });
    done?;
    let mut all = rows(stage, "dropped half-way", served, failed)?;
    let (done, served, failed) = beside(stage, || -> io::Result<()> {
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
    });
    done?;
    all.extend(rows(stage, "a byte a second", served, failed)?);
    Ok(all)
}

/// Bytes that mean nothing.
pub(super) fn noise(stage: &Stage) -> io::Result<Vec<Row>> {
    let mut all = Vec::new();
    let mut random = vec![0; NOISE.1];
    let mut source = io::Read::take(std::fs::File::open("/dev/urandom")?, 1 << 40);
    for (name, port) in
        [("noise to SOCKS", stage.socks), ("noise to DNS over TCP", stage.dns), ("noise to HTTP", stage.http)]
    {
        let (done, served, failed) = beside(stage, || -> io::Result<()> {
            for _ in 0..NOISE.0 / NOISE.1 {
                io::Read::read_exact(&mut source, &mut random)?;
                // It is hung up on before it has said all of it.
                let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?.write_all(&random);
            }
            Ok(())
        });
        done?;
        all.extend(rows(stage, name, served, failed)?);
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (done, served, failed) = beside(stage, || -> io::Result<()> {
        for _ in 0..NOISE.0 / NOISE.1 {
            io::Read::read_exact(&mut source, &mut random)?;
            socket.send_to(&random, (Ipv4Addr::LOCALHOST, stage.dns))?;
        }
        Ok(())
    });
    done?;
    all.extend(rows(stage, "noise to DNS over UDP", served, failed)?);
    Ok(all)
}
