//! Rendezvous circuits to a service: how many, how many streams on each, and how long without any.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tor_cell::relaycell::msg::{Connected, End, EndReason};
use tor_hsservice::{RendRequest, StreamRequest};
use tor_proto::stream::IncomingStreamRequest;

use super::{Door, MAX_CIRCUITS_PER_SERVICE, MAX_STREAMS_PER_CIRCUIT};
use crate::net::tor::TorStream;

/// How long the way to a client's rendezvous point may take.
const RENDEZVOUS_DEADLINE: Duration = Duration::from_secs(60);

/// A circuit without streams is closed after one to two of these, which frees it at the client too. Browsers that
/// come back later pay some two seconds.
const IDLE: Duration = Duration::from_secs(15);

/// How long an answer to a stream request may wait for room in the circuit.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Answers introductions until Arti ends the service. Dropping it ends all circuits without streams.
pub(super) async fn accept_all(mut rendezvous: impl Stream<Item = RendRequest> + Unpin, door: Door) {
    let door = Arc::new(door);
    let mut circuits = JoinSet::new();
    loop {
        tokio::select! {
            request = rendezvous.next() => {
                let Some(request) = request else { return };
                let slot = Arc::clone(&door.all).try_acquire_owned().ok();
                match slot.filter(|_| circuits.len() < MAX_CIRCUITS_PER_SERVICE) {
                    Some(slot) => drop(circuits.spawn(serve(request, Arc::clone(&door), slot))),
                    // The client hears nothing and tries another introduction point later.
                    None => log::debug!("too many circuits: an introduction was not answered"),
                }
            }
            Some(_) = circuits.join_next() => {}
        }
    }
}

/// One circuit, from its introduction to its end.
async fn serve(request: RendRequest, door: Arc<Door>, _slot: OwnedSemaphorePermit) {
    let Ok(Ok(mut requests)) = timeout(RENDEZVOUS_DEADLINE, request.accept()).await else {
        log::debug!("a client's rendezvous failed");
        return;
    };
    let most = MAX_STREAMS_PER_CIRCUIT as usize;
    let free = Arc::new(Semaphore::new(most));
    loop {
        match timeout(IDLE, requests.next()).await {
            Ok(Some(request)) => answer(request, &door, &free).await,
            Ok(None) => return,
            Err(_) if free.available_permits() == most => return,
            Err(_) => {}
        }
    }
}

/// Takes a stream in, or says no as every onion service does.
async fn answer(request: StreamRequest, door: &Door, free: &Arc<Semaphore>) {
    let wanted =
        matches!(request.request(), IncomingStreamRequest::Begin(begin) if begin.port() == door.port);
    let slot = Arc::clone(free).try_acquire_owned().ok().filter(|_| wanted);
    let (Some(slot), Ok(place)) = (slot, door.streams.try_reserve()) else {
        // A refusal that does not get through is as good as one that does.
        let _ = timeout(ANSWER_DEADLINE, request.reject(End::new_with_reason(EndReason::DONE))).await;
        return;
    };
    if let Ok(Ok(stream)) = timeout(ANSWER_DEADLINE, request.accept(Connected::new_empty())).await {
        place.send(TorStream::new(stream, Some(slot)));
    }
}
