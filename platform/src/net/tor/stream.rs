//! A stream over Tor, with the way round a leak in tor-proto 0.47 (see the README) and fewer polls per byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arti_client::DataStream;
use futures::io::{AsyncRead as Source, AsyncWrite as Sink};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use super::bell::Bell;
use super::budget::{Account, Budget, Side};
use super::learned::Lesson;
use super::wear::{self, Rest, Wear};

/// Bytes handed over by one call at most, so that one stream does not starve the others of its thread.
const MAX_PER_POLL: usize = 64 * 1024;

/// One stream: to or from an onion service, or to a target outside.
#[derive(Debug)]
pub struct TorStream {
    inner: DataStream,
    reads: Reads,
    writes: Wear,
    /// What it costs.
    account: Account,
    /// Whether its circuit has windows, so that tor-proto holds nothing for it and it needs no rest.
    windows: bool,
    /// What later streams learn from it.
    lesson: Option<Lesson>,
    /// Given back when the stream is dropped: what its circuit may carry at once.
    _slot: Option<OwnedSemaphorePermit>,
}

/// The reading half's state.
#[derive(Debug)]
struct Reads {
    /// Tells whether polling can bring anything: each needless poll costs memory.
    bell: Bell,
    /// The last poll found nothing, and the bell has not rung since.
    dry: bool,
    /// What the other side's end of stream was, once it came: Arti says it only once.
    end: Option<io::ErrorKind>,
    finished: bool,
    wear: Wear,
}

impl Reads {
    fn new(longest: Duration) -> Self {
        Self { bell: Bell::new(), dry: false, end: None, finished: false, wear: Wear::new(longest) }
    }
}

impl TorStream {
    pub(super) fn new(inner: DataStream, slot: Option<OwnedSemaphorePermit>, budget: &Budget) -> Self {
        let longest = match budget.side() {
            Side::Peers => wear::LONGEST,
            Side::Programs => wear::LONGEST_PATIENT,
        };
        let reads = Reads::new(longest);
        let account = budget.open(reads.bell.waker());
        Self { inner, reads, writes: Wear::new(longest), account, windows: false, lesson: None, _slot: slot }
    }

    /// One on a circuit with windows.
    pub(super) fn steady(inner: DataStream, budget: &Budget) -> Self {
        Self { windows: true, ..Self::new(inner, None, budget) }
    }

    /// The same stream, which later ones learn from.
    pub(super) fn teaching(self, lesson: Option<Lesson>) -> Self {
        Self { lesson, ..self }
    }

    pub(in crate::net) const fn worn(&self) -> bool {
        self.reads.wear.worn() || self.writes.worn()
    }

    /// Notes what the stream costs now. An error once it must not go on.
    fn settle(&self) -> io::Result<()> {
        if self.windows {
            return Ok(());
        }
        self.account.hold(self.reads.wear.held(), self.writes.held());
        if !self.account.over() {
            return Ok(());
        }
        if let Some(lesson) = &self.lesson {
            lesson.ended();
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Reads one cell's worth. `None` when nothing is there.
    fn read_cell(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        let waker = self.reads.bell.waker();
        if !self.windows {
            self.reads.wear.count();
        }
        match Source::poll_read(Pin::new(&mut self.inner), &mut Context::from_waker(&waker), buf) {
            Poll::Pending => None,
            Poll::Ready(result) => Some(result),
        }
    }

    /// Fills `buf` with what is there now.
    fn fill(&mut self, buf: &mut ReadBuf<'_>) {
        let goal = buf.filled().len().saturating_add(MAX_PER_POLL.min(buf.remaining()));
        while buf.filled().len() < goal {
            match self.read_cell(buf.initialize_unfilled()) {
                None => {
                    self.reads.dry = true;
                    return;
                }
                Some(Ok(0)) => {
                    self.reads.finished = true;
                    return;
                }
                Some(Ok(got)) => {
                    buf.advance(got);
                    self.reads.wear.carried(got);
                }
                Some(Err(error)) => {
                    self.reads.finished = true;
                    self.reads.end = Some(error.kind());
                    return;
                }
            }
        }
    }

    /// Lets the reader fall behind when it is time to, so that a notification frees what piled up.
    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.windows {
            return Poll::Ready(());
        }
        let after = self.account.rest_after();
        let inner = &mut self.inner;
        let mut touch = |cx: &mut Context<'_>| {
            // A read of nothing only leaves its waker with the notifier.
            let _ = Source::poll_read(Pin::new(&mut *inner), cx, &mut []);
        };
        match ready!(self.reads.wear.rest(cx, after, &mut touch)) {
            Rest::No => {}
            Rest::Over => self.reads.dry = false,
        }
        Poll::Ready(())
    }
}

impl AsyncRead for TorStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !me.reads.finished {
            me.settle()?;
            ready!(me.rest(cx));
            if me.reads.bell.listen(cx) {
                me.reads.dry = false;
            }
            if me.reads.dry {
                return Poll::Pending;
            }
            let before = buf.filled().len();
            me.fill(buf);
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
        match (me.reads.finished, me.reads.end) {
            (true, Some(kind)) => Poll::Ready(Err(kind.into())),
            (true, None) => Poll::Ready(Ok(())),
            (false, _) => Poll::Pending,
        }
    }
}

impl AsyncWrite for TorStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        me.settle()?;
        if !me.windows {
            let inner = &mut me.inner;
            me.writes.arm(&mut |cx| {
                let _ = Sink::poll_write(Pin::new(&mut *inner), cx, &[]);
            });
        }
        let goal = buf.len().min(MAX_PER_POLL);
        let mut done = 0;
        while let Some(rest) = buf.get(done..goal).filter(|rest| !rest.is_empty()) {
            if !me.windows {
                me.writes.count();
            }
            match Sink::poll_write(Pin::new(&mut me.inner), cx, rest) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(taken)) => done = done.saturating_add(taken),
                Poll::Ready(Err(error)) if done == 0 => return Poll::Ready(Err(error)),
                Poll::Pending if done == 0 => return Poll::Pending,
                // A broken writer stays broken: the next call says it again.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        if let Some(lesson) = &mut me.lesson {
            lesson.sent(done);
        }
        Poll::Ready(Ok(done))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::poll_flush(Pin::new(&mut self.get_mut().inner), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::poll_close(Pin::new(&mut self.get_mut().inner), cx)
    }
}
