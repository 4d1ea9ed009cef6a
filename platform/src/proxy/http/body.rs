//! A body on its way through: counted, and given up when it falls silent or crawls.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::progress::Progress;
use crate::proxy::Meter;

/// Bytes a second that a request's body must bring, as a mean over each `idle`: one byte now and then would hold a place for as
/// long as it is long. A generous guess at the slowest path that is of use to anybody. Answers may be as slow as events are rare.
pub(super) const LEAST_RATE: u64 = 64;

/// What breaks a body off.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Cut {
    /// Longer than allowed.
    #[error("the body is longer than allowed")]
    Long,
    /// Silent for too long.
    #[error("the body did not go on in time")]
    Silent,
    /// Slower than [`LEAST_RATE`].
    #[error("the body was too slow")]
    Slow,
    /// The other side's doing.
    #[error("the body broke off")]
    Broken,
}

/// A body within its limits.
#[derive(Debug)]
pub(super) struct Metered<B> {
    body: B,
    left: u64,
    idle: Duration,
    least: u64,
    alarm: Pin<Box<Sleep>>,
    /// When it last brought something.
    last: Instant,
    /// How much it brought since when.
    window: (Instant, u64),
    meter: Arc<Meter>,
    count: fn(&Meter, usize),
    progress: Arc<Progress>,
}

impl<B> Metered<B> {
    /// At most `limit` bytes, no pause longer than `idle`; each byte counted.
    pub(super) fn new(
        body: B,
        limit: u64,
        idle: Duration,
        meter: Arc<Meter>,
        count: fn(&Meter, usize),
    ) -> Self {
        let alarm = Box::pin(tokio::time::sleep(idle));
        let (progress, now) = (Arc::<Progress>::default(), Instant::now());
        Self { body, left: limit, idle, least: 0, alarm, last: now, window: (now, 0), meter, count, progress }
    }

    /// And so many bytes a second, as a mean over each `idle`.
    pub(super) fn at_least(self, least: u64) -> Self {
        Self { least, ..self }
    }

    /// Tells, now and later, how far it has come.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Ready once it was silent or slow for too long.
    fn overdue(&mut self, cx: &mut Context<'_>) -> Poll<Cut> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if self.last + self.idle <= now {
                return Poll::Ready(Cut::Silent);
            }
            let (since, brought) = self.window;
            if since + self.idle <= now {
                if brought < self.least.saturating_mul(self.idle.as_secs()) {
                    return Poll::Ready(Cut::Slow);
                }
                self.window = (now, 0);
            }
            let due = self.last.min(self.window.0) + self.idle;
            self.alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.overdue(cx).map(|cut| Some(Err(cut))),
        };
        let now = Instant::now();
        self.last = now;
        Poll::Ready(match frame {
            None => None,
            Some(Err(_)) => Some(Err(Cut::Broken)),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let bytes = u64::try_from(length).unwrap_or(u64::MAX);
                let left = self.left.checked_sub(bytes);
                self.window.1 = self.window.1.saturating_add(bytes);
                self.progress.set(now, left.is_none());
                Some(left.map_or(Err(Cut::Long), |left| {
                    self.left = left;
                    (self.count)(&self.meter, length);
                    Ok(frame)
                }))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full, StreamBody};

    const IDLE: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_long_body_is_cut_and_says_so() {
        let meter = meter();
        let body = || Full::new(Bytes::from_static(b"12345"));
        let whole = Metered::new(body(), 5, IDLE, Arc::clone(&meter), Meter::up);
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "12345");
        let long = Metered::new(body(), 4, IDLE, Arc::clone(&meter), Meter::up);
        let progress = long.progress();
        assert_eq!(long.collect().await.unwrap_err(), Cut::Long);
        assert!(progress.was_long());
        assert_eq!(meter.view().up, 5);
    }

    fn meter() -> Arc<Meter> {
        crate::proxy::Meters::default().add("http", ([127, 0, 0, 1], 0).into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_crawls_is_cut_although_it_never_falls_silent() {
        let idle = Duration::from_secs(120);
        for (length, rated, whole) in [(1, true, false), (1, false, true), (4096, true, true)] {
            let drip = futures::stream::unfold(0, move |count| async move {
                tokio::time::sleep(Duration::from_secs(59)).await;
                let frame = Frame::data(Bytes::from(vec![7; length]));
                (count < 9).then_some((Ok::<_, Cut>(frame), count + 1))
            });
            let body = StreamBody::new(Box::pin(drip));
            let begun = Instant::now();
            let body = Metered::new(body, 1 << 20, idle, meter(), Meter::up);
            let got = if rated { body.at_least(LEAST_RATE) } else { body }.collect().await;
            match got {
                Ok(got) => assert!(whole && got.to_bytes().len() == 9 * length),
                Err(cut) => assert!(!whole && cut == Cut::Slow && begun.elapsed() <= idle * 2, "{cut:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_silent_body_is_cut_in_time() {
        let body = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, hyper::Error>>());
        let begun = Instant::now();
        let cut = Metered::new(body, 1, IDLE, meter(), Meter::down).collect().await.unwrap_err();
        assert!(cut == Cut::Silent && begun.elapsed() >= IDLE);
    }
}
