//! The live event stream: first the present, then every change, one JSON object a line.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use futures::Stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;

use crate::node::Handle;
use crate::status::Event;

/// What a listener still has to be told.
struct Feed {
    node: Handle,
    events: Receiver<Event>,
    stop: watch::Receiver<bool>,
    pending: VecDeque<Event>,
}

/// The stream as a body. Ends when the node stops.
pub(super) fn body(node: Handle, stop: watch::Receiver<bool>) -> Body {
    Body::from_stream(feed(node, stop))
}

fn feed(node: Handle, stop: watch::Receiver<bool>) -> impl Stream<Item = Result<Bytes, serde_json::Error>> {
    // Subscribed before the present is looked at, so that nothing falls between the two.
    let events = node.events();
    let pending = present(&node);
    futures::stream::unfold(Feed { node, events, stop, pending }, |mut feed| async move {
        let event = feed.next().await?;
        let line = serde_json::to_vec(&event).map(|mut line| {
            line.push(b'\n');
            Bytes::from(line)
        });
        Some((line, feed))
    })
}

impl Feed {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            let event = tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return None,
                event = self.events.recv() => event,
            };
            match event {
                Ok(event) => return Some(event),
                Err(RecvError::Closed) => return None,
                // Too slow: what was lost is told as the present.
                Err(RecvError::Lagged(_)) => self.pending = present(&self.node),
            }
        }
    }
}

/// Events that describe the node as it is.
fn present(node: &Handle) -> VecDeque<Event> {
    let status = node.status();
    let net = std::iter::once(Event::Net(status.net.clone()));
    let shares = status.shares.iter().cloned().map(Event::Share);
    let fetches = status.fetches.iter().cloned().map(Event::Fetch);
    let meetings = status.meetings.iter().cloned().map(Event::Meeting);
    net.chain(shares).chain(fetches).chain(meetings).collect()
}
