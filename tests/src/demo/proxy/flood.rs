//! What happens under load, and to those who do not take part in it.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Connections to each listener that send a byte a second, and for how long: more than any listener bears.
const SLOW: (usize, u32) = (700, 20);

/// Bytes of noise to each listener, and of each connection or datagram.
const NOISE: (usize, usize) = (50_000_000, 16_384);

/// The node's own limit, in MiB.
const LIMIT_MIB: f64 = 96.0;

/// Between two looks at the node's memory.
const EVERY: Duration = Duration::from_millis(200);

/// Somebody who does as one should, at one listener.
type Good = fn(&Stage, u64) -> io::Result<()>;

/// One at each listener.
const GOOD: [(&str, Good); 3] = [("SOCKS", by_socks), ("DNS", by_dns), ("HTTP", by_http)];

fn by_socks(stage: &Stage, _: u64) -> io::Result<()> {
    stage.get("good", "/hello").map(drop)
}

/// A name that nobody asked for yet, over UDP.
fn by_dns(stage: &Stage, number: u64) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (name, id) = (format!("good{number}"), u16::try_from(number % 60_000).unwrap_or(0).to_be_bytes());
    let head = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    let labels = [&[u8::try_from(name.len()).unwrap_or(0)], name.as_bytes(), b"\x04test\0"].concat();
    socket.send_to(&[&head[..], &labels, &[0, 1, 0, 1]].concat(), (Ipv4Addr::LOCALHOST, stage.dns))?;
    let mut answer = [0; 512];
    let got = socket.recv(&mut answer)?;
    let is_right = answer.get(..2) == Some(&id[..]) && answer.get(3).is_some_and(|flags| flags % 16 == 0);
    if is_right && got > labels.len() + 16 { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Through a tunnel.
fn by_http(stage: &Stage, _: u64) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, stage.http))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let target = format!("127.0.0.1:{}", stage.outside.port());
    stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        io::Read::read_exact(&mut stream, &mut byte)?;
        answer.extend(byte);
    }
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
    }
    client::get(&mut stream, "/hello").map(drop)
}

/// For one of these.
const PATIENCE: Duration = Duration::from_mins(1);

/// Plays `load` beside those who do as one should, and judges what became of them and what the node took meanwhile.
fn judge<T>(stage: &Stage, lines: &Lines, name: &str, load: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let over = &over;
    let (done, peak, served) = thread::scope(|scope| {
        let memory = scope.spawn(move || {
            let mut peak: f64 = 0.0;
            while !over.load(Ordering::Acquire) {
                peak = peak.max(stage.rss().unwrap_or(f64::MAX));
                thread::park_timeout(EVERY);
            }
            peak
        });
        let good = GOOD.map(|(kind, good)| {
            let served = scope.spawn(move || {
                let (mut served, mut number, mut why) = (0_u32, 0, None);
                while !over.load(Ordering::Acquire) {
                    number += 1;
                    match good(stage, number) {
                        Ok(()) => served += 1,
                        Err(error) => why = why.or(Some(error)),
                    }
                }
                why.map_or(Ok(served), Err)
            });
            (kind, served)
        });
        let done = load();
        over.store(true, Ordering::Release);
        let served = good.map(|(kind, served)| (kind, served.join()));
        (done, memory.join().unwrap_or(f64::MAX), served)
    });
    for (kind, served) in served {
        let line = format!("{name}: requests by {kind} beside it, none failed");
        let served = served.unwrap_or_else(|_| Err(io::Error::other("the client panicked")));
        if let Some(served) = lines.or_fail(&line, served) {
            lines.judge(&line, served > 0, served.into(), "");
        }
    }
    lines.judge(&format!("{name}: most memory"), peak <= LIMIT_MIB, peak, "MiB");
    done
}

/// All open at once, then all used.
pub(super) fn many(stage: &Stage, lines: &Lines) -> io::Result<()> {
    judge(stage, lines, "2 000 connections", || open_many(stage, lines))
}

fn open_many(stage: &Stage, lines: &Lines) -> io::Result<()> {
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
        let mut slow: Vec<(TcpStream, std::slice::Iter<'_, u8>)> = Vec::new();
        for _ in 0..SLOW.0 {
            for (port, bytes) in [
                (stage.socks, &b"\x05\xff\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"[..]),
                (stage.dns, b"\x01\x00 a question that is never whole"),
                (stage.http, b"GET /ip HTTP/1.1\r\nHost: 127.0.0.1\r\n"),
            ] {
                slow.push((TcpStream::connect((Ipv4Addr::LOCALHOST, port))?, bytes.iter()));
            }
        }
        for _ in 0..SLOW.1 {
            // The proxy hangs up on most of them, which is what should happen.
            slow.retain_mut(|(stream, bytes)| {
                bytes.next().is_some_and(|byte| stream.write_all(&[*byte]).is_ok())
            });
            thread::park_timeout(Duration::from_secs(1));
        }
        Ok::<_, io::Error>(())
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
            Ok::<_, io::Error>(())
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
