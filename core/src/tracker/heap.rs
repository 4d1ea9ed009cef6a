//! Which record of a store goes first when room is needed: a binary heap, worst on top, threaded through the slots.

use core::cmp::Reverse;

use super::store::{Rank, Slot};
use crate::bits::index;
use crate::id::RecordId;
use crate::time::Date;

/// Greater is worse.
pub(super) type Worth = (Rank, Reverse<Date>, RecordId);

/// What sits at this place of the heap.
fn item(slots: &[Slot], at: u32) -> Option<u32> {
    slots.get(index(at)).map(|slot| slot.heap_item)
}

fn worth(slots: &[Slot], at: u32) -> Option<Worth> {
    slots.get(index(item(slots, at)?)).map(Slot::worth)
}

fn put(slots: &mut [Slot], at: u32, item: u32) {
    if let Some(slot) = slots.get_mut(index(at)) {
        slot.heap_item = item;
    }
    if let Some(slot) = slots.get_mut(index(item)) {
        slot.heap_at = at;
    }
}

fn swap(slots: &mut [Slot], one: u32, other: u32) {
    if let (Some(first), Some(second)) = (item(slots, one), item(slots, other)) {
        put(slots, one, second);
        put(slots, other, first);
    }
}

/// The worst of `len` slots.
pub(super) fn worst(slots: &[Slot], len: u32) -> Option<u32> {
    if len == 0 { None } else { item(slots, 0) }
}

/// Adds a slot to a heap of `len`.
pub(super) fn add(slots: &mut [Slot], len: u32, slot: u32) {
    put(slots, len, slot);
    rise(slots, len);
}

/// Removes a slot from a heap of `len`.
pub(super) fn remove(slots: &mut [Slot], len: u32, slot: u32) {
    let Some(at) = slots.get(index(slot)).map(|slot| slot.heap_at) else { return };
    let last = len.saturating_sub(1);
    swap(slots, at, last);
    if at < last {
        rise(slots, at);
        sink(slots, at, last);
    }
}

/// Orders `len` slots anew, after their ranks changed.
pub(super) fn rebuild(slots: &mut [Slot], len: u32) {
    for at in (0..len / 2).rev() {
        sink(slots, at, len);
    }
}

fn rise(slots: &mut [Slot], mut at: u32) {
    while at > 0 {
        let parent = at.saturating_sub(1) / 2;
        if worth(slots, at) <= worth(slots, parent) {
            return;
        }
        swap(slots, at, parent);
        at = parent;
    }
}

fn sink(slots: &mut [Slot], mut at: u32, len: u32) {
    loop {
        let left = at.saturating_mul(2).saturating_add(1);
        let children = (left..left.saturating_add(2)).filter(|child| *child < len);
        let Some(child) = children.max_by_key(|child| worth(slots, *child)) else { return };
        if worth(slots, child) <= worth(slots, at) {
            return;
        }
        swap(slots, at, child);
        at = child;
    }
}
