//! Carries bytes between a client and a target, both ways, until both have said all they had.
//!
//! A connection that is quiet holds no buffer: bytes are read into one that all connections of a thread share, and only
//! what the other side does not take at once is kept.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Meter;

/// Bytes taken from a target at once.
const DOWN: usize = 64 * 1024;

/// Bytes taken from a client at once. Tor takes bytes slowly, so that they are often kept.
const UP: usize = 16 * 1024;

/// Reads in one turn, so that one busy connection does not hold up the others.
const TURNS: usize = 8;

/// How long a client that has said all it had waits for the answer, since the last bytes of it.
const ANSWER: Duration = Duration::from_secs(60);

/// The same where the target spoke last: such a client most likely went away.
const GONE: Duration = Duration::from_secs(2);

/// The same where the client never said anything. It may have come for what the target says of itself, or only to look.
const SILENT: Duration = Duration::from_secs(5);

/// How long a client may take to go after the target said all it had.
const LINGER: Duration = Duration::from_secs(5);

thread_local! {
    /// What is read now. Nothing stays in it from one turn to the next.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; DOWN]);
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The target said all it had, and the client got it.
    Whole,
    /// The client went away.
    ClientGone,
    /// The path to the target broke; the client must not take what it has for all there was.
    Broken(io::ErrorKind),
    /// Nothing came from either side for as long as the caller of [`carry_within`] allows.
    Quiet,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    kept: Vec<u8>,
    at: usize,
    ended: bool,
    dirty: bool,
    moved: bool,
}

/// Which side failed.
enum Fault {
    Reading(io::ErrorKind),
    Writing,
}

/// Carries until the end, or until nothing has come from either side for `idle`. `early` are bytes that the client has sent already.
pub async fn carry_within<C, T>(
    client: &mut C,
    target: &mut T,
    early: Vec<u8>,
    meter: &Meter,
    idle: Option<Duration>,
) -> End
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut both = Both {
        asked: !early.is_empty(),
        up: Way { kept: early, dirty: true, ..Way::default() },
        down: Way::default(),
        target_spoke_last: false,
        moved: false,
        wait: None,
        closed: false,
    };
    let mut quiet = idle.map(Quiet::new);
    meter.up(both.up.kept.len());
    std::future::poll_fn(|cx| {
        let end = both.poll(cx, Pin::new(&mut *client), Pin::new(&mut *target), meter);
        let moved = std::mem::take(&mut both.moved);
        if let Some(quiet) = &mut quiet
            && end.is_pending()
        {
            return quiet.poll(cx, moved).map(|()| End::Quiet);
        }
        end
    })
    .await
}

struct Both {
    up: Way,
    down: Way,
    /// The client said something.
    asked: bool,
    target_spoke_last: bool,
    /// Something came since this was last looked at.
    moved: bool,
    /// Set once one side has ended.
    wait: Option<Wait>,
    /// The client was told that there is no more.
    closed: bool,
}

/// The wait for a side that may have nothing more to say.
struct Wait {
    alarm: Pin<Box<Sleep>>,
    /// Sleeping past the alarm until then is cheaper than setting it anew for all that comes.
    due: Instant,
}

impl Both {
    fn poll<C, T>(
        &mut self,
        cx: &mut Context<'_>,
        mut client: Pin<&mut C>,
        mut target: Pin<&mut T>,
        meter: &Meter,
    ) -> Poll<End>
    where
        C: AsyncRead + AsyncWrite,
        T: AsyncRead + AsyncWrite,
    {
        if !self.closed {
            let went = self.up.poll(cx, client.as_mut(), target.as_mut(), UP, &|n| meter.up(n));
            match went {
                Poll::Ready(Err(Fault::Reading(_))) => return Poll::Ready(End::ClientGone),
                // What the target said before it refused more may still be on its way to us.
                Poll::Ready(Err(Fault::Writing)) => self.up.ended = true,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            if std::mem::take(&mut self.up.moved) {
                (self.asked, self.target_spoke_last, self.moved) = (true, false, true);
            }
            match self.down.poll(cx, target.as_mut(), client.as_mut(), DOWN, &|n| meter.down(n)) {
                Poll::Ready(Err(Fault::Reading(kind))) => return Poll::Ready(End::Broken(kind)),
                Poll::Ready(Err(Fault::Writing)) => return Poll::Ready(End::ClientGone),
                Poll::Ready(Ok(())) => match client.as_mut().poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => (self.closed, self.wait) = (true, None),
                    Poll::Ready(Err(_)) => return Poll::Ready(End::ClientGone),
                    Poll::Pending => return Poll::Pending,
                },
                Poll::Pending => {}
            }
            if std::mem::take(&mut self.down.moved) {
                (self.target_spoke_last, self.moved) = (true, true);
                if let Some(wait) = &mut self.wait {
                    wait.due = Instant::now() + ANSWER; // the answer is still coming
                }
            }
        }
        if self.closed && (self.up.ended || drained(cx, client).is_ready()) {
            return Poll::Ready(End::Whole);
        }
        self.wait(cx)
    }

    /// Ends the wait for a side that says nothing after the other has ended.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let (limit, end) = match (self.closed, self.up.ended) {
            (true, _) => (LINGER, End::Whole),
            (false, true) if self.target_spoke_last => (GONE, End::ClientGone),
            (false, true) if !self.asked => (SILENT, End::ClientGone),
            (false, true) => (ANSWER, End::ClientGone),
            (false, false) => return Poll::Pending,
        };
        let wait = self.wait.get_or_insert_with(|| {
            let due = Instant::now() + limit;
            Wait { alarm: Box::pin(tokio::time::sleep_until(due)), due }
        });
        wait.poll(cx).map(|()| end)
    }
}

/// The limit of a connection on which nothing comes.
struct Quiet {
    idle: Duration,
    wait: Wait,
}

impl Quiet {
    fn new(idle: Duration) -> Self {
        let due = Instant::now() + idle;
        Self { idle, wait: Wait { alarm: Box::pin(tokio::time::sleep_until(due)), due } }
    }

    /// Ready once the limit is reached, counted from the last time that something had `moved`.
    fn poll(&mut self, cx: &mut Context<'_>, moved: bool) -> Poll<()> {
        if moved {
            self.wait.due = Instant::now() + self.idle;
        }
        self.wait.poll(cx)
    }
}

impl Wait {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            if self.due <= Instant::now() {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(self.due);
        }
        Poll::Pending
    }
}

impl Way {
    /// Ready once `from` has ended and `to` has got everything.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut R>,
        mut to: Pin<&mut W>,
        most: usize,
        count: &dyn Fn(usize),
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        for _ in 0..TURNS {
            if self.pass_on(cx, to.as_mut())?.is_pending() {
                return Poll::Pending;
            }
            if self.ended {
                return to.poll_flush(cx).map_err(|_| Fault::Writing);
            }
            let got = BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer.get_mut(..most).unwrap_or_default());
                match from.as_mut().poll_read(cx, &mut read) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(error)) => Poll::Ready(Err(Fault::Reading(error.kind()))),
                    Poll::Ready(Ok(())) => {
                        count(read.filled().len());
                        Poll::Ready(self.take(cx, to.as_mut(), read.filled()))
                    }
                }
            })?;
            if got.is_pending() {
                if self.dirty && to.poll_flush(cx).map_err(|_| Fault::Writing)?.is_ready() {
                    self.dirty = false;
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands over what was read, and keeps what is not taken.
    fn take<W>(&mut self, cx: &mut Context<'_>, mut to: Pin<&mut W>, bytes: &[u8]) -> Result<(), Fault>
    where
        W: AsyncWrite + ?Sized,
    {
        if bytes.is_empty() {
            self.ended = true;
            return Ok(());
        }
        (self.dirty, self.moved) = (true, true);
        let mut rest = bytes;
        while !rest.is_empty() {
            match to.as_mut().poll_write(cx, rest) {
                Poll::Pending => break,
                Poll::Ready(taken) => rest = rest.get(wrote(taken.ok())?..).unwrap_or_default(),
            }
        }
        self.kept.extend_from_slice(rest);
        Ok(())
    }

    /// Hands over what was kept.
    fn pass_on<W>(&mut self, cx: &mut Context<'_>, mut to: Pin<&mut W>) -> Poll<Result<(), Fault>>
    where
        W: AsyncWrite + ?Sized,
    {
        while let Some(rest) = self.kept.get(self.at..).filter(|rest| !rest.is_empty()) {
            match to.as_mut().poll_write(cx, rest) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(taken) => self.at = self.at.saturating_add(wrote(taken.ok())?),
            }
        }
        (self.kept, self.at) = (Vec::new(), 0); // gives the memory back
        Poll::Ready(Ok(()))
    }
}

/// A stream that takes nothing is as good as broken.
fn wrote(taken: Option<usize>) -> Result<usize, Fault> {
    taken.filter(|taken| *taken > 0).ok_or(Fault::Writing)
}

/// Ready once the client has gone; what it still says is for nobody.
fn drained<C: AsyncRead>(cx: &mut Context<'_>, mut client: Pin<&mut C>) -> Poll<()> {
    BUFFER.with_borrow_mut(|buffer| {
        for _ in 0..TURNS {
            let mut read = ReadBuf::new(buffer);
            match client.as_mut().poll_read(cx, &mut read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

#[cfg(test)]
mod tests;
