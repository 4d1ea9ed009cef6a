//! A service's door: takes streams, opens conversations, and shows each to the room of its share.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bulbil_core::hello::topic;
use log::{debug, warn};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::halves::halves;
use super::open::{self, name_of};
use super::room::{Pass, Room};
use crate::net::{Service, Stream};

/// Conversations being opened at one door at once. More wait in the network's own queue.
const OPENING: usize = 32;

/// Finds the share of a topic. What it gives is asked for again when the caller has proved itself, because opening a
/// room costs memory and only those who know the token should cause it.
pub(crate) trait Guide: 'static {
    /// What opens conversations about it.
    fn passes(&self) -> Vec<Pass>;

    /// Whether memory is too short for another caller.
    fn is_short(&self) -> bool;

    /// Its room, opened if need be.
    fn room(&self, pass: &Pass) -> Option<Rc<Room>>;
}

/// Serves until the service ends. The streams it took end with it.
pub(crate) async fn keep(mut service: Service, guide: Rc<dyn Guide>) {
    let name = name_of(service.address());
    let places = Arc::new(Semaphore::new(OPENING));
    let mut callers = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        tokio::select! {
            stream = service.accept() => {
                let Some(stream) = stream else {
                    warn!("a service ended; its share cannot be reached until the node is started again");
                    return;
                };
                if guide.is_short() {
                    debug!("memory is short: a caller was sent away");
                    continue;
                }
                callers.spawn_local(welcome(stream, name, Rc::clone(&guide), place));
            }
            Some(_) = callers.join_next() => {}
        }
    }
}

/// Opens the conversation of one caller and carries it.
async fn welcome(stream: Stream, name: [u8; 34], guide: Rc<dyn Guide>, place: OwnedSemaphorePermit) {
    let mut halves = halves(stream);
    let asked = Cell::new(None);
    let find = |wanted: [u8; 32]| {
        let passes = guide.passes();
        // Every pass is compared, so that the time tells nothing about which one fits.
        let fits = passes.into_iter().fold(None, |found, pass| {
            let same = bool::from(topic(pass.token.as_bytes()).ct_eq(&wanted));
            if same { Some(pass) } else { found }
        });
        let secrets = fits.as_ref().map(Pass::secrets);
        asked.set(fits);
        secrets
    };
    match open::called(&name, &mut halves, find).await {
        Ok(key) => {
            drop(place);
            if let Some(room) = asked.take().and_then(|pass| guide.room(&pass)) {
                room.carry(key, None, halves).await;
            }
        }
        Err(why) => debug!("a caller was not let in: {why:?}"),
    }
}
