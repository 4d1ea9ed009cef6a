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

/// The same where many readers hold much together: about 512 KiB. The XOFF limit is half of that.
const REST_AFTER_LEAST: usize = 1024;

/// Polls until the next try where the stream was too slow to rest, and after the first rest that did not help: about
/// 4 MiB. Doubles with each that does not, up to [`REST_AFTER`].
const RETRY_AFTER: usize = 8 * 1024;

/// Memory from which on the stream should be replaced, in bytes.
const WORN: usize = 3 * 1024 * 1024;

/// Bytes that make the reactor send XOFF: 500 cells (`cc_xoff_client`, tor-spec prop. 324), and some more.
const XOFF_BYTES: u64 = 512 * 498;

/// The shortest rest. At a good rate the XOFF comes within it.
const SHORT: Duration = Duration::from_millis(50);

/// The longest rest of a stream of ours, which has others beside it: from 255 KB/s on.
pub(super) const LONGEST: Duration = Duration::from_secs(1);

/// The longest rest of another program's stream, which nothing can replace: from 51 KB/s on, where it comes once in five
/// minutes.
pub(super) const LONGEST_PATIENT: Duration = Duration::from_secs(5);

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
    /// Polls before which no rest is tried.
    not_before: usize,
    /// Polls to the next try after a rest in vain.
    retry_after: usize,
    longest: Duration,
    bytes: u64,
    since: Instant,
    bell: Bell,
    armed: bool,
    resting: Option<Pin<Box<Sleep>>>,
}

/// Polls between two rests where all readers together hold `held` bytes of the `most` that they should.
pub(super) fn rest_after(held: usize, most: usize) -> usize {
    let left = REST_AFTER.saturating_mul(most.saturating_sub(held)).checked_div(most).unwrap_or_default();
    left.clamp(REST_AFTER_LEAST, REST_AFTER)
}

impl Wear {
    /// Whose rests last `longest` at most.
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            polls: 0,
            not_before: 0,
            retry_after: RETRY_AFTER,
            longest,
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

    /// Notices a notification, and leaves the bell for the next one. `touch` polls the stream without effect. Says whether
    /// there was one.
    pub(super) fn arm(&mut self, touch: &mut dyn FnMut(&mut Context<'_>)) -> bool {
        let rang = self.bell.rang();
        if rang {
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
        rang
    }

    /// Stays pending while the reader should rest, which it does after so many polls.
    pub(super) fn rest(
        &mut self,
        cx: &mut Context<'_>,
        after: usize,
        touch: &mut dyn FnMut(&mut Context<'_>),
    ) -> Poll<Rest> {
        let rang = self.arm(touch);
        if self.resting.is_none() {
            if self.polls < after.max(self.not_before) {
                return Poll::Ready(Rest::No);
            }
            let Some(patience) = self.patience() else {
                self.put_off(RETRY_AFTER);
                return Poll::Ready(Rest::No);
            };
            self.resting = Some(Box::pin(tokio::time::sleep(patience)));
        }
        // The notification that ends a rest may have been noticed above already.
        if rang || self.bell.listen(cx) {
            self.renew();
            self.arm(touch);
            (self.bytes, self.since) = (0, Instant::now());
        } else if let Some(alarm) = &mut self.resting {
            ready!(alarm.as_mut().poll(cx));
            self.put_off(self.retry_after);
            self.retry_after = self.retry_after.saturating_mul(2).min(REST_AFTER);
        }
        self.resting = None;
        Poll::Ready(Rest::Over)
    }

    /// The queue was emptied.
    const fn renew(&mut self) {
        self.polls = 0;
        self.not_before = 0;
        self.retry_after = RETRY_AFTER;
        self.armed = false;
    }

    /// Tries no rest for so many polls, and measures the rate anew.
    fn put_off(&mut self, polls: usize) {
        self.not_before = self.polls.saturating_add(polls);
        (self.bytes, self.since) = (0, Instant::now());
    }

    /// Twice the time that the XOFF limit takes at the rate measured last; `None` where a rest would be in vain, which
    /// also spares those who type.
    fn patience(&self) -> Option<Duration> {
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wanted = millis.saturating_mul(XOFF_BYTES).checked_div(self.bytes)?;
        let wanted = Duration::from_millis(wanted);
        (wanted <= self.longest).then(|| wanted.saturating_mul(2).clamp(SHORT, self.longest))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const CELL: usize = 498;

    /// A stream of tor-proto's, as far as the queue of wakers goes.
    struct Source {
        wear: Wear,
        queue: Vec<Waker>,
        /// Bytes a second.
        rate: u64,
    }

    impl Source {
        fn new(rate: u64, longest: Duration) -> Self {
            Self { wear: Wear::new(longest), queue: Vec::new(), rate }
        }

        fn rest(&mut self, cx: &mut Context<'_>) -> Poll<Rest> {
            let queue = &mut self.queue;
            self.wear.rest(cx, REST_AFTER, &mut |cx| queue.push(cx.waker().clone()))
        }

        /// Reads cells as they come until a rest is over, or so many were read. Says how long the rest was.
        async fn until_rest(&mut self, cells: usize) -> Option<Duration> {
            for _ in 0..cells {
                tokio::time::advance(Duration::from_micros(CELL as u64 * 1_000_000 / self.rate)).await;
                let begun = Instant::now();
                let full = begun + Duration::from_millis(XOFF_BYTES * 1000 / self.rate);
                let mut piled = Box::pin(tokio::time::sleep_until(full));
                let over = std::future::poll_fn(|cx| {
                    let rest = self.rest(cx);
                    if rest.is_pending() && piled.as_mut().poll(cx).is_ready() {
                        // The XOFF, which wakes and drops whoever is in the queue.
                        self.queue.drain(..).for_each(Waker::wake);
                        return self.rest(cx);
                    }
                    rest
                });
                if over.await == Rest::Over {
                    return Some(begun.elapsed());
                }
                self.wear.count();
                self.wear.carried(CELL);
            }
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_download_rests_until_it_is_free() {
        let mut source = Source::new(150_000, LONGEST_PATIENT);
        for _ in 0..3 {
            let rest = source.until_rest(REST_AFTER + 1).await.unwrap();
            assert!(rest >= LONGEST && rest < LONGEST * 2, "{rest:?}");
            assert_eq!(source.wear.held(), 0);
        }
        // Of ours there are others, which wait for nobody.
        let mut ours = Source::new(150_000, LONGEST);
        assert_eq!(ours.until_rest(REST_AFTER * 2).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_slow_for_it_never_waits() {
        let mut source = Source::new(20_000, LONGEST_PATIENT);
        assert_eq!(source.until_rest(REST_AFTER * 2).await, None);
        // What was slow for long is looked at anew.
        source.rate = 2_000_000;
        assert!(source.until_rest(RETRY_AFTER * 2).await.is_some());
        assert_eq!(source.wear.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn rests_in_vain_become_rare() {
        let mut wear = Wear::new(LONGEST_PATIENT);
        let mut rests = Vec::new();
        let mut read = 0_usize;
        while rests.len() < 5 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let over = std::future::poll_fn(|cx| wear.rest(cx, REST_AFTER, &mut |_| {}));
            if over.await == Rest::Over {
                rests.push(read);
                read = 0;
            }
            wear.count();
            wear.carried(CELL);
            read += 1;
        }
        assert_eq!(rests, [REST_AFTER, RETRY_AFTER, 2 * RETRY_AFTER, REST_AFTER, REST_AFTER]);
    }

    #[test]
    fn a_rest_comes_earlier_where_much_is_held() {
        assert_eq!(rest_after(0, 8), REST_AFTER);
        assert_eq!(rest_after(4, 8), REST_AFTER / 2);
        assert_eq!([rest_after(8, 8), rest_after(9, 8), rest_after(0, 0)], [REST_AFTER_LEAST; 3]);
    }
}
