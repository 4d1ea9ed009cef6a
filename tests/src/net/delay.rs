//! Adds latency: a forwarder in front of each relay that hands on every byte a fixed time after it came.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// All forwarders of one network, in one thread, until dropped.
#[derive(Debug)]
pub(super) struct Delay {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Delay {
    /// Listens on the first port of each pair and connects to the second. `delay` applies to each way by itself.
    pub(super) fn start(address: Ipv4Addr, ports: &[(u16, u16)], delay: Duration) -> io::Result<Self> {
        let mut routes = Vec::new();
        for &(from, to) in ports {
            let listener = StdListener::bind((address, from))?;
            listener.set_nonblocking(true)?;
            routes.push((listener, SocketAddr::from((address, to))));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("delay".to_owned()).spawn(move || {
            runtime.block_on(async {
                for (listener, to) in routes {
                    if let Ok(listener) = TcpListener::from_std(listener) {
                        tokio::spawn(accept(listener, to, delay));
                    }
                }
                let _ = stopped.await;
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, delay: Duration) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(to).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::join!(one_way(near_read, far_write, delay), one_way(far_read, near_write, delay));
        });
    }
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let chunk = buffer.get(..length).unwrap_or_default().to_vec();
            if queue.send((Instant::now() + delay, chunk)).await.is_err() {
                return;
            }
        }
    });
    while let Some((when, chunk)) = due.recv().await {
        tokio::time::sleep_until(when).await;
        if to.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    reader.abort();
}

/// Most bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Most chunks under way on one connection and way. A chunk is at least a cell (514 bytes), so 20 ms hold 100 MB/s.
const QUEUE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Ports;
    use std::io::{Read, Write};

    #[test]
    fn bytes_arrive_whole_and_late() {
        let address = Ipv4Addr::LOCALHOST;
        let mut ports = Ports::reserve(address).unwrap();
        let (near, far) = (ports.take().unwrap(), ports.take().unwrap());
        let listener = StdListener::bind((address, far)).unwrap();
        let echo = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        });
        let delay = Duration::from_millis(30);
        let _running = Delay::start(address, &[(near, far)], delay).unwrap();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let start = std::time::Instant::now();
        let mut stream = std::net::TcpStream::connect((address, near)).unwrap();
        stream.write_all(&sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(start.elapsed() >= delay * 2);
        assert!(back == sent);
        echo.join().unwrap();
    }
}
