//! What is given up while memory is short, so that the node stays within its `memory` and what is under way goes on.

use std::cell::Cell;
use std::rc::Rc;

use bulbil_core::pump::Clock as _;

use super::room::Room;
use super::shelf::Shelf;
use crate::status::shortage::Shortage;

/// Milliseconds without a byte of content after which a conversation is given up.
const IDLE_MS: u64 = 60_000;

/// Whether memory is short, and what that cost. While it is: no new lanes, no new callers, one lane to each peer, no idle
/// conversations, and no cache that can be filled again.
#[derive(Debug, Default)]
pub(crate) struct Short {
    now: Cell<bool>,
    lanes: Cell<u64>,
    callers: Cell<u64>,
}

impl Short {
    pub(crate) fn get(&self) -> bool {
        self.now.get()
    }

    /// Whether a caller is to be sent away. Then it counts.
    pub(crate) fn refuses(&self) -> bool {
        self.callers.set(self.callers.get().saturating_add(u64::from(self.now.get())));
        self.now.get()
    }

    /// Looks at the bytes in use and, over nine tenths of the limit, gives up in these rooms what can be done without.
    pub(super) fn look(&self, used: u64, limit: u64, rooms: impl Iterator<Item = Rc<Room>>) -> Shortage {
        self.now.set(used > limit / 10 * 9);
        if self.now.get() {
            let lanes = rooms.fold(0, |lanes: u64, room| lanes.saturating_add(relieve(&room)));
            self.lanes.set(self.lanes.get().saturating_add(lanes));
        }
        Shortage { now: self.now.get(), lanes: self.lanes.get(), callers: self.callers.get() }
    }
}

/// Makes a room smaller. Gives the number of lanes that end.
fn relieve(room: &Room) -> u64 {
    room.store(Shelf::relieve);
    let now = room.ground.clock.now();
    room.change(|swarm| swarm.shed(now, IDLE_MS)).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_tenths_are_too_much() {
        let short = Short::default();
        for (used, is) in [(90, false), (91, true), (500, true), (89, false)] {
            let seen = short.look(used, 100, std::iter::empty());
            assert_eq!((seen.now, short.get(), short.refuses()), (is, is, is), "{used}");
        }
        assert_eq!(short.look(0, 100, std::iter::empty()).callers, 2);
    }
}
