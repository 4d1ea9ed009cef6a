//! Whom to serve: those who gave us most of late, and one who waited longest. A seed serves whom it serves fastest.

use super::Swarm;
use crate::content::Span;
use crate::limits::UNCHOKED;
use crate::peer::{Reply, Words};
use crate::time::Millis;

impl<B: Words, S: AsRef<[Span]>, const PEERS: usize, const LANES: usize> Swarm<B, S, PEERS, LANES> {
    /// Notes whether a peer wants anything by any of its lanes; a free place is given at once.
    pub(super) fn look_at_wants(&mut self, at: usize) {
        let served = self.peers.iter().flatten().filter(|peer| peer.wants && !peer.choked).count();
        let Some(peer) = self.peers.get_mut(at).and_then(Option::as_mut) else { return };
        let wants = peer.open().any(|lane| lane.wants);
        peer.wants = wants;
        if peer.wants && peer.choked && served < UNCHOKED {
            peer.choked = false;
            peer.stir();
        }
    }

    /// Looks again at whom to serve.
    pub(super) fn rechoke(&mut self, now: Millis) {
        let whole = self.is_whole();
        let worth =
            |peer: &crate::peer::Peer<B, LANES>| if whole { peer.up.rate(now) } else { peer.down.rate(now) };
        let wanting = self.peers.iter().flatten().filter(|peer| peer.wants).count();
        let newcomer = self
            .peers
            .iter()
            .flatten()
            .filter(|peer| peer.wants && peer.choked)
            .min_by_key(|peer| peer.choked_since)
            .map(|peer| peer.number)
            .filter(|_| wanting > UNCHOKED);
        let places = UNCHOKED.saturating_sub(usize::from(newcomer.is_some()));
        // The worth of the last one that gets a place: everybody above it stays.
        let mut ranked: heapless::Vec<(u64, u64), PEERS> = heapless::Vec::new();
        for peer in self.peers.iter().flatten().filter(|peer| peer.wants && Some(peer.number) != newcomer) {
            _ = ranked.push((worth(peer), peer.number)); // at most PEERS
        }
        ranked.sort_unstable_by(|one, other| other.cmp(one));
        ranked.truncate(places);
        for peer in self.peers.iter_mut().flatten() {
            let serve =
                Some(peer.number) == newcomer || ranked.iter().any(|(_, number)| *number == peer.number);
            // Who wants nothing keeps what he has as long as there are places.
            let choke = if peer.wants { !serve } else { peer.choked || wanting >= UNCHOKED };
            if choke == peer.choked {
                continue;
            }
            peer.choked = choke;
            if choke {
                peer.choked_since = now;
                refuse_all(peer);
            }
            peer.stir();
        }
    }
}

/// What was requested and not yet sent will not be.
fn refuse_all<B: Words, const LANES: usize>(peer: &mut crate::peer::Peer<B, LANES>) {
    for reply in peer.lanes.iter_mut().flatten().flat_map(|lane| lane.replies.iter_mut()) {
        if let Reply::Block(id) = *reply {
            *reply = Reply::Refuse { id, gone: false };
        }
    }
}
