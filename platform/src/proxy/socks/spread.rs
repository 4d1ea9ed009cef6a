//! Streams that may share a circuit, spread over several.
//!
//! One circuit gives them one congestion window together. C tor takes two legs to one exit (proposal 329), which Arti cannot ask for
//! yet; here each circuit has an exit of its own, so this is for those who say that it may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::exit::Isolation;

/// See the module.
#[derive(Debug)]
pub(super) struct Spread {
    most: usize,
    /// Open streams on each circuit. What has none is forgotten, so there are no more entries than connections.
    open: Mutex<HashMap<Isolation, Vec<u32>>>,
}

/// A stream's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    spread: Arc<Spread>,
    shared: Isolation,
    circuit: usize,
}

impl Spread {
    pub(super) fn new(most: u8) -> Arc<Self> {
        Arc::new(Self { most: most.into(), open: Mutex::default() })
    }

    /// On the circuit with the fewest streams, the first of them.
    pub(super) fn place(self: &Arc<Self>, shared: Isolation) -> Place {
        let mut open = self.open();
        let counts = open.entry(shared).or_insert_with(|| vec![0; self.most]);
        let least = counts.iter_mut().enumerate().min_by_key(|(_, count)| **count);
        let circuit = least.map_or(0, |(at, count)| {
            *count = count.saturating_add(1);
            at
        });
        Place { spread: Arc::clone(self), shared, circuit }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Isolation, Vec<u32>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What the stream may share its circuit with. The first circuit is that of look-ups, too.
    pub(super) fn isolation(&self) -> Isolation {
        match self.circuit {
            0 => self.shared,
            circuit => self.shared.and(b"circuit").and(&circuit.to_be_bytes()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.spread.open();
        let Some(counts) = open.get_mut(&self.shared) else { return };
        if let Some(count) = counts.get_mut(self.circuit) {
            *count = count.saturating_sub(1);
        }
        if counts.iter().all(|count| *count == 0) {
            open.remove(&self.shared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_go_where_the_fewest_are_and_leave_nothing_behind() {
        let spread = Spread::new(2);
        let (one, other) = (Isolation::of("one"), Isolation::of("other"));
        let first = spread.place(one);
        let second = spread.place(one);
        let third = spread.place(one);
        assert_eq!(first.isolation(), one);
        assert_ne!(second.isolation(), one);
        assert_eq!(third.isolation(), one);
        assert_eq!(spread.place(other).isolation(), other);
        drop((first, third));
        assert_eq!(spread.place(one).isolation(), one);
        drop(second);
        assert!(spread.open().is_empty());
    }

    #[test]
    fn one_circuit_is_shared_by_all() {
        let (spread, shared) = (Spread::new(1), Isolation::of("all"));
        let all: Vec<Place> = (0..5).map(|_| spread.place(shared)).collect();
        assert!(all.iter().all(|place| place.isolation() == shared));
    }
}
