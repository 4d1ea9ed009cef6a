//! Streams with latency and bandwidth: a task per direction carries the bytes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::Pace;

/// Bytes moved at once: what a relay cell carries, times four.
const CHUNK: usize = 2048;

/// The two ends of one stream. Must be called within a runtime unless `pace` is without delay and limit.
pub(super) fn pair(pace: Pace, in_flight: usize) -> (DuplexStream, DuplexStream) {
    if pace == Pace::default() {
        return tokio::io::duplex(in_flight);
    }
    let (ours, near) = tokio::io::duplex(CHUNK);
    let (theirs, far) = tokio::io::duplex(CHUNK);
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::spawn(async move {
        let there = carry(near_read, far_write, pace, in_flight);
        let back = carry(far_read, near_write, pace, in_flight);
        // Either direction's end ends both, as in Tor.
        tokio::select! { () = there => {}, () = back => {} }
    });
    (ours, theirs)
}

/// Carries bytes until either end is gone. Holds at most `in_flight` bytes.
async fn carry(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    pace: Pace,
    in_flight: usize,
) {
    let mut queue: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let (mut held, mut free_at, mut open) = (0_usize, Instant::now(), true);
    let mut chunk = vec![0; CHUNK];
    while open || !queue.is_empty() {
        let due = queue.front().map(|(due, _)| *due);
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {
                let Some((_, bytes)) = queue.pop_front() else { continue };
                held = held.saturating_sub(bytes.len());
                if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                    return;
                }
            }
            got = from.read(&mut chunk), if open && held < in_flight => match got {
                Ok(0) | Err(_) => open = false,
                Ok(got) => {
                    let bytes = chunk.get(..got).unwrap_or_default().to_vec();
                    free_at = free_at.max(Instant::now()) + time_of(got, pace.bandwidth);
                    held = held.saturating_add(got);
                    queue.push_back((free_at + pace.latency, bytes));
                }
            },
        }
    }
    let _ = to.shutdown().await; // the other end may be gone, which is the same
}

/// How long `bytes` occupy the line.
fn time_of(bytes: usize, bandwidth: u64) -> Duration {
    let nanos = (bytes as u64).saturating_mul(1_000_000_000).checked_div(bandwidth).unwrap_or(0);
    Duration::from_nanos(nanos)
}
