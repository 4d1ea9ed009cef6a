//! Connections that wait for another request to the same place.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::FutureExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;

use super::engine::Outgoing;
use super::place::Place;
use crate::exit::Isolation;

/// Same place and same circuit, or no sharing.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) isolation: Isolation,
}

#[derive(Debug)]
struct Idle {
    key: Key,
    sender: SendRequest<Outgoing>,
    since: Instant,
}

/// Idle connections, oldest first. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    idle: Arc<Mutex<Vec<Idle>>>,
    size: usize,
    keep: Duration,
}

impl Pool {
    pub(super) fn new(size: usize, keep: Duration) -> Self {
        Self { idle: Arc::default(), size, keep }
    }

    /// The freshest connection of this kind that still works.
    pub(super) fn take(&self, key: &Key) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| one.since.elapsed() < self.keep && !one.sender.is_closed());
        while let Some(at) = idle.iter().rposition(|one| one.key == *key) {
            let mut sender = idle.remove(at).sender;
            // One that still sends or reads something is as good as gone.
            if let Some(Ok(())) = sender.ready().now_or_never() {
                return Some(sender);
            }
        }
        None
    }

    fn put(&self, key: Key, sender: SendRequest<Outgoing>) {
        if self.size == 0 || sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.len() >= self.size {
            idle.remove(0);
        }
        idle.push(Idle { key, sender, since: Instant::now() });
    }
}

/// An answer's body. Gives its connection back to the pool when it was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Incoming,
    lender: Option<(Pool, Key, SendRequest<Outgoing>)>,
}

impl Answer {
    pub(super) fn new(body: Incoming, pool: &Pool, key: Key, sender: SendRequest<Outgoing>) -> Self {
        let mut answer = Self { body, lender: Some((pool.clone(), key, sender)) };
        if answer.body.is_end_stream() {
            answer.give_back();
        }
        answer
    }

    fn give_back(&mut self) {
        if let Some((pool, key, sender)) = self.lender.take() {
            pool.put(key, sender);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.give_back(),
            Some(Ok(_)) if self.body.is_end_stream() => self.give_back(),
            Some(Ok(_)) => {}
            Some(Err(_)) => self.lender = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
