//! Targets that were uploaded to for long, which is known only afterwards.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::exit::{Host, Isolation};

/// Targets that are remembered at most; the oldest makes room.
const MAX_TARGETS: usize = 256;

/// Bytes up one stream from which on its target is remembered: 32 MiB, which cost 1.6 MB.
const LONG: u64 = 32 * 1024 * 1024;

/// The list: in memory alone, and without names. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned(Arc<Mutex<VecDeque<Place>>>);

/// A port of a host as who we are to it. A hash, by which nobody is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place(Isolation);

impl Place {
    pub(super) fn new(host: &Host, port: u16, isolation: &Isolation) -> Self {
        Self(isolation.and(&host.distinct()).and(&port.to_be_bytes()))
    }
}

impl Learned {
    pub(super) fn has(&self, place: Place) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&place)
    }

    pub(super) fn add(&self, place: Place) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.contains(&place) {
            return;
        }
        if places.len() >= MAX_TARGETS {
            places.pop_front();
        }
        places.push_back(place);
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What teaches it: one stream.
#[derive(Debug)]
pub(super) struct Lesson {
    learned: Learned,
    place: Place,
    sent: u64,
}

impl Lesson {
    pub(super) const fn new(learned: Learned, place: Place) -> Self {
        Self { learned, place, sent: 0 }
    }

    /// So many bytes went up.
    pub(super) fn sent(&mut self, bytes: usize) {
        let before = self.sent;
        self.sent = before.saturating_add(bytes as u64);
        if before < LONG && self.sent >= LONG {
            self.learned.add(self.place);
        }
    }

    /// The stream was ended for what it held: another one to there should hold none.
    pub(super) fn ended(&self) {
        self.learned.add(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(port: u16) -> Place {
        Place::new(&"backup.example.com".parse().unwrap(), port, &Isolation::of("test"))
    }

    #[test]
    fn a_target_is_known_after_a_long_upload_or_a_stream_that_was_ended() {
        let learned = Learned::default();
        let mut lesson = Lesson::new(learned.clone(), place(443));
        let mib = 1024 * 1024;
        (0..31).for_each(|_| lesson.sent(mib));
        assert!(!learned.has(place(443)));
        lesson.sent(mib);
        assert!(learned.has(place(443)) && !learned.has(place(80)));
        let other = Place::new(&"backup.example.com".parse().unwrap(), 443, &Isolation::of("somebody else"));
        assert!(!learned.has(other));
        Lesson::new(learned.clone(), place(80)).ended();
        assert!(learned.has(place(80)));
        learned.forget();
        assert!(!learned.has(place(443)) && !learned.has(place(80)));
    }

    #[test]
    fn the_oldest_makes_room() {
        let learned = Learned::default();
        for port in 0..=256 {
            learned.add(place(port));
            learned.add(place(port));
        }
        assert!(!learned.has(place(0)) && learned.has(place(1)) && learned.has(place(256)));
    }

    #[test]
    fn no_name_is_to_be_seen() {
        let learned = Learned::default();
        learned.add(place(443));
        assert!(!format!("{learned:?}").contains("example"));
    }
}
