//! One browser's connection, from its first byte to its last, with a limit on everything.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bulbil_core::pump::Clock as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Landing;
use super::answer::answer;
use crate::net::Stream;
use crate::node::{Place, Seat};

/// Longest wait for a request's head, the next one on a kept connection included.
const HEAD: Duration = Duration::from_secs(20);

/// Bytes of a request's head at most: hyper's least. A browser sends some 500.
const HEAD_BYTES: usize = 8 * 1024;

/// Lines of a request's head at most.
const HEAD_LINES: usize = 64;

/// A connection on which no byte moves for so long is closed. A slow circuit moves a cell in a few seconds.
const STILL: Duration = Duration::from_mins(1);

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// So many bytes to a reader are a use of its seat: more than a page, which may be asked for again and again.
const USE: u64 = 64 * 1024;

/// A connection, and what it takes of the room there is.
struct Visit {
    /// Among the strangers at the door, until the right token was named.
    place: Cell<Option<Place>>,
    /// Among the readers of the share, and of all shares.
    seats: RefCell<Option<(Seat, Seat)>>,
    moved: Rc<Moved>,
    /// Whether there is no memory for readers.
    full: bool,
    /// What is read here.
    reads: RefCell<Option<Rc<Landing>>>,
}

impl Visit {
    /// Makes a stranger a reader, if there is a seat.
    fn admit(&self, landing: &Rc<Landing>) -> bool {
        self.reads.replace(Some(Rc::clone(landing)));
        let mut seats = self.seats.borrow_mut();
        if seats.is_none() && !self.full {
            let shared = &landing.house.0;
            let now = shared.clock.now();
            *seats = landing.seats.enter(now).zip(shared.seats.enter(now));
        }
        if seats.is_some() {
            drop(self.place.take());
        }
        seats.is_some()
    }

    /// Ends when the connection should: nothing moved for too long, what is read was withdrawn, or another reader has the
    /// seat.
    async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let closed = self.reads.borrow().as_ref().is_some_and(|landing| landing.closed.get());
            if closed || self.moved.last.get().elapsed() >= STILL || !self.keeps_seat() {
                return;
            }
        }
    }

    /// Notes whether the seats were used. False when they are lost.
    fn keeps_seat(&self) -> bool {
        let (seats, reads) = (self.seats.borrow(), self.reads.borrow());
        let (Some((own, all)), Some(landing)) = (seats.as_ref(), reads.as_ref()) else { return true };
        if self.moved.sent.get() >= USE {
            self.moved.sent.set(0);
            let now = landing.house.0.clock.now();
            own.used(now);
            all.used(now);
        }
        !own.is_lost() && !all.is_lost()
    }
}

/// Answers a browser until it leaves. `all` gives what the service offers at that moment; `place` is given back as soon
/// as the browser named the right token of something.
///
/// With `full`, whoever named that is told that there is no seat.
pub(crate) async fn serve(stream: Stream, all: impl Fn() -> Vec<Rc<Landing>>, place: Place, full: bool) {
    let moved = Rc::new(Moved { last: Cell::new(Instant::now()), sent: Cell::new(0) });
    let visit = Visit {
        place: Cell::new(Some(place)),
        seats: RefCell::default(),
        moved: Rc::clone(&moved),
        full,
        reads: RefCell::default(),
    };
    let (all, visit) = (&all, &visit);
    let respond = service_fn(|request| async move {
        Ok::<_, Infallible>(answer(&request, &all(), |landing| visit.admit(landing)).await)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        // A date would tell the clock of this machine.
        .auto_date_header(false);
    let connection = http.serve_connection(TokioIo::new(Watched { stream, moved }), respond);
    tokio::select! {
        _ = connection => {} // what went wrong is the browser's business: it sees its connection end
        () = visit.watch() => {}
    }
}

/// When bytes last moved, and how many were sent since that was last of interest.
struct Moved {
    last: Cell<Instant>,
    sent: Cell<u64>,
}

/// A stream that notes what moves.
struct Watched {
    stream: Stream,
    moved: Rc<Moved>,
}

impl Watched {
    fn note<T>(&self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(done, Poll::Ready(Ok(_))) {
            self.moved.last.set(Instant::now());
        }
        done
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.note(done)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(length)) = &done {
            self.moved.sent.set(self.moved.sent.get().saturating_add(*length as u64));
        }
        self.note(done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
