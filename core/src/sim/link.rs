//! The network: latency, bandwidth of lanes and nodes, breaks and stalls.

use super::Random;
use crate::time::Millis;

/// How the network behaves. A lane is a reliable stream, as over Tor: what is lost breaks it.
#[derive(Clone, Copy, Debug)]
pub struct Net {
    /// Milliseconds one way, least and most; chosen for each connection.
    pub latency_ms: (u64, u64),
    /// Bytes a second of one lane, each way.
    pub lane: u64,
    /// Milliseconds until a call is through, least and most.
    pub dial_ms: (u64, u64),
    /// Of a million frames, so many break their connection.
    pub breaks: u64,
    /// Of a million frames, so many are held up for [`stall_ms`](Self::stall_ms).
    pub stalls: u64,
    /// Milliseconds of a stall.
    pub stall_ms: u64,
    /// Of a million broken connections, so many are not noticed by the side that did not break them.
    pub half_open: u64,
}

impl Default for Net {
    /// Like onion services on a fair day.
    fn default() -> Self {
        Self {
            latency_ms: (100, 200),
            lane: 500_000,
            dial_ms: (800, 2_000),
            breaks: 0,
            stalls: 0,
            stall_ms: 0,
            half_open: 0,
        }
    }
}

/// Bytes a connection takes off the sender's hands before it makes him wait.
const WINDOW: usize = 64 * 1024;

/// Bytes that a frame costs beside its own.
const OVERHEAD: u64 = 60;

/// A pipe that moves so many bytes a second, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pipe {
    /// Bytes a second.
    pub(super) rate: u64,
    /// Microseconds at which it is free.
    free_us: u64,
}

impl Pipe {
    pub(super) const fn new(rate: u64) -> Self {
        Self { rate, free_us: 0 }
    }

    /// When a frame of `len` bytes that is there at `at_us` is through.
    fn pass(&mut self, at_us: u64, len: usize) -> u64 {
        let len = len as u64 + OVERHEAD;
        self.free_us = self.free_us.max(at_us) + (len * 1_000_000).div_ceil(self.rate.max(1));
        self.free_us
    }

    /// As `pass`, in milliseconds.
    pub(super) fn through(&mut self, now: Millis, len: usize) -> Millis {
        Millis(self.pass(now.0 * 1000, len).div_ceil(1000))
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    latency_ms: u64,
    pipe: Pipe,
    /// Bytes taken and not yet sent.
    waiting: usize,
    last_us: u64,
}

/// When a frame has left, and when it arrives at the line of the other node.
pub(super) struct Trip {
    pub(super) left: Millis,
    pub(super) arrives: Millis,
}

impl Way {
    pub(super) const fn new(latency_ms: u64, lane: u64) -> Self {
        Self { latency_ms, pipe: Pipe::new(lane), waiting: 0, last_us: 0 }
    }

    /// Whether another frame is taken.
    pub(super) const fn is_free(&self) -> bool {
        self.waiting < WINDOW
    }

    /// A frame has left.
    pub(super) const fn left(&mut self, len: usize) {
        self.waiting = self.waiting.saturating_sub(len);
    }

    /// Takes a frame of `len` bytes from a node whose line up is `up`.
    pub(super) fn send(
        &mut self,
        now: Millis,
        len: usize,
        up: &mut Pipe,
        net: &Net,
        random: &mut Random,
    ) -> Trip {
        self.waiting += len;
        let mut left = up.pass(now.0 * 1000, len).max(self.pipe.pass(now.0 * 1000, len)).max(self.last_us);
        if net.stalls > 0 && random.happens(net.stalls) {
            left += net.stall_ms * 1000;
            self.pipe.free_us = self.pipe.free_us.max(left);
        }
        self.last_us = left;
        let left = Millis(left.div_ceil(1000));
        Trip { left, arrives: left.plus(self.latency_ms) }
    }

    /// When the last frame arrives.
    pub(super) const fn end(&self) -> Millis {
        Millis(self.last_us.div_ceil(1000)).plus(self.latency_ms)
    }
}
