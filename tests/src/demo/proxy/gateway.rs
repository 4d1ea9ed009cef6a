//! The HTTP gateway: what it costs beside SOCKS, and what does not disturb it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::table::Lines;
use super::{Stage, mib};
use crate::client;

/// Bytes that are fetched each way.
const SIZE: u64 = 32 << 20;

/// Requests that are timed.
const REQUESTS: usize = 20;

/// Longest wait for the gateway.
const LIMIT: Duration = Duration::from_mins(2);

/// The same bytes through SOCKS, through `/proxy?url=` and through CONNECT, one after the other.
pub(super) fn rates(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let path = format!("/size/{SIZE}");
    let measure = |name: &str, get: &dyn Fn() -> io::Result<u64>| {
        let (begun, line) = (Instant::now(), format!("{name}, one stream"));
        let Some(bytes) = lines.or_fail(&line, get()) else { return };
        lines.judge(&line, bytes == SIZE, mib(bytes) / begun.elapsed().as_secs_f64(), "MiB/s");
    };
    measure("Bulbil's SOCKS", &|| stage.get("gateway", &path));
    measure("Bulbil's gateway, /proxy", &|| proxied(stage, &path));
    measure("Bulbil's gateway, CONNECT", &|| client::get(&mut tunnel(stage)?, &path));
    let mut times = Vec::new();
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        proxied(stage, "/hello")?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(REQUESTS / 2).copied().unwrap_or_default();
    lines.tell(&format!("gateway: median of {REQUESTS} short requests"), median, "ms");
    Ok(())
}

fn open(stage: &Stage) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, stage.http))?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Asks the gateway for a page outside. Returns how many bytes of body came.
fn proxied(stage: &Stage, path: &str) -> io::Result<u64> {
    let (mut stream, port) = (open(stage)?, stage.outside.port());
    let path = format!("/proxy?url=http%3A%2F%2F127.0.0.1%3A{port}{path}");
    // The older version's answers come without chunks, so that their bytes are the body's.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
    head(&mut stream)?;
    io::copy(&mut stream, &mut io::sink())
}

/// A stream to the outside through CONNECT.
fn tunnel(stage: &Stage) -> io::Result<TcpStream> {
    let mut stream = open(stage)?;
    let target = format!("127.0.0.1:{}", stage.outside.port());
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")?;
    head(&mut stream)?;
    Ok(stream)
}

/// Reads the head of an answer, which must be a good one.
fn head(stream: &mut TcpStream) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let code = head.split(|byte| *byte == b' ').nth(1);
    if code == Some(b"200") {
        Ok(())
    } else {
        Err(io::Error::other(format!("the gateway said {}", String::from_utf8_lossy(&head))))
    }
}
