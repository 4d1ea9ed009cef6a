//! Servers that stand for the internet: what exits connect to.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{Backlog, listen};

/// A server of HTTP/1.0, on 127.0.0.1 and `[::1]` at one port. `GET /hello` answers [`HELLO`], `GET /size/N` N bytes,
/// `GET /slow/RATE/N` N bytes at RATE bytes a second, `PUT` says how many bytes came, `GET /wait` never answers. Ends when
/// dropped.
#[derive(Debug)]
pub struct Outside {
    addresses: Vec<SocketAddr>,
    over: Arc<AtomicBool>,
}

/// The shortest answer.
pub const HELLO: &str = "hello from outside";

/// Longest wait for a client.
const LIMIT: Duration = Duration::from_mins(10);

/// Bytes written at once.
const CHUNK: usize = 64 * 1024;

/// Between two pieces of what comes slowly.
const PACE: Duration = Duration::from_millis(100);

/// Of each connection's thread; there may be thousands.
const STACK: usize = 256 * 1024;

impl Outside {
    /// Starts it.
    pub fn start() -> io::Result<Self> {
        Self::start_at(&[])
    }

    /// Starts it at these addresses of this machine, too.
    pub fn start_at(more: &[Ipv4Addr]) -> io::Result<Self> {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = four.local_addr()?.port();
        let mut listeners = vec![four, TcpListener::bind((Ipv6Addr::LOCALHOST, port))?];
        for address in more {
            listeners.push(TcpListener::bind((*address, port))?);
        }
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let over = Arc::<AtomicBool>::default();
        for listener in listeners {
            let over = Arc::clone(&over);
            thread::Builder::new().name("outside".into()).spawn(move || accept(&listener, &over))?;
        }
        Ok(Self { addresses, over })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        for address in &self.addresses {
            let _ = TcpStream::connect(address); // wakes the listener
        }
    }
}

fn accept(listener: &TcpListener, over: &AtomicBool) {
    for stream in listener.incoming().map_while(Result::ok) {
        if over.load(Ordering::Acquire) {
            return;
        }
        // Clients that break off are what some tests are about.
        let _ = thread::Builder::new().stack_size(STACK).spawn(move || serve(stream));
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
        if head.len() > 8192 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    if head.starts_with("PUT") {
        let length = head
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next().and_then(|number| number.parse().ok()));
        if head.to_lowercase().contains("expect: 100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let came = io::copy(&mut (&mut stream).take(length.unwrap_or(0)), &mut io::sink())?;
        return answer(&mut stream, came.to_string().as_bytes());
    }
    if path == "/wait" {
        let _ = stream.read(&mut [0]);
        return Ok(());
    }
    match wanted(path) {
        None => answer(&mut stream, HELLO.as_bytes()),
        Some((size, rate)) => send(&mut stream, size, rate),
    }
}

/// Bytes, and how many of them a second if that is limited.
fn wanted(path: &str) -> Option<(u64, Option<u64>)> {
    let number = |text: &str| text.parse::<u64>().ok();
    if let Some(size) = path.strip_prefix("/size/") {
        return Some((number(size)?, None));
    }
    let (rate, size) = path.strip_prefix("/slow/")?.split_once('/')?;
    Some((number(size)?, Some(number(rate)?)))
}

fn send(stream: &mut TcpStream, size: u64, rate: Option<u64>) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.0 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes())?;
    let chunk = vec![b'x'; CHUNK];
    let (begun, mut sent) = (Instant::now(), 0);
    while sent < size {
        // What is due by now, and with a rate not more.
        let due = rate.map_or(size, |rate| {
            let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            (rate * millis / 1000).min(size)
        });
        let now = usize::try_from(due.saturating_sub(sent)).unwrap_or(CHUNK).min(CHUNK);
        if now == 0 {
            thread::park_timeout(PACE);
            continue;
        }
        stream.write_all(chunk.get(..now).unwrap_or_default())?;
        sent += now as u64;
    }
    stream.shutdown(Shutdown::Write)
}

fn answer(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    // In one piece: another would wait until the first is acknowledged.
    let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())?;
    stream.shutdown(Shutdown::Write)
}

/// A port at which connects get no answer at all: its queue is full and nobody empties it.
#[derive(Debug)]
pub struct Silent {
    port: u16,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

/// By then a connect over loopback has worked, or never will.
const FULL: Duration = Duration::from_millis(300);

impl Silent {
    /// Fills the queue.
    pub fn start() -> io::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// The same at another address of this machine.
    pub fn start_at(address: Ipv4Addr) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        listen(&listener, Backlog::new(1)?)?;
        let address = listener.local_addr()?;
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, FULL) {
            queue.push(stream);
        }
        Ok(Self { port: address.port(), _listener: listener, _queue: queue })
    }

    /// Where nobody answers.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}
