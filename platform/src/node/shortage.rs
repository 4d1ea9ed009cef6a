//! What is given up while memory is short, so that the node stays within its `memory` and what is under way goes on.

use std::cell::Cell;
use std::rc::Rc;

use bulbil_core::time::Millis;

use super::room::Room;
use super::shelf::Shelf;
use crate::status::shortage::Shortage;

/// Milliseconds without a byte of content after which a conversation is given up.
const IDLE_MS: u64 = 60_000;

/// Milliseconds between two times that caches are let go of: what is being read comes back into them, at the price of
/// hashing it again.
const RELIEF_MS: u64 = 60_000;

/// Whether memory is short, and what that cost. While it is: no new lanes, no new callers, one lane to each peer, no idle
/// conversations, and no cache that can be filled again.
#[derive(Debug, Default)]
pub(crate) struct Short {
    now: Cell<bool>,
    lanes: Cell<u64>,
    callers: Cell<u64>,
    /// When caches were last let go of.
    relieved: Cell<Option<Millis>>,
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
    pub(super) fn look(
        &self,
        now: Millis,
        (used, limit): (u64, u64),
        rooms: impl Iterator<Item = Rc<Room>>,
    ) -> Shortage {
        self.now.set(used > limit / 10 * 9);
        if self.now.get() {
            let caches = self.is_relief_due(now);
            for room in rooms {
                if caches {
                    room.store(Shelf::relieve);
                }
                let lanes = room.change(|swarm| swarm.shed(now, IDLE_MS)).try_into().unwrap_or(u64::MAX);
                self.lanes.set(self.lanes.get().saturating_add(lanes));
            }
        }
        Shortage { now: self.now.get(), lanes: self.lanes.get(), callers: self.callers.get() }
    }

    /// Whether caches are to be let go of now. Then it counts as done.
    fn is_relief_due(&self, now: Millis) -> bool {
        let due = self.relieved.get().is_none_or(|last| now.since(last) >= RELIEF_MS);
        if due {
            self.relieved.set(Some(now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_tenths_are_too_much() {
        let short = Short::default();
        for (used, is) in [(90, false), (91, true), (500, true), (89, false)] {
            let seen = short.look(Millis(0), (used, 100), std::iter::empty());
            assert_eq!((seen.now, short.get(), short.refuses()), (is, is, is), "{used}");
        }
        assert_eq!(short.look(Millis(0), (0, 100), std::iter::empty()).callers, 2);
    }

    #[test]
    fn caches_are_let_go_of_at_once_and_then_once_a_minute() {
        let short = Short::default();
        let relieved = |second: &u64| {
            short.look(Millis(second * 1000), (95, 100), std::iter::empty());
            short.relieved.get() == Some(Millis(second * 1000))
        };
        assert_eq!((5..130).filter(relieved).collect::<Vec<_>>(), [5, 65, 125]);
    }
}
