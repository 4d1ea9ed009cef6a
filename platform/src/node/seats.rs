//! Places for conversations that may go on for ever: when all are taken, whoever was of no use for longest makes room.
//!
//! So nobody keeps others out by saying no more than that it is there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bulbil_core::time::Millis;
use tokio::sync::Notify;

/// All clones are the same places.
#[derive(Clone)]
pub(crate) struct Seats(Rc<All>);

struct All {
    most: usize,
    /// Milliseconds without any use after which a place may be taken over.
    idle_ms: u64,
    taken: RefCell<Vec<Rc<Sitter>>>,
}

struct Sitter {
    /// When it last was of use.
    used: Cell<Millis>,
    lost: Cell<bool>,
    told: Notify,
}

/// A place, given back when dropped. Whoever holds it ends when it is [`lost`](Self::lost).
pub(crate) struct Seat {
    all: Rc<All>,
    sitter: Rc<Sitter>,
}

impl Seats {
    /// So many places, each of which may be taken over after so many milliseconds without any use.
    pub(crate) fn new(most: usize, idle_ms: u64) -> Self {
        Self(Rc::new(All { most, idle_ms, taken: RefCell::default() }))
    }

    /// A place: a free one, or that of whoever was of no use for longest, if that is long enough.
    pub(crate) fn enter(&self, now: Millis) -> Option<Seat> {
        let mut taken = self.0.taken.borrow_mut();
        if taken.len() >= self.0.most {
            let idlest = taken.iter().enumerate().min_by_key(|(_, sitter)| sitter.used.get())?;
            let (at, _) =
                Some(idlest).filter(|(_, sitter)| now.since(sitter.used.get()) >= self.0.idle_ms)?;
            taken.swap_remove(at).lose();
        }
        let sitter = Rc::new(Sitter { used: Cell::new(now), lost: Cell::new(false), told: Notify::new() });
        taken.push(Rc::clone(&sitter));
        drop(taken);
        Some(Seat { all: Rc::clone(&self.0), sitter })
    }
}

impl Sitter {
    fn lose(&self) {
        self.lost.set(true);
        self.told.notify_one();
    }
}

impl Seat {
    /// Something moved that somebody has a use for.
    pub(crate) fn used(&self, now: Millis) {
        self.sitter.used.set(now);
    }

    /// Whether somebody else has the place now.
    pub(crate) fn is_lost(&self) -> bool {
        self.sitter.lost.get()
    }

    /// Waits until somebody else has the place. Cancel-safe.
    pub(crate) async fn lost(&self) {
        while !self.is_lost() {
            self.sitter.told.notified().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.all.taken.borrow_mut().retain(|sitter| !Rc::ptr_eq(sitter, &self.sitter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE_MS: u64 = 30_000;

    #[test]
    fn the_idlest_makes_room_and_nobody_who_is_of_use() {
        let seats = Seats::new(2, IDLE_MS);
        let (first, second) = (seats.enter(Millis(0)).unwrap(), seats.enter(Millis(1)).unwrap());
        assert!(seats.enter(Millis(IDLE_MS - 1)).is_none(), "nobody was idle for long");
        first.used(Millis(IDLE_MS));
        let third = seats.enter(Millis(IDLE_MS + 1)).unwrap();
        assert!(second.is_lost() && !first.is_lost() && !third.is_lost());
        assert!(seats.enter(Millis(IDLE_MS + 2)).is_none());
        drop(second); // gives back nothing: its place is another's
        assert!(seats.enter(Millis(IDLE_MS + 2)).is_none());
        drop(third);
        assert!(seats.enter(Millis(IDLE_MS + 2)).is_some());
    }

    #[tokio::test]
    async fn who_loses_its_place_is_woken() {
        let seats = Seats::new(1, IDLE_MS);
        let seat = seats.enter(Millis(0)).unwrap();
        let ((), other) = tokio::join!(seat.lost(), async { seats.enter(Millis(IDLE_MS)).unwrap() });
        assert!(!other.is_lost());
    }
}
