//! A stream to a target, which breaks when the identity changes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::identity::Cut;
use crate::net::Stream;

/// A stream of bytes to a target.
///
/// Tor knows no half-closed streams: ending the writing side ends the other too. What is written may wait for a flush.
#[derive(Debug)]
pub struct ExitStream {
    stream: Stream,
    cut: Cut,
}

impl ExitStream {
    pub(super) const fn new(stream: Stream, cut: Cut) -> Self {
        Self { stream, cut }
    }
}

/// What a stream of an earlier identity ends with.
fn over<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the identity was changed")))
}

impl AsyncRead for ExitStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.reading(cx) { Pin::new(&mut self.stream).poll_read(cx, buf) } else { over() }
    }
}

impl AsyncWrite for ExitStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.writing(cx) { Pin::new(&mut self.stream).poll_write(cx, buf) } else { over() }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.writing(cx) { Pin::new(&mut self.stream).poll_flush(cx) } else { over() }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.writing(cx) { Pin::new(&mut self.stream).poll_shutdown(cx) } else { over() }
    }
}
