//! Where the bytes of records are: one after the other, each with its length and slot; moved together when the end is
//! reached. An eighth stays free, so that moving is rare.

use super::{Memory, Slot, Store};
use crate::bits::index;
use crate::id::NodeKey;

/// Bytes before each record: two of length, four of its slot.
const HEAD: usize = 6;

impl<M: Memory> Store<M> {
    fn room(&self) -> usize {
        let all = self.memory.see_bytes().len();
        all.saturating_sub(all / 8)
    }

    /// Whether a record of this length fits an empty store.
    pub(super) fn could_hold(&self, len: usize) -> bool {
        HEAD.saturating_add(len) <= self.room()
    }

    pub(super) fn has_bytes(&self, len: usize) -> bool {
        self.live.saturating_add(HEAD).saturating_add(len) <= self.room()
    }

    /// Keeps a record's bytes for a slot; says where, and how long it is.
    pub(super) fn append(&mut self, slot: u32, record: &[u8]) -> Option<(u32, u16)> {
        let len = u16::try_from(record.len()).ok()?;
        let whole = HEAD.checked_add(record.len())?;
        if self.tail.checked_add(whole)? > self.memory.see_bytes().len() {
            self.compact();
        }
        let end = self.tail.checked_add(whole)?;
        let (head, body) = self.memory.bytes().get_mut(self.tail..end)?.split_first_chunk_mut::<HEAD>()?;
        *head = pack(len, slot);
        body.copy_from_slice(record);
        let place = self.tail.checked_add(HEAD)?;
        self.tail = end;
        self.live = self.live.saturating_add(whole);
        Some((u32::try_from(place).ok()?, len))
    }

    pub(super) fn forget(&mut self, len: u16) {
        self.live = self.live.saturating_sub(HEAD.saturating_add(usize::from(len)));
    }

    pub(super) fn bytes_of(&self, slot: &Slot) -> Option<&[u8]> {
        let start = index(slot.place);
        self.memory.see_bytes().get(start..start.checked_add(usize::from(slot.len))?)
    }

    /// A record begins with its author.
    pub(super) fn author_of(&self, slot: &Slot) -> Option<NodeKey> {
        self.bytes_of(slot)?.first_chunk().copied().map(NodeKey)
    }

    fn compact(&mut self) {
        let (mut from, mut to) = (0_usize, 0_usize);
        while from < self.tail {
            let Some(head) = self.memory.see_bytes().get(from..).and_then(|rest| rest.first_chunk::<HEAD>())
            else {
                break;
            };
            let (len, slot) = unpack(*head);
            let whole = HEAD.saturating_add(usize::from(len));
            let place = u32::try_from(from.saturating_add(HEAD)).unwrap_or(u32::MAX);
            let end = from.saturating_add(whole);
            let moved = u32::try_from(to.saturating_add(HEAD)).unwrap_or(u32::MAX);
            let kept = self.memory.slots().get_mut(slot).filter(|slot| slot.len > 0 && slot.place == place);
            if let Some(slot) = kept {
                slot.place = moved;
                self.memory.bytes().copy_within(from..end, to);
                to = to.saturating_add(whole);
            }
            from = end;
        }
        self.tail = to;
    }
}

/// Six bytes hold a length below 2^16 and the number of a slot.
fn pack(len: u16, slot: u32) -> [u8; HEAD] {
    let both = u64::from(len) << 32 | u64::from(slot);
    both.to_be_bytes().last_chunk().copied().unwrap_or_default()
}

fn unpack(head: [u8; HEAD]) -> (u16, usize) {
    let both = head.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let slot = u32::try_from(both & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (u16::try_from(both >> 32).unwrap_or(0), index(slot))
}
