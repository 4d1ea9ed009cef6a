//! Half of a stream, as the core's frames want it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use embedded_io_async::{ErrorType, Read, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// Reads or writes the stream that both halves share. Everything runs on one thread and no borrow lasts over a wait.
#[derive(Debug)]
pub struct Half(pub(crate) Rc<RefCell<Stream>>);

/// The connection broke; why does not matter to who must reconnect either way.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection broke")]
pub struct Broke;

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
