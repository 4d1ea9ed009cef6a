//! How much memory tor-proto 0.47 holds because of one direction of one stream, and when to get it back.
//!
//! Each poll of a stream leaves a waker in a queue that only an XON or XOFF empties. A reader that stops for a
//! moment lets more than the XOFF limit pile up, which sends one XOFF and then one XON, and so empties the queues of
//! both ends. A [`Bell`] left in the queue tells when that happened.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::bell::Bell;

/// Bytes of one queued waker: 24, and the queue's blocks round that up a little.
const WAKER: usize = 25;

/// Polls between two rests: about 16 MiB in full cells, 0.8 MB of memory.
const REST_AFTER: usize = 32 * 1024;

/// Polls until the next try after a rest that did not help: about 4 MiB.
const RETRY_AFTER: usize = 8 * 1024;

/// Memory from which on the stream should be replaced, in bytes.
const WORN: usize = 3 * 1024 * 1024;

/// Bytes that make the reactor send XOFF: 500 cells (`cc_xoff_client`, tor-spec prop. 324), and some more.
const XOFF_BYTES: u64 = 512 * 498;

/// Bounds of a rest. At a good rate it takes a fraction of the lower one.
const REST_TIME: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What [`Wear::rest`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rest {
    /// No rest is due.
    No,
    /// A rest has just ended: poll the stream, whoever was waiting.
    Over,
}

/// The account of one direction.
#[derive(Debug)]
pub(super) struct Wear {
    polls: usize,
    rest_at: usize,
    bytes: u64,
    since: Instant,
    bell: Bell,
    armed: bool,
    resting: Option<Pin<Box<Sleep>>>,
}

impl Wear {
    pub(super) fn new() -> Self {
        Self {
            polls: 0,
            rest_at: REST_AFTER,
            bytes: 0,
            since: Instant::now(),
            bell: Bell::new(),
            armed: false,
            resting: None,
        }
    }

    /// One poll was made.
    pub(super) const fn count(&mut self) {
        self.polls = self.polls.saturating_add(1);
    }

    /// Bytes came.
    pub(super) const fn carried(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// The stream should be replaced.
    pub(super) const fn worn(&self) -> bool {
        self.held() >= WORN
    }

    /// Bytes that tor-proto holds for it.
    pub(super) const fn held(&self) -> usize {
        self.polls.saturating_mul(WAKER)
    }

    /// Notices a notification, and leaves the bell for the next one. `touch` polls the stream without effect.
    pub(super) fn arm(&mut self, touch: &mut dyn FnMut(&mut Context<'_>)) {
        if self.bell.rang() {
            self.renew();
        }
        if !self.armed {
            let waker = self.bell.waker();
            let mut cx = Context::from_waker(&waker);
            // The first may be answered by the notification itself; the second then waits for the next one.
            touch(&mut cx);
            touch(&mut cx);
            self.armed = true;
        }
    }

    /// Stays pending while the reader should rest.
    pub(super) fn rest(
        &mut self,
        cx: &mut Context<'_>,
        touch: &mut dyn FnMut(&mut Context<'_>),
    ) -> Poll<Rest> {
        self.arm(touch);
        if self.resting.is_none() {
            if self.polls < self.rest_at {
                return Poll::Ready(Rest::No);
            }
            self.resting = Some(Box::pin(tokio::time::sleep(self.patience())));
        }
        if self.bell.listen(cx) {
            self.renew();
            self.arm(touch);
        } else if let Some(alarm) = &mut self.resting {
            ready!(alarm.as_mut().poll(cx));
            self.rest_at = self.polls.saturating_add(RETRY_AFTER);
        }
        self.resting = None;
        (self.bytes, self.since) = (0, Instant::now());
        Poll::Ready(Rest::Over)
    }

    /// The queue was emptied.
    const fn renew(&mut self) {
        self.polls = 0;
        self.rest_at = REST_AFTER;
        self.armed = false;
    }

    /// Twice the time that the XOFF limit takes at the rate since the last rest.
    fn patience(&self) -> Duration {
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wanted = millis.saturating_mul(2 * XOFF_BYTES).checked_div(self.bytes).unwrap_or(u64::MAX);
        Duration::from_millis(wanted).clamp(REST_TIME.0, REST_TIME.1)
    }
}
