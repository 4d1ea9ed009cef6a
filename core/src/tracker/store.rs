//! As many records as fit the memory it was given.
//!
//! **Who goes first when room is needed**: records of authors farther away in trust before nearer ones; among equals,
//! those that expire sooner; our own never. A record that is no better than the worst one here is refused. An author past
//! [`AUTHOR_QUOTA`] keeps its newest records, so that all stores keep the same ones of it. What has
//! expired goes with [`expire`](Store::expire), which the owner calls once a minute.

mod arena;
mod lists;

use core::cmp::Reverse;

use super::heap::{self, Worth};
use super::record::{Body, Edition, Signed, Visibility};
use super::tree::{Entries, NONE, Node, Range, Summary, head, summarize};
use crate::bits::index;
use crate::id::{NodeKey, RecordId};
use crate::limits::{AUTHOR_QUOTA, MAX_LEAF};
use crate::time::Date;

/// How far away an author is: 0 ourselves, 1 whom we trust, and so on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rank(pub u8);

impl Rank {
    /// Ourselves: never evicted.
    pub const OWN: Self = Self(0);
    /// Nobody we know.
    pub const STRANGER: Self = Self(u8::MAX);
}

/// One place for a record; its bytes are elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    id: RecordId,
    edition: Edition,
    made: Date,
    expires: Date,
    rank: Rank,
    /// Zero when free.
    len: u16,
    place: u32,
    /// Next slot of the same leaf, or next free one.
    next: u32,
    /// Next slot whose author falls into the same list.
    next_author: u32,
    pub(super) heap_at: u32,
    pub(super) heap_item: u32,
}

impl Slot {
    /// Of an empty store.
    pub const EMPTY: Self = Self {
        id: RecordId([0; 32]),
        edition: Edition { version: 0, digest: [0; 16] },
        made: Date(0),
        expires: Date(0),
        rank: Rank::OWN,
        len: 0,
        place: 0,
        next: NONE,
        next_author: NONE,
        heap_at: 0,
        heap_item: 0,
    };

    pub(super) const fn worth(&self) -> Worth {
        (self.rank, Reverse(self.expires), self.id)
    }
}

/// Memory for a store. For `n` records: `n` slots of some 120 bytes, `n / 4` nodes of 28, and bytes for the records
/// themselves, some 250 each.
pub trait Memory {
    /// Places for records: at most 2^31.
    fn slots(&mut self) -> &mut [Slot];
    /// Twice as many as the tree has leaves, a power of two from 2 to 2^32.
    fn nodes(&mut self) -> &mut [Node];
    /// For the signed records: at most 2^31.
    fn bytes(&mut self) -> &mut [u8];
    /// As [`slots`](Self::slots), to look at only.
    fn see_slots(&self) -> &[Slot];
    /// As [`nodes`](Self::nodes), to look at only.
    fn see_nodes(&self) -> &[Node];
    /// As [`bytes`](Self::bytes), to look at only.
    fn see_bytes(&self) -> &[u8];
}

/// Memory in three parts: arrays, boxes or slices.
#[derive(Clone, Debug)]
pub struct Parts<S, N, B> {
    /// See [`Memory::slots`].
    pub slots: S,
    /// See [`Memory::nodes`].
    pub nodes: N,
    /// See [`Memory::bytes`].
    pub bytes: B,
}

impl<S, N, B> Memory for Parts<S, N, B>
where
    S: AsRef<[Slot]> + AsMut<[Slot]>,
    N: AsRef<[Node]> + AsMut<[Node]>,
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    fn slots(&mut self) -> &mut [Slot] {
        self.slots.as_mut()
    }
    fn nodes(&mut self) -> &mut [Node] {
        self.nodes.as_mut()
    }
    fn bytes(&mut self) -> &mut [u8] {
        self.bytes.as_mut()
    }
    fn see_slots(&self) -> &[Slot] {
        self.slots.as_ref()
    }
    fn see_nodes(&self) -> &[Node] {
        self.nodes.as_ref()
    }
    fn see_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// There was none of this name.
    New,
    /// It took the place of an older one.
    Newer,
    /// It is here already.
    Known,
    /// A newer one is here.
    Older,
}

/// Why a record was not kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// A private share does not belong into a public store.
    Private,
    /// Its author has [`AUTHOR_QUOTA`] newer ones here.
    Quota,
    /// Everything here is worth more, by the eviction order.
    Full,
}

/// The memory given is too small, too large, or its nodes are no power of two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrongMemory;

/// A bounded store of records.
#[derive(Debug)]
pub struct Store<M> {
    memory: M,
    scope: Visibility,
    /// So that nobody can choose in which list an author falls.
    seed: u64,
    leaf_bits: u8,
    count: u32,
    free: u32,
    /// End of the bytes in use, and how many of them belong to records that are still here.
    tail: usize,
    live: usize,
}

impl<M: Memory> Store<M> {
    /// An empty store. A private one takes records of private shares as well; keep one for each link. `seed` is random.
    pub fn new(mut memory: M, scope: Visibility, seed: u64) -> Result<Self, WrongMemory> {
        let nodes = memory.nodes();
        let leaf_bits = nodes.len().checked_ilog2().and_then(|bits| u8::try_from(bits).ok());
        let leaf_bits = leaf_bits.and_then(|bits| bits.checked_sub(1)).ok_or(WrongMemory)?;
        if !nodes.len().is_power_of_two() || leaf_bits > 31 {
            return Err(WrongMemory);
        }
        nodes.fill(Node::EMPTY);
        let slots = memory.slots();
        let last =
            u32::try_from(slots.len()).ok().filter(|len| (1..=1 << 31).contains(len)).ok_or(WrongMemory)?;
        for (next, slot) in (1..).zip(slots.iter_mut()) {
            *slot = Slot { next: if next == last { NONE } else { next }, ..Slot::EMPTY };
        }
        if u32::try_from(memory.bytes().len()).is_err() {
            return Err(WrongMemory);
        }
        Ok(Self { memory, scope, seed, leaf_bits, count: 0, free: 0, tail: 0, live: 0 })
    }

    /// Takes a record in, if it is news. An older one of the same name goes even if there is no room for the newer.
    pub fn insert(&mut self, record: &Signed<'_>, rank: Rank) -> Result<Outcome, Refused> {
        if let Body::Share { visibility: Visibility::Private, .. } = record.record().body
            && self.scope == Visibility::Public
        {
            return Err(Refused::Private);
        }
        let known = self.find(&record.id());
        if let Some(edition) = known.and_then(|at| self.slot(at)).map(|slot| slot.edition)
            && edition >= record.edition()
        {
            return Ok(if edition == record.edition() { Outcome::Known } else { Outcome::Older });
        }
        if let Some(at) = known {
            self.remove(at);
        }
        let worth: Worth = (rank, Reverse(record.record().expires), record.id());
        self.room_in_quota(record)?;
        self.room_in_leaf(&record.id(), worth)?;
        self.room_in_memory(record.bytes().len(), worth)?;
        self.place(record, rank).ok_or(Refused::Full)?;
        Ok(if known.is_some() { Outcome::Newer } else { Outcome::New })
    }

    /// The signed record of this name.
    pub fn get(&self, id: &RecordId) -> Option<&[u8]> {
        self.bytes_of(self.slot(self.find(id)?)?)
    }

    /// Which edition of this record is here.
    pub fn edition(&self, id: &RecordId) -> Option<Edition> {
        Some(self.slot(self.find(id)?)?.edition)
    }

    /// Every record and the rank it was taken in with, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Rank)> {
        let used = self.memory.see_slots().iter().filter(|slot| slot.len > 0);
        used.filter_map(|slot| Some((self.bytes_of(slot)?, slot.rank)))
    }

    /// Records here.
    pub fn len(&self) -> usize {
        index(self.count)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Removes what has expired; says how many.
    pub fn expire(&mut self, today: Date) -> usize {
        self.retain(|slot| slot.expires > today)
    }

    /// Removes one record; says whether it was here.
    pub fn discard(&mut self, id: &RecordId) -> bool {
        self.find(id).map(|at| self.remove(at)).is_some()
    }

    /// Ranks authors anew after trust changed. `None` (a blocked author) removes all its records. Says how many went.
    pub fn rank(&mut self, mut rank: impl FnMut(&NodeKey) -> Option<Rank>) -> usize {
        let before = self.count;
        for at in self.numbers() {
            let Some(slot) = self.slot(at).filter(|slot| slot.len > 0) else { continue };
            match self.author_of(slot).and_then(|author| rank(&author)) {
                None => self.remove(at),
                Some(rank) => {
                    if let Some(slot) = self.memory.slots().get_mut(index(at)) {
                        slot.rank = rank;
                    }
                }
            }
        }
        heap::rebuild(self.memory.slots(), self.count);
        index(before.saturating_sub(self.count))
    }

    /// What a range holds, in brief.
    pub fn summary(&self, range: Range) -> Summary {
        if range.bits() <= self.leaf_bits {
            let node = lists::node_at(range.prefix(), range.bits());
            return self.memory.see_nodes().get(node).map_or_else(Summary::default, |node| node.summary);
        }
        let leaf = self.leaf(range.prefix());
        let entries = self.leaf_slots(leaf).filter(|slot| range.has(&slot.id));
        summarize(&mut entries.map(|slot| (slot.id, slot.edition)).take(MAX_LEAF).collect::<Entries>())
    }

    /// The first record of a range by name, or the first after the name `after`.
    pub fn next_in(&self, range: Range, after: Option<&RecordId>) -> Option<(RecordId, Edition)> {
        let start = after.map_or(range.prefix(), head).max(range.prefix());
        let end = range.prefix() | u64::MAX.checked_shr(u32::from(range.bits())).unwrap_or(0);
        (self.leaf(start)..=self.leaf(end)).find_map(|leaf| {
            let slots = self.leaf_slots(leaf).filter(|slot| range.has(&slot.id));
            let later = slots.filter(|slot| after.is_none_or(|after| slot.id > *after));
            later.min_by_key(|slot| slot.id).map(|slot| (slot.id, slot.edition))
        })
    }

    fn retain(&mut self, keep: impl Fn(&Slot) -> bool) -> usize {
        let before = self.count;
        for at in self.numbers() {
            if self.slot(at).is_some_and(|slot| slot.len > 0 && !keep(slot)) {
                self.remove(at);
            }
        }
        index(before.saturating_sub(self.count))
    }

    fn room_in_quota(&mut self, record: &Signed<'_>) -> Result<(), Refused> {
        let author = record.record().author;
        let mut count: usize = 0;
        let mut oldest: Option<(Date, RecordId, u32)> = None;
        for at in self.author_slots(&author) {
            let Some(slot) = self.slot(at) else { continue };
            count = count.saturating_add(1);
            let this = (slot.made, slot.id, at);
            oldest = Some(oldest.map_or(this, |oldest| oldest.min(this)));
        }
        match oldest {
            Some((made, id, at)) if count >= AUTHOR_QUOTA => {
                if (record.record().made, record.id()) < (made, id) {
                    return Err(Refused::Quota);
                }
                self.remove(at);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn room_in_leaf(&mut self, id: &RecordId, worth: Worth) -> Result<(), Refused> {
        let leaf = self.leaf(head(id));
        if self.leaf_slots(leaf).count() < MAX_LEAF {
            return Ok(());
        }
        let worst = self.leaf_slots(leaf).max_by_key(|slot| slot.worth()).map(|slot| (slot.worth(), slot.id));
        self.evict(worst.and_then(|(worth, id)| Some((worth, self.find(&id)?))), worth)
    }

    fn room_in_memory(&mut self, len: usize, worth: Worth) -> Result<(), Refused> {
        if !self.could_hold(len) {
            return Err(Refused::Full);
        }
        while self.free == NONE || !self.has_bytes(len) {
            let worst = heap::worst(self.memory.see_slots(), self.count);
            self.evict(worst.and_then(|at| Some((self.slot(at)?.worth(), at))), worth)?;
        }
        Ok(())
    }

    fn evict(&mut self, victim: Option<(Worth, u32)>, newcomer: Worth) -> Result<(), Refused> {
        match victim {
            Some((worth, at)) if worth > newcomer && worth.0 > Rank::OWN => {
                self.remove(at);
                Ok(())
            }
            _ => Err(Refused::Full),
        }
    }

    fn place(&mut self, record: &Signed<'_>, rank: Rank) -> Option<()> {
        let at = self.free;
        let next_free = self.slot(at)?.next;
        let (place, len) = self.append(at, record.bytes())?;
        self.free = next_free;
        let (id, edition) = (record.id(), record.edition());
        let (made, expires) = (record.record().made, record.record().expires);
        let slot = Slot { id, edition, made, expires, rank, len, place, ..Slot::EMPTY };
        if let Some(old) = self.memory.slots().get_mut(index(at)) {
            *old = Slot { heap_at: old.heap_at, heap_item: old.heap_item, ..slot };
        }
        self.link(at, &id, &record.record().author);
        heap::add(self.memory.slots(), self.count, at);
        self.count = self.count.saturating_add(1);
        self.update(&id);
        Some(())
    }

    fn remove(&mut self, at: u32) {
        let Some(slot) = self.slot(at).copied() else { return };
        let Some(author) = self.author_of(&slot) else { return };
        heap::remove(self.memory.slots(), self.count, at);
        self.count = self.count.saturating_sub(1);
        self.unlink(at, &slot.id, &author);
        self.forget(slot.len);
        let free = self.free;
        if let Some(slot) = self.memory.slots().get_mut(index(at)) {
            (slot.len, slot.next) = (0, free);
        }
        self.free = at;
        self.update(&slot.id);
    }

    fn numbers(&self) -> core::ops::Range<u32> {
        0..u32::try_from(self.memory.see_slots().len()).unwrap_or(0)
    }

    fn slot(&self, at: u32) -> Option<&Slot> {
        self.memory.see_slots().get(index(at))
    }
}

#[cfg(test)]
mod tests;
