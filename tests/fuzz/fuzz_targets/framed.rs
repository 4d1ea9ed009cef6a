//! Frames cut from a byte stream are the same however the stream is torn.
#![no_main]

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bulbil_core::transport::{RecvFrame, framed};
use embedded_io_async::{ErrorType, Read, Write};
use libfuzzer_sys::fuzz_target;

/// A stream that gives so many bytes at a time, and swallows what is written.
struct Torn<'d>(&'d [u8], usize);

impl ErrorType for Torn<'_> {
    type Error = Infallible;
}

impl Read for Torn<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let len = self.1.min(buf.len()).min(self.0.len());
        let (now, later) = self.0.split_at(len);
        buf[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

impl Write for Torn<'_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn frames(data: &[u8], step: usize) -> Vec<Vec<u8>> {
    let (_, mut rx) = framed(Torn(&[], 1), Torn(data, step));
    let mut frames = Vec::new();
    loop {
        let next = pin!(rx.recv()).poll(&mut Context::from_waker(Waker::noop())).map(|frame| frame.map(<[u8]>::to_vec));
        match next {
            Poll::Ready(Ok(frame)) => frames.push(frame),
            Poll::Ready(Err(_)) => return frames,
            Poll::Pending => panic!("the stream is always ready"),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(frames(data, 1), frames(data, usize::MAX));
});
