//! A stream as the core wants it: two halves with the core's traits, cut into frames.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use bulbil_core::transport::{FramedRx, FramedTx, framed};
use embedded_io_async::{ErrorType, Read, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Stream;

/// One end of a connection: what sends, what receives, and what tells whether it is worn.
pub(crate) struct Halves {
    pub(crate) tx: FramedTx<Half>,
    pub(crate) rx: Box<FramedRx<Half>>,
    pub(crate) wear: Wear,
}

/// Reads or writes the stream that both halves share. Everything runs on one thread and no borrow lasts over a wait.
pub(crate) struct Half(Rc<RefCell<Stream>>);

/// Tells whether the stream should be replaced.
#[derive(Clone)]
pub(crate) struct Wear(Rc<RefCell<Stream>>);

impl Wear {
    pub(crate) fn worn(&self) -> bool {
        self.0.borrow().worn()
    }
}

/// Cuts a stream in two.
pub(crate) fn halves(stream: Stream) -> Halves {
    let shared = Rc::new(RefCell::new(stream));
    let (tx, rx) = framed(Half(Rc::clone(&shared)), Half(Rc::clone(&shared)));
    Halves { tx, rx: Box::new(rx), wear: Wear(shared) }
}

/// The connection broke; why does not matter to who must reconnect either way.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke")]
pub(crate) struct Broke;

impl embedded_io_async::Error for Broke {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        embedded_io_async::ErrorKind::ConnectionReset
    }
}

impl ErrorType for Half {
    type Error = Broke;
}

impl Read for Half {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Broke> {
        let filled: io::Result<usize> = poll_fn(|cx| {
            let mut into = ReadBuf::new(buf);
            let polled = Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, &mut into);
            polled.map_ok(|()| into.filled().len())
        })
        .await;
        filled.map_err(|_| Broke)
    }
}

impl Write for Half {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Broke> {
        poll_fn(|cx| Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, buf)).await.map_err(|_| Broke)
    }

    async fn flush(&mut self) -> Result<(), Broke> {
        poll_fn(|cx| Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)).await.map_err(|_| Broke)
    }
}
