//! A SOCKS5 client of a few lines, where thousands of connections are wanted at once (RFC 1928).

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// For each answer of the proxy.
const LIMIT: Duration = Duration::from_mins(2);

/// A stream to `port` on the exit's loopback, through the proxy at `proxy`. `user` tells circuits apart.
pub fn connect(proxy: u16, user: &str, port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let length = u8::try_from(user.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One step after the other: C tor waits for ever when they come at once.
    step::<2>(&mut stream, &[5, 1, 2])?;
    step::<2>(&mut stream, &[&[1, length], user.as_bytes(), &[1, b'x']].concat())?;
    match step::<10>(&mut stream, &[&[5, 1, 0, 1, 127, 0, 0, 1], &port.to_be_bytes()[..]].concat())? {
        [5, 0, ..] => Ok(stream),
        [_, code, ..] => Err(io::Error::other(format!("the proxy answered {code}"))),
    }
}

fn step<const N: usize>(stream: &mut TcpStream, say: &[u8]) -> io::Result<[u8; N]> {
    stream.write_all(say)?;
    let mut heard = [0; N];
    stream.read_exact(&mut heard)?;
    Ok(heard)
}

/// Asks for `path` and returns how many bytes of body came.
pub fn get(stream: &mut TcpStream, path: &str) -> io::Result<u64> {
    // In one piece: another would wait until the first is acknowledged.
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut head = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let got = stream.read(&mut chunk)?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(chunk.get(..got).unwrap_or_default());
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let early = (head.len() - end - 4) as u64;
            return Ok(early + io::copy(stream, &mut io::sink())?);
        }
    }
}

/// Sends so many bytes; the answer says how many came.
pub fn put(stream: &mut TcpStream, bytes: u64) -> io::Result<u64> {
    stream.write_all(format!("PUT / HTTP/1.0\r\nContent-Length: {bytes}\r\n\r\n").as_bytes())?;
    io::copy(&mut io::repeat(b'y').take(bytes), stream)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.rsplit("\r\n").next().and_then(|body| body.parse().ok());
    body.ok_or_else(|| io::Error::other("the server did not say how many bytes came"))
}
