//! Frames over any byte stream: two bytes of length, big endian, then the frame.

use embedded_io_async::{Read, Write};

use super::{Hangup, RecvFrame, SendFrame};
use crate::limits::MAX_FRAME;

/// Bytes in front of each frame.
const HEAD: usize = 2;

/// Cuts a byte stream into frames. A frame over [`MAX_FRAME`] or of no length hangs up.
pub fn framed<W: Write, R: Read>(write: W, read: R) -> (FramedTx<W>, FramedRx<R>) {
    (FramedTx { write }, FramedRx { read, buf: [0; HEAD + MAX_FRAME], filled: 0, taken: 0 })
}

/// Sends frames into a byte stream.
#[derive(Debug)]
pub struct FramedTx<W> {
    write: W,
}

impl<W: Write> SendFrame for FramedTx<W> {
    async fn send(&mut self, frame: &[u8]) -> Result<(), Hangup> {
        if frame.is_empty() || frame.len() > MAX_FRAME {
            return Err(Hangup);
        }
        let len = u16::try_from(frame.len()).map_err(|_| Hangup)?;
        self.write.write_all(&len.to_be_bytes()).await.map_err(|_| Hangup)?;
        self.write.write_all(frame).await.map_err(|_| Hangup)
    }

    async fn flush(&mut self) -> Result<(), Hangup> {
        self.write.flush().await.map_err(|_| Hangup)
    }
}

/// Receives frames from a byte stream. Holds one frame (about 18 KiB) inline: place it where there is room.
#[derive(Debug)]
pub struct FramedRx<R> {
    read: R,
    buf: [u8; HEAD + MAX_FRAME],
    /// Bytes of `buf` that hold something.
    filled: usize,
    /// Bytes of `buf` handed out by the last call; dropped by the next.
    taken: usize,
}

impl<R> FramedRx<R> {
    /// Length of the frame at the start of the buffer with its head, once the head is there.
    fn whole(&self) -> Result<Option<usize>, Hangup> {
        let Some(head) = self.buf.first_chunk::<HEAD>().filter(|_| self.filled >= HEAD) else {
            return Ok(None);
        };
        match usize::from(u16::from_be_bytes(*head)) {
            0 => Err(Hangup),
            len if len > MAX_FRAME => Err(Hangup),
            len => Ok(Some(len.saturating_add(HEAD))),
        }
    }

    /// Drops the frame of the last call.
    fn discard(&mut self) {
        self.buf.copy_within(self.taken..self.filled, 0);
        self.filled = self.filled.saturating_sub(self.taken);
        self.taken = 0;
    }
}

impl<R: Read> RecvFrame for FramedRx<R> {
    async fn recv(&mut self) -> Result<&[u8], Hangup> {
        self.discard();
        let whole = loop {
            // Bytes already here are kept in `self`, so a cancelled call loses nothing.
            if let Some(whole) = self.whole()?.filter(|&whole| whole <= self.filled) {
                break whole;
            }
            let room = self.buf.get_mut(self.filled..).ok_or(Hangup)?;
            match self.read.read(room).await {
                Ok(0) | Err(_) => return Err(Hangup),
                Ok(got) => self.filled = self.filled.saturating_add(got),
            }
        };
        self.taken = whole;
        self.buf.get(HEAD..whole).ok_or(Hangup)
    }
}
