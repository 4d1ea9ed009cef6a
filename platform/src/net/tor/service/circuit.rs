//! Rendezvous circuits to a service: how many, how many streams on each, and how long without any.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tor_cell::relaycell::msg::Connected;
use tor_hsservice::{RendRequest, StreamRequest};
use tor_proto::stream::IncomingStreamRequest;

use super::knock::{TorKnock, refuse};
use super::{ANSWER_DEADLINE, Door, Guests};
use crate::net::tor::TorStream;

/// How long the way to a client's rendezvous point may take.
const RENDEZVOUS_DEADLINE: Duration = Duration::from_secs(60);

/// Answers introductions until Arti ends the service. Dropping it ends all circuits without streams.
pub(super) async fn accept_all(mut rendezvous: impl Stream<Item = RendRequest> + Unpin, door: Door) {
    let door = Arc::new(door);
    let mut circuits = JoinSet::new();
    let mut numbers: u32 = 0;
    loop {
        tokio::select! {
            request = rendezvous.next() => {
                let Some(request) = request else { return };
                let slot = Arc::clone(&door.all).try_acquire_owned().ok();
                match slot.filter(|_| circuits.len() < door.bounds.circuits) {
                    Some(slot) => {
                        numbers = numbers.wrapping_add(1);
                        drop(circuits.spawn(serve(request, Arc::clone(&door), numbers, slot)));
                    }
                    // The client hears nothing and tries another introduction point later.
                    None => log::debug!("too many circuits: an introduction was not answered"),
                }
            }
            Some(_) = circuits.join_next() => {}
        }
    }
}

/// One circuit, from its introduction to its end.
async fn serve(request: RendRequest, door: Arc<Door>, number: u32, _slot: OwnedSemaphorePermit) {
    let Ok(Ok(mut requests)) = timeout(RENDEZVOUS_DEADLINE, request.accept()).await else {
        log::debug!("a client's rendezvous failed");
        return;
    };
    let most = door.bounds.streams as usize;
    let free = Arc::new(Semaphore::new(most));
    loop {
        match timeout(door.bounds.idle, requests.next()).await {
            Ok(Some(request)) => answer(request, &door, number, &free).await,
            Ok(None) => return,
            Err(_) if free.available_permits() == most => return,
            Err(_) => {}
        }
    }
}

/// Takes a stream in, or says no as every onion service does.
async fn answer(request: StreamRequest, door: &Door, circuit: u32, free: &Arc<Semaphore>) {
    let port = match request.request() {
        IncomingStreamRequest::Begin(begin) if door.ports.contains(&begin.port()) => begin.port(),
        _ => return refuse(request).await,
    };
    let Ok(slot) = Arc::clone(free).try_acquire_owned() else { return refuse(request).await };
    match &door.guests {
        Guests::Streams(streams) => {
            let Ok(place) = streams.try_reserve() else { return refuse(request).await };
            if let Ok(Ok(stream)) = timeout(ANSWER_DEADLINE, request.accept(Connected::new_empty())).await {
                place.send(TorStream::new(stream, Some(slot), &door.budget));
            }
        }
        Guests::Knocks(knocks) => match knocks.try_reserve() {
            Ok(place) => place.send(TorKnock { request, slot, port, circuit, budget: door.budget.clone() }),
            Err(_) => refuse(request).await,
        },
    }
}
