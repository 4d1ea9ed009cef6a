//! A body on its way through: counted, and given up when it falls silent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::progress::Progress;
use crate::proxy::Meter;

/// What breaks a body off.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Cut {
    /// Longer than allowed.
    #[error("the body is longer than allowed")]
    Long,
    /// Silent for too long.
    #[error("the body did not go on in time")]
    Silent,
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
    alarm: Pin<Box<Sleep>>,
    meter: Arc<Meter>,
    count: fn(&Meter, usize),
    progress: Arc<Progress>,
}

impl<B> Metered<B> {
    /// At most `limit` bytes, no pause longer than `idle`, each byte counted.
    pub(super) fn new(
        body: B,
        limit: u64,
        idle: Duration,
        meter: Arc<Meter>,
        count: fn(&Meter, usize),
    ) -> Self {
        let alarm = Box::pin(tokio::time::sleep(idle));
        let progress = Arc::<Progress>::default();
        Self { body, left: limit, idle, alarm, meter, count, progress }
    }

    /// Tells, now and later, how far it has come.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                return match self.alarm.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(Cut::Silent))),
                    Poll::Pending => Poll::Pending,
                };
            }
        };
        let (now, idle) = (Instant::now(), self.idle);
        self.alarm.as_mut().reset(now + idle);
        Poll::Ready(match frame {
            None => None,
            Some(Err(_)) => Some(Err(Cut::Broken)),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let left = u64::try_from(length).ok().and_then(|length| self.left.checked_sub(length));
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

    #[tokio::test]
    async fn a_silent_body_is_cut_in_time() {
        let body = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, hyper::Error>>());
        let begun = Instant::now();
        let cut = Metered::new(body, 1, IDLE, meter(), Meter::down).collect().await.unwrap_err();
        assert!(cut == Cut::Silent && begun.elapsed() >= IDLE);
    }
}
