//! What was taken back stays so over a restart. A node that forgot it would let its own old records stand, which others still
//! hold, and would take them from there as if somebody else had said them: each share has a key of its own.

use bulbil_core::tracker::{Body, Rank, Record};
use data_encoding::BASE64;

use super::Tracker;

/// Kept over a restart at most. A share that was public leaves two, which live for 30 days.
const MAX_KEPT: usize = 1024;

impl Tracker {
    /// What we took back, as signed; the newest if there are too many.
    pub(crate) fn taken_back(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.served.with(|store| {
            for (bytes, _) in store.iter().filter(|(_, rank)| *rank == Rank::OWN) {
                if let Some(record) = tombstone(bytes) {
                    all.push((record.made, BASE64.encode(bytes)));
                }
            }
        });
        all.sort_unstable_by(|one, other| other.cmp(one));
        all.truncate(MAX_KEPT);
        all.into_iter().map(|(_, signed)| signed).collect()
    }

    /// Takes back again what was taken back before a restart, as far as that has not expired.
    pub(crate) fn take_back(&self, signed: &[String]) {
        for text in signed.iter().take(MAX_KEPT) {
            let bytes = BASE64.decode(text.as_bytes()).unwrap_or_default();
            if tombstone(&bytes).is_some() {
                self.served.put(&bytes, Rank::OWN);
            }
        }
    }
}

/// The record, if it takes something back.
fn tombstone(bytes: &[u8]) -> Option<Record<'_>> {
    Record::decode(bytes).ok().filter(|record| matches!(record.body, Body::Tombstone { .. }))
}
