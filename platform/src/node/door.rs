//! A service's door: takes streams, opens conversations, and shows each to whom it is for: the room of a share, the
//! records of a share, or who speaks for the node itself.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use bulbil_core::hello::{Secrets, TOKEN_LEN, topic};
use bulbil_core::id::PeerKey;
use bulbil_core::wire::Purpose;
use log::{debug, warn};
use subtle::ConstantTimeEq;
use tokio::task::JoinSet;

use super::halves::{Halves, halves};
use super::open::{self, name_of};
use super::porch::{FEW, Place, Porch, STRANGERS};
use super::room::{Pass, Room};
use super::voice::{self, Voice};
use crate::landing::{self, Landing};
use crate::net::{Service, Stream};

/// Finds the share of a topic. What it gives is asked for again when the caller has proved itself, because opening a
/// room costs memory and only those who know the token should cause it.
pub(crate) trait Guide: 'static {
    /// What opens conversations about it.
    fn passes(&self) -> Vec<Pass>;

    /// Whether memory is too short for another caller.
    fn is_short(&self) -> bool;

    /// Whether a caller is to be sent away for that. Then it counts.
    fn refuses(&self) -> bool {
        self.is_short()
    }

    /// Its room, opened if need be.
    fn room(&self, pass: &Pass) -> Option<Rc<Room>>;

    /// Who carries conversations about the records of a share.
    fn records(&self, pass: &Pass) -> Option<Rc<dyn Callee>>;

    /// What browsers find here. Nothing, unless there are links to it.
    fn landings(&self) -> Vec<Rc<Landing>> {
        Vec::new()
    }

    /// What opens conversations with the node itself. Only the primary service has that.
    fn node(&self) -> Option<Pass> {
        None
    }

    /// Who carries conversations of this purpose with the node itself.
    fn node_callee(&self, _: Purpose) -> Option<Rc<dyn Callee>> {
        None
    }
}

/// A conversation being carried; it is over when this ends, and is given up when this is dropped.
pub(crate) type Carrying = Pin<Box<dyn Future<Output = ()>>>;

/// Who carries conversations of one purpose, once they are opened.
pub(crate) trait Callee {
    /// Carries one. `caller` is the key it proved: a node's own, or one made for this conversation alone.
    fn converse(self: Rc<Self>, caller: PeerKey, halves: Halves) -> Carrying;
}

/// What a caller asked for.
#[derive(Clone)]
enum Asked {
    Share(Pass),
    Node,
}

/// Serves until the service ends. The streams it took end with it.
pub(crate) async fn keep(mut service: Service, guide: Rc<dyn Guide>) {
    let name = name_of(service.address());
    let mut porch = Porch::default();
    let mut callers = JoinSet::new();
    loop {
        let next = async {
            porch.room(if guide.is_short() { FEW } else { STRANGERS }).await;
            service.accept().await
        };
        tokio::select! {
            stream = next => {
                let Some(stream) = stream else {
                    warn!("a service ended; its share cannot be reached until the node is started again");
                    return;
                };
                let guide = Rc::clone(&guide);
                porch.enter(|place| callers.spawn_local(welcome(stream, name, guide, place)));
            }
            Some(_) = callers.join_next() => {}
        }
    }
}

/// Hears what kind of caller it is, and lets it in. While memory is short it is told that there is no place.
async fn welcome(mut stream: Stream, name: [u8; 34], guide: Rc<dyn Guide>, place: Place) {
    let voice = voice::hear(&mut stream).await;
    let full = guide.refuses();
    if full {
        debug!("memory is short: a caller is sent away");
    }
    match voice {
        Voice::Node => converse(stream, name, guide, place, full).await,
        Voice::Browser => landing::serve(stream, || guide.landings(), place, full).await,
        Voice::Noise => debug!("a caller said nothing that is known here"),
    }
}

/// Opens the conversation of a node and carries it, or says that all is `full`: who hears that comes again, however long
/// it takes, and who is hung up on would not.
async fn converse(stream: Stream, name: [u8; 34], guide: Rc<dyn Guide>, place: Place, full: bool) {
    let mut halves = halves(stream);
    let asked = RefCell::new(None);
    let find = |purpose: Purpose, wanted: [u8; 32]| {
        let (found, secrets) = find(guide.as_ref(), purpose, wanted).unzip();
        asked.replace(found);
        secrets
    };
    let (key, purpose) = match open::called(&name, &mut halves, find).await {
        Ok(opened) => opened,
        Err(why) => {
            debug!("a caller was not let in: {why:?}");
            return;
        }
    };
    if full {
        if purpose == Purpose::Peer {
            open::turn_away(&mut halves).await;
        }
        return; // others take a hang-up for what it is
    }
    drop(place);
    let Some(asked) = asked.take() else { return };
    let callee = match (purpose, asked) {
        (Purpose::Peer, Asked::Share(pass)) => {
            if let Some(room) = guide.room(&pass) {
                room.carry(key, None, halves).await;
            }
            return;
        }
        (Purpose::Mirror, Asked::Share(pass)) => guide.records(&pass),
        (purpose, Asked::Node) => guide.node_callee(purpose),
        (Purpose::Mail, Asked::Share(_)) => None,
    };
    drop(guide);
    if let Some(callee) = callee {
        callee.converse(key, halves).await;
    }
}

/// What the topic stands for. Everything is compared, and a key made either way, so that the time tells nothing about
/// what fits.
fn find(guide: &dyn Guide, purpose: Purpose, wanted: [u8; 32]) -> Option<(Asked, Secrets)> {
    let is = |pass: &Pass| bool::from(topic(pass.token.as_bytes()).ct_eq(&wanted));
    let share =
        guide.passes().into_iter().fold(None, |found, pass| if is(&pass) { Some(pass) } else { found });
    let node = guide.node();
    let is_node = node.as_ref().is_some_and(is);
    let secrets =
        share.as_ref().or(node.as_ref()).map_or_else(|| Secrets::new(DECOY, &[0; 32]), Pass::secrets);
    match (purpose, share) {
        (Purpose::Peer | Purpose::Mirror, Some(pass)) => Some((Asked::Share(pass), secrets)),
        (Purpose::Mirror | Purpose::Mail, None) if is_node => Some((Asked::Node, secrets)),
        _ => None,
    }
}

/// Of secrets that are thrown away.
const DECOY: [u8; TOKEN_LEN] = [0; TOKEN_LEN];
