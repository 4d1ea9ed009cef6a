//! Builds the status, and the events that follow from its changes.

use std::sync::Arc;
use std::time::Instant;

use bulbil_core::pump::Clock as _;
use tokio::sync::{broadcast, watch};

use super::Inbox;
use super::history::{History, Recorder};
use super::room::Room;
use super::run::Node;
use crate::status::{Event, Fetch, FetchState, Lane, Meeting, Memory, Peer, Share, Status};
use crate::sys::process;
use crate::tidings::Teller;

/// Remembers what was last reported.
pub(super) struct Reporter {
    status: watch::Sender<Arc<Status>>,
    events: broadcast::Sender<Event>,
    last: Arc<Status>,
    history: watch::Sender<Arc<History>>,
    recorder: Recorder,
    teller: Teller,
}

impl Reporter {
    pub(super) fn new(inbox: &Inbox) -> Self {
        Self {
            status: inbox.status.clone(),
            events: inbox.events.clone(),
            last: Arc::default(),
            history: inbox.history.clone(),
            recorder: Recorder::start(Instant::now()),
            teller: Teller::new(),
        }
    }

    /// Reports the node as it is now. Says whether anything moves, so that the next report should come soon.
    pub(super) fn report(&mut self, node: &Node) -> bool {
        let status = Arc::new(build(node));
        self.tell(&status);
        self.teller.tell(&status.net);
        if let Some(history) = self.recorder.note(&status, Instant::now()) {
            self.history.send_replace(Arc::new(history));
        }
        self.last = Arc::clone(&status);
        let moving = status
            .fetches
            .iter()
            .any(|fetch| !matches!(fetch.state, FetchState::Done | FetchState::Failed(_)))
            || !status.peers.is_empty();
        self.status.send_replace(status);
        moving
    }

    /// Events for what is new or changed. Nobody may be listening.
    fn tell(&self, status: &Status) {
        if status.net != self.last.net {
            _ = self.events.send(Event::Net(status.net.clone()));
        }
        for share in &status.shares {
            if same_share(&self.last.shares, share).is_none_or(|last| last.state != share.state) {
                _ = self.events.send(Event::Share(share.clone()));
            }
        }
        for gone in self.last.shares.iter().filter(|share| same_share(&status.shares, share).is_none()) {
            _ = self.events.send(Event::Unshared { info_hash: gone.info_hash.clone() });
        }
        if status.mail != self.last.mail {
            _ = self.events.send(Event::Mail(status.mail));
        }
        for meeting in &status.meetings {
            let last = self.last.meetings.iter().find(|last| last.id == meeting.id);
            let told =
                |last: &Meeting| (&last.state, last.wrong_guesses) == (&meeting.state, meeting.wrong_guesses);
            if !last.is_some_and(told) {
                _ = self.events.send(Event::Meeting(meeting.clone()));
            }
        }
        for fetch in &status.fetches {
            if self.last.fetches.iter().find(|last| last.id == fetch.id) != Some(fetch) {
                _ = self.events.send(Event::Fetch(Fetch::clone(fetch)));
            }
        }
        let is_here = |gone: &&Fetch| status.fetches.iter().any(|fetch| fetch.id == gone.id);
        for gone in self.last.fetches.iter().filter(|fetch| !is_here(fetch)) {
            _ = self.events.send(Event::Forgotten { id: gone.id });
        }
    }
}

fn same_share<'s>(shares: &'s [Share], wanted: &Share) -> Option<&'s Share> {
    shares.iter().find(|share| share.info_hash == wanted.info_hash)
}

fn build(node: &Node) -> Status {
    let offers = node.offers.borrow();
    let fetches = node.fetches.borrow();
    let rooms = offers.iter().filter_map(|offer| offer.current_room());
    let rooms: Vec<_> = rooms.chain(fetches.iter().filter_map(|fetch| fetch.current_room())).collect();
    let peers = rooms.iter().flat_map(|room| peers(room)).collect();
    let (rss, rss_peak) = process::memory();
    let now = node.ground.clock.now();
    let shortage = node.ground.short.look(now, (rss, node.config.memory.0), rooms.into_iter());
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_s: node.started.elapsed().as_secs(),
        net: node.ground.network.status().borrow().clone(),
        shortage,
        memory: Memory { rss, rss_peak, limit: node.config.memory.0 },
        shares: offers.iter().map(|offer| offer.view()).collect(),
        standing: node.standing.view(),
        fetches: fetches.iter().map(|fetch| fetch.view()).collect(),
        peers,
        dropped: node.ground.dropped.all(),
        board: crate::status::board::read(),
        mail: node.post.get().map(|post| post.view()).unwrap_or_default(),
        keep: node.keeper.view(&node.state.borrow()),
        meetings: node.friends.view(),
        publish: node.publisher.view(),
        hardening: crate::harden::measures().to_vec(),
        address: node.tracker.as_ref().map(|_| node.primary.address().host()),
        address_reachable: node.primary.is_reachable(),
        proxy: node.proxies.status(),
        ..Status::default()
    };
    if let Some(tracker) = &node.tracker {
        tracker.show(&mut status);
    }
    status
}

fn peers(room: &Room) -> Vec<Peer> {
    let now = room.ground.clock.now();
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    room.look(|swarm| {
        let all = u64::from(swarm.layout().pieces()).max(1);
        let view = |peer: bulbil_core::swarm::PeerView<_>| Peer {
            id: peer.number,
            info_hash: room.info_hash.clone(),
            has_percent: u8::try_from(u64::from(peer.pieces) * 100 / all).unwrap_or(100),
            downloaded: peer.downloaded,
            uploaded: peer.uploaded,
            chokes_us: peer.chokes_us,
            choked: peer.choked,
            lanes: Iterator::map(peer.lanes, |lane: bulbil_core::swarm::LaneView| Lane {
                rtt_ms: lane.rtt_ms.map_or(0, |ms| u32::try_from(ms).unwrap_or(u32::MAX)),
                in_flight: small(lane.in_flight),
                depth: small(lane.depth),
                rate: lane.rate,
            })
            .collect(),
        };
        swarm.peers(now).map(view).collect()
    })
}
