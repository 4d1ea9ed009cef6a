//! Frames over any byte stream: two bytes of length, big endian, then the frame.

use embedded_io_async::{Read, Write};

use super::{Hangup, RecvFrame, SendFrame};
use crate::limits::MAX_FRAME;

/// Bytes in front of each frame.
const HEAD: usize = 2;

/// Cuts a byte stream into frames. One over [`MAX_FRAME`] or of no length is handed on as an empty frame, which is no
/// message of any conversation, so that its sender is named; after it the stream is over.
pub fn framed<W: Write, R: Read>(write: W, read: R) -> (FramedTx<W>, FramedRx<R>) {
    (FramedTx { write }, FramedRx { read, buf: [0; HEAD + MAX_FRAME], filled: 0, taken: 0, over: false })
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
    /// A frame had an impossible length: nothing after it can be told apart.
    over: bool,
}

/// A frame of no length, or over [`MAX_FRAME`].
struct Impossible;

impl<R> FramedRx<R> {
    /// Length of the frame at the start of the buffer with its head, once the head is there.
    fn whole(&self) -> Result<Option<usize>, Impossible> {
        let Some(head) = self.buf.first_chunk::<HEAD>().filter(|_| self.filled >= HEAD) else {
            return Ok(None);
        };
        match usize::from(u16::from_be_bytes(*head)) {
            0 => Err(Impossible),
            len if len > MAX_FRAME => Err(Impossible),
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
        if self.over {
            return Err(Hangup);
        }
        self.discard();
        let whole = loop {
            // Bytes already here are kept in `self`, so a cancelled call loses nothing.
            let Ok(whole) = self.whole() else {
                self.over = true;
                return Ok(&[]);
            };
            if let Some(whole) = whole.filter(|&whole| whole <= self.filled) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use embassy_futures::block_on;
    use std::vec::Vec;

    /// What was written, and what is to be read.
    struct Bytes(Vec<u8>);

    impl embedded_io_async::ErrorType for Bytes {
        type Error = core::convert::Infallible;
    }

    impl Write for Bytes {
        async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
            self.0.extend_from_slice(buf);
            Ok(buf.len())
        }

        async fn flush(&mut self) -> Result<(), Self::Error> {
            Ok(())
        }
    }

    impl Read for Bytes {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
            let len = buf.len().min(self.0.len());
            buf[..len].copy_from_slice(&self.0[..len]);
            self.0.drain(..len);
            Ok(len)
        }
    }

    fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (_, mut rx) = framed(Bytes(Vec::new()), Bytes(bytes.to_vec()));
        let mut frames = Vec::new();
        while let Ok(frame) = block_on(rx.recv()) {
            frames.push(frame.to_vec());
        }
        frames
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let (mut tx, _) = framed(Bytes(Vec::new()), Bytes(Vec::new()));
        let long = std::vec![7; MAX_FRAME];
        for frame in [&b"a"[..], &long, b"bc"] {
            assert_eq!(block_on(tx.send(frame)), Ok(()));
        }
        assert_eq!(block_on(tx.send(&[])), Err(Hangup));
        assert_eq!(block_on(tx.send(&[0; MAX_FRAME + 1])), Err(Hangup));
        assert_eq!(frames(&tx.write.0), [b"a".to_vec(), long, b"bc".to_vec()]);
    }

    #[test]
    fn an_impossible_length_is_told_once_and_ends_it() {
        assert_eq!(frames(b"\0\x01a\0\0\0\x01b"), [b"a".to_vec(), Vec::new()]);
        assert_eq!(frames(b"\0\x01a\xff\xff\0\x01b"), [b"a".to_vec(), Vec::new()]);
        assert!(frames(b"\0\x02a").is_empty());
    }
}
