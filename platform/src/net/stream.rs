//! One stream, whatever the network.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::memory::MemoryStream;
use super::tor::TorStream;

/// A stream of bytes to a peer. Ending either direction ends both: Tor knows no half-closed streams.
///
/// What is written may wait for [`flush`](tokio::io::AsyncWriteExt::flush): call it when there is nothing more to send.
#[derive(Debug)]
pub struct Stream {
    kind: Kind,
    /// Looked at, and not read yet.
    ahead: Option<u8>,
}

#[derive(Debug)]
enum Kind {
    Tor(Box<TorStream>),
    Memory(MemoryStream),
}

impl Stream {
    pub(super) fn tor(stream: TorStream) -> Self {
        Self { kind: Kind::Tor(Box::new(stream)), ahead: None }
    }

    pub(super) const fn memory(stream: MemoryStream) -> Self {
        Self { kind: Kind::Memory(stream), ahead: None }
    }

    /// Whether the network below lost memory on this stream that only a new circuit gives back. Open another lane
    /// soon; of the streams that go on for long after this, the most worn breaks once all together cost too much.
    pub fn worn(&self) -> bool {
        match &self.kind {
            Kind::Tor(stream) => stream.worn(),
            Kind::Memory(_) => false,
        }
    }

    /// The byte that comes next, which is read again by whoever reads first; `None` at the end.
    pub async fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.ahead.is_none() {
            let mut byte = [0];
            self.ahead = (self.read(&mut byte).await? == 1).then(|| u8::from_be_bytes(byte));
        }
        Ok(self.ahead)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(byte) = self.ahead.take()
        {
            buf.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        match &mut self.kind {
            Kind::Tor(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Kind::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Tor(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Kind::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tor(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Kind::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tor(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Kind::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
