//! How often a piece came back from the disk as something else than was written.

use std::cell::Cell;

/// Pieces that are lost one after the other without anything gained: then the disk is to blame for good.
const MAX_LOST: u32 = 4;

/// What is said then.
pub(super) const DAMAGE: &str = "the disk gives back something else than was written; check it, or name a folder on another \
    one. What was verified is kept, and the same fetch goes on from there";

/// Counts them.
#[derive(Default)]
pub(super) struct Damage {
    lost: Cell<u32>,
    /// Most bytes that were verified after such a loss.
    most: Cell<u64>,
}

impl Damage {
    /// One more piece was lost, and so many bytes are verified without it. Tells whether it is too often: only more bytes
    /// than ever begin the count anew, so a share of any size comes to an end.
    pub(super) fn is_too_much(&self, verified: u64) -> bool {
        let gained = verified > self.most.get();
        self.most.set(self.most.get().max(verified));
        self.lost.set(if gained { 1 } else { self.lost.get().saturating_add(1) });
        self.lost.get() >= MAX_LOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_gained_begins_the_count_anew() {
        let damage = Damage::default();
        assert!(![0, 0, 9].map(|verified| damage.is_too_much(verified)).contains(&true));
        assert!(
            ![5, 9].map(|verified| damage.is_too_much(verified)).contains(&true),
            "one in between had begun"
        );
        assert!(damage.is_too_much(9));
    }
}
