//! What an owner may see of a swarm.

use super::Swarm;
use crate::bits::Bits;
use crate::content::{Layout, Span};
use crate::id::PeerKey;
use crate::peer::{Lane, Words};
use crate::store::StoreError;
use crate::time::Millis;

/// One peer, as it is now.
#[derive(Clone, Debug)]
pub struct PeerView<I> {
    /// Number by which logs and pages name it.
    pub number: u64,
    /// Its key in this swarm.
    pub key: PeerKey,
    /// Pieces it has.
    pub pieces: u32,
    /// Verified bytes it gave, and bytes it was given.
    pub downloaded: u64,
    /// See `downloaded`.
    pub uploaded: u64,
    /// It refuses us, and we refuse it.
    pub chokes_us: bool,
    /// See `chokes_us`.
    pub choked: bool,
    /// Its lanes.
    pub lanes: I,
}

/// One lane, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct LaneView {
    /// Shortest time to an answer so far, in milliseconds.
    pub rtt_ms: Option<u64>,
    /// Requests in flight, and how many may be.
    pub in_flight: usize,
    /// See `in_flight`.
    pub depth: usize,
    /// Bytes a second towards us.
    pub rate: u64,
}

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// Every peer.
    pub fn peers(&self, now: Millis) -> impl Iterator<Item = PeerView<impl Iterator<Item = LaneView>>> {
        self.peers.iter().flatten().map(move |peer| PeerView {
            number: peer.number,
            key: peer.key,
            pieces: peer.has_count,
            downloaded: peer.downloaded,
            uploaded: peer.uploaded,
            chokes_us: peer.chokes_us(),
            choked: peer.choked,
            lanes: peer.open().map(move |lane: &Lane| LaneView {
                rtt_ms: lane.pace.rtt_ms(),
                in_flight: lane.asked.len(),
                depth: lane.pace.depth(),
                rate: lane.rate.rate(now),
            }),
        })
    }

    /// Where everything lies.
    pub fn layout(&self) -> &Layout<S> {
        &self.layout
    }

    /// Pieces that are here.
    pub fn pieces(&self) -> &Bits<B> {
        &self.pieces
    }

    /// Bytes that are here and verified.
    pub fn verified(&self) -> u64 {
        self.verified
    }

    /// Content bytes received, wanted or not.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Of these, bytes that came twice.
    pub fn wasted(&self) -> u64 {
        self.wasted
    }

    /// Content bytes served.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Verified bytes a second.
    pub fn rate(&self, now: Millis) -> u64 {
        self.down.rate(now)
    }

    /// Why blocks can not be written, until [`resume`](Self::resume).
    pub fn fault(&self) -> Option<StoreError> {
        self.fault
    }

    /// Why a block could not be read for a peer since the last call.
    pub fn take_read_fault(&mut self) -> Option<StoreError> {
        self.read_fault.take()
    }
}
