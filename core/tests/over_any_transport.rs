//! The pump over packets in a channel and over a byte stream that delivers seven bytes at a time.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::large_futures, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bulbil_core::limits::{MAX_FRAME, SEND_MS};
use bulbil_core::pump::{self, Clock, Ended, Line};
use bulbil_core::time::Millis;
use bulbil_core::transport::{Hangup, RecvFrame, SendFrame, framed};
use embedded_io_adapters::tokio_1::FromTokio;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    async fn until(&self, at: Millis) {
        tokio::time::sleep_until(self.0 + Duration::from_millis(at.0)).await;
    }
}

/// Counts down: answers each number with the next smaller one, and ends at 0.
struct CountDown {
    next: RefCell<Vec<u16>>,
    stirred: Notify,
    patience: Cell<usize>,
}

impl CountDown {
    fn new(first: impl IntoIterator<Item = u16>) -> Self {
        Self {
            next: first.into_iter().collect::<Vec<_>>().into(),
            stirred: Notify::new(),
            patience: Cell::new(0),
        }
    }
}

impl Line for CountDown {
    type End = &'static str;

    fn hear(&self, _: Millis, frame: &[u8]) -> Result<(), Self::End> {
        let number = u16::from_be_bytes([frame[0], frame[1]]);
        if number == 0 || frame.len() != MAX_FRAME {
            return Err("done");
        }
        self.next.borrow_mut().push(number - 1);
        self.stirred.notify_one();
        Ok(())
    }

    fn say(&self, _: Millis, tx: &mut [u8]) -> Result<usize, Self::End> {
        let Some(number) = self.next.borrow_mut().pop() else { return Ok(0) };
        self.patience.set(self.patience.get() + 1);
        tx[..2].copy_from_slice(&number.to_be_bytes());
        Ok(MAX_FRAME)
    }

    async fn stirred(&self) {
        self.stirred.notified().await;
    }
}

struct ChannelTx(mpsc::Sender<Vec<u8>>);
struct ChannelRx(mpsc::Receiver<Vec<u8>>, Vec<u8>);

impl SendFrame for ChannelTx {
    async fn send(&mut self, frame: &[u8]) -> Result<(), Hangup> {
        self.0.send(frame.to_vec()).await.map_err(|_| Hangup)
    }

    async fn flush(&mut self) -> Result<(), Hangup> {
        Ok(())
    }
}

impl RecvFrame for ChannelRx {
    async fn recv(&mut self) -> Result<&[u8], Hangup> {
        self.1 = self.0.recv().await.ok_or(Hangup)?;
        Ok(&self.1)
    }
}

/// Hands on no more than seven bytes at a time.
struct Drip<R>(R);

impl<R: AsyncRead + Unpin> AsyncRead for Drip<R> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let mut few = [0; 7];
        let room = buf.remaining().min(7);
        let mut small = ReadBuf::new(&mut few[..room]);
        let polled = std::pin::Pin::new(&mut self.0).poll_read(cx, &mut small);
        buf.put_slice(small.filled());
        polled
    }
}

async fn converse(
    one: (impl SendFrame, impl RecvFrame),
    other: (impl SendFrame, impl RecvFrame),
) -> [Ended<&'static str>; 2] {
    let (first, second) = (CountDown::new([9]), CountDown::new([]));
    let clock = Paused(Instant::now());
    let (mut one, mut other) = (one, other);
    let (mut a, mut b) = (vec![0; MAX_FRAME], vec![0; MAX_FRAME]);
    let left = async { pump::run(&first, (&mut one.0, &mut one.1), &clock, &mut a).await };
    let right = async { pump::run(&second, (&mut other.0, &mut other.1), &clock, &mut b).await };
    tokio::select! {
        end = left => [end, Ended::Hangup],
        end = right => [Ended::Hangup, end],
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_over_packets() {
    let ((a_tx, a_rx), (b_tx, b_rx)) = (mpsc::channel(1), mpsc::channel(1));
    let ends =
        converse((ChannelTx(a_tx), ChannelRx(b_rx, vec![])), (ChannelTx(b_tx), ChannelRx(a_rx, vec![])))
            .await;
    assert!(ends.contains(&Ended::Line("done")), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_seven_bytes_at_a_time() {
    let (one, other) = tokio::io::duplex(100);
    let ((one_read, one_write), (other_read, other_write)) = (tokio::io::split(one), tokio::io::split(other));
    let ends = converse(
        framed(FromTokio::new(one_write), FromTokio::new(Drip(one_read))),
        framed(FromTokio::new(other_write), FromTokio::new(Drip(other_read))),
    )
    .await;
    assert!(ends.contains(&Ended::Line("done")), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_ends_at_the_deadline() {
    let (one, _other) = tokio::io::duplex(100);
    let (read, write) = tokio::io::split(one);
    let (mut tx, mut rx) = framed(FromTokio::new(write), FromTokio::new(read));
    let clock = Paused(Instant::now());
    let line = CountDown::new([1]);
    let end = pump::run(&line, (&mut tx, &mut rx), &clock, &mut vec![0; MAX_FRAME]).await;
    assert_eq!(end, Ended::Stalled);
    assert_eq!((clock.now(), line.patience.get()), (Millis(SEND_MS), 1));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_left_to_the_line() {
    let (one, _other) = tokio::io::duplex(100);
    let (read, write) = tokio::io::split(one);
    let (mut tx, mut rx) = framed(FromTokio::new(write), FromTokio::new(read));
    let clock = Paused(Instant::now());
    let line = CountDown::new([]);
    let mut buf = vec![0; MAX_FRAME];
    let running = pump::run(&line, (&mut tx, &mut rx), &clock, &mut buf);
    let waited = tokio::time::timeout(Duration::from_millis(10 * SEND_MS), running).await;
    assert!(waited.is_err(), "the pump sets no deadline on silence: the swarm does");
}
