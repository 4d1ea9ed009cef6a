//! What is done from time to time, and after changes: forgetting, renewing, asking again.

use std::collections::HashSet;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bulbil_core::limits::RENEW_S;
use bulbil_core::tracker::{Rank, Record};
use log::info;

use super::Tracker;
use super::neighbour::Bond;

/// Between two looks for what has expired.
const EXPIRE: Duration = Duration::from_secs(60);

impl Tracker {
    /// Forgets records that nobody we keep up with gave us, and those of blocked authors.
    pub(super) fn purge(&self) {
        let mut known = HashSet::new();
        for neighbour in self.neighbours.borrow().iter().filter(|one| one.bond != Bond::Trusted) {
            neighbour.records.with(|store| {
                let authors = store.iter().filter_map(|(bytes, _)| Record::decode(bytes).ok());
                known.extend(authors.map(|record| record.author));
            });
        }
        let mut own = HashSet::new();
        self.served.with(|store| {
            let ours = store.iter().filter(|(_, rank)| *rank == Rank::OWN);
            own.extend(ours.filter_map(|(bytes, _)| Record::decode(bytes).ok()).map(|record| record.author));
        });
        let gone = self.served.rank(|author| {
            if own.contains(author) {
                return Some(Rank::OWN);
            }
            let wanted = known.contains(author) || self.keeps_for(author) || self.guests.has(author);
            self.rank_of(author).filter(|_| wanted)
        });
        self.tidy_guests(true);
        for neighbour in self.neighbours.borrow().iter() {
            neighbour.records.rank(|author| self.rank_of(author));
        }
        if gone > 0 {
            info!("{gone} records were forgotten");
        }
    }
}

/// Looks for what expired, and renews what is ours, for as long as the tracker is there.
pub(super) async fn run(tracker: Weak<Tracker>) {
    let mut renewed = tokio::time::Instant::now();
    loop {
        let Some(now) = tracker.upgrade() else { return };
        let woken = tokio::select! {
            () = now.rethink.notified() => true,
            () = tokio::time::sleep(EXPIRE) => false,
        };
        if woken {
            now.reconsider();
            continue;
        }
        now.keep();
        let gone = now.served.expire();
        now.tidy_guests(gone > 0);
        let neighbours = now.neighbours.borrow().clone();
        let gone: usize =
            neighbours.iter().map(|one| one.records.expire()).sum::<usize>().saturating_add(gone);
        if gone > 0 {
            now.rethink.notify_one();
        }
        if renewed.elapsed() >= Duration::from_secs(RENEW_S) {
            renewed = tokio::time::Instant::now();
            now.renew();
            now.ground.renew.notify_one();
            now.spread.renew();
            now.announcements.renew();
            for neighbour in neighbours.into_iter().filter(|one| one.bond == Bond::Trusted) {
                let tracker = Rc::clone(&now);
                tokio::task::spawn_local(async move {
                    _ = tracker.visit(&neighbour, Duration::from_secs(RENEW_S / 2)).await; // its state says why
                });
            }
        }
    }
}
