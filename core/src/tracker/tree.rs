//! Digests of ranges of names, so that two stores find out where they differ.
//!
//! Names are hashes, so they spread evenly; a range is all names that begin with the same bits. The digest of a range is
//! that of a binary tree over the entries in it, in which a branch with nothing beside it does not count. So it depends
//! on the entries alone: stores of any size, with trees cut at any depth, agree on it.

use heapless::Vec;
use sha2::{Digest, Sha256};

use super::record::Edition;
use crate::id::RecordId;
use crate::limits::MAX_LEAF;
use crate::wire::Malformed;
use crate::wire::tracker::{DIGEST_LEN, RANGE_LEN};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Bits by which a range is split at a time: 16 parts.
const STEP: u8 = 4;

/// Parts of a range.
pub const PARTS: u8 = 16;

/// Bits of the narrowest range. Two names that share so many are listed, whatever their number.
pub const NARROWEST: u8 = 64;

/// All names that begin with the same bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    /// The bits, from the most significant on; the others are zero.
    prefix: u64,
    /// How many: a multiple of four.
    bits: u8,
}

impl Range {
    /// All names.
    pub const ALL: Self = Self { prefix: 0, bits: 0 };

    /// Whether it cannot be split.
    #[must_use]
    pub const fn is_narrowest(self) -> bool {
        self.bits >= NARROWEST
    }

    /// Part `number` of 16. The narrowest has no parts but itself.
    #[must_use]
    pub fn part(self, number: u8) -> Self {
        if self.is_narrowest() {
            return self;
        }
        let bits = self.bits.saturating_add(STEP);
        let shift = u32::from(NARROWEST.saturating_sub(bits));
        Self { prefix: self.prefix | u64::from(number % PARTS).wrapping_shl(shift), bits }
    }

    /// Whether `id` belongs here.
    #[must_use]
    pub fn has(self, id: &RecordId) -> bool {
        let differing = head(id) ^ self.prefix;
        differing.leading_zeros() >= u32::from(self.bits)
    }

    pub(super) const fn bits(self) -> u8 {
        self.bits
    }

    pub(super) const fn prefix(self) -> u64 {
        self.prefix
    }

    /// For the wire.
    #[must_use]
    pub fn pack(self) -> [u8; RANGE_LEN] {
        let mut packed = [self.bits; RANGE_LEN];
        if let Some(head) = packed.first_chunk_mut() {
            *head = self.prefix.to_be_bytes();
        }
        packed
    }

    /// From the wire: one form only.
    pub fn unpack(packed: &[u8]) -> Result<Self, Malformed> {
        let (prefix, rest) = packed.split_first_chunk().ok_or(Malformed)?;
        let &[bits] = rest else { return Err(Malformed) };
        let prefix = u64::from_be_bytes(*prefix);
        let clear = bits >= NARROWEST || prefix.wrapping_shl(u32::from(bits)) == 0;
        if bits > NARROWEST || bits % STEP != 0 || !clear {
            return Err(Malformed);
        }
        Ok(Self { prefix, bits })
    }
}

/// The bits by which a name is sorted into ranges.
pub(super) fn head(id: &RecordId) -> u64 {
    id.0.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

/// What a range holds, in brief. Equal summaries mean equal entries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Zero for none.
    pub digest: [u8; 16],
    /// Entries.
    pub count: u32,
}

impl Summary {
    fn of(id: &RecordId, edition: &Edition) -> Self {
        let hash = Sha256::new_with_prefix([0]).chain_update(id.0).chain_update(edition.digest).finalize();
        Self { digest: half(&hash.into()), count: 1 }
    }

    /// Of two neighbours together.
    #[must_use]
    pub fn join(self, right: Self) -> Self {
        if self.count == 0 || right.count == 0 {
            return if self.count == 0 { right } else { self };
        }
        let hash =
            Sha256::new_with_prefix([1]).chain_update(self.digest).chain_update(right.digest).finalize();
        Self { digest: half(&hash.into()), count: self.count.saturating_add(right.count) }
    }

    /// For the wire.
    #[must_use]
    pub fn pack(self) -> [u8; DIGEST_LEN] {
        let mut packed = [0; DIGEST_LEN];
        let (digest, count) = packed.split_at_mut(self.digest.len());
        digest.copy_from_slice(&self.digest);
        count.copy_from_slice(&self.count.to_be_bytes());
        packed
    }

    /// From the wire.
    pub fn unpack(packed: &[u8]) -> Result<Self, Malformed> {
        let (digest, rest) = packed.split_first_chunk().ok_or(Malformed)?;
        let count = rest.first_chunk().filter(|_| rest.len() == 4).ok_or(Malformed)?;
        Ok(Self { digest: *digest, count: u32::from_be_bytes(*count) })
    }
}

fn half(hash: &[u8; 32]) -> [u8; 16] {
    hash.first_chunk().copied().unwrap_or_default()
}

/// Entries of one leaf.
pub(super) type Entries = Vec<(RecordId, Edition), MAX_LEAF>;

/// The summary of entries that are all there is in some range. Sorts them.
pub(super) fn summarize(entries: &mut Entries) -> Summary {
    entries.sort_unstable();
    // To the left of where we are: summaries, each with the bits its last name shares with what follows. These grow
    // upwards, so the stack is never higher than there are entries.
    let mut left: Vec<(Summary, u32), MAX_LEAF> = Vec::new();
    let mut here = Summary::default();
    let mut last: Option<RecordId> = None;
    for (id, edition) in entries.iter() {
        if let Some(last) = last.replace(*id) {
            let shared = shared_bits(&last, id);
            while let Some((summary, _)) = left.last().copied().filter(|(_, bits)| *bits > shared) {
                left.pop();
                here = summary.join(here);
            }
            _ = left.push((here, shared)); // one for each entry at most
        }
        here = Summary::of(id, edition);
    }
    while let Some((summary, _)) = left.pop() {
        here = summary.join(here);
    }
    here
}

fn shared_bits(one: &RecordId, other: &RecordId) -> u32 {
    let mut shared: u32 = 0;
    for (one, other) in one.0.iter().zip(&other.0) {
        let differing = one ^ other;
        shared = shared.saturating_add(differing.leading_zeros());
        if differing != 0 {
            break;
        }
    }
    shared
}

/// One node of a store's tree, in memory the owner lends. The leaves hold the heads of two lists of slots.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub(super) summary: Summary,
    /// First slot of this leaf.
    pub(super) first: u32,
    /// First slot whose author falls here.
    pub(super) authors: u32,
}

impl Node {
    /// Of an empty store.
    pub const EMPTY: Self =
        Self { summary: Summary { digest: [0; 16], count: 0 }, first: NONE, authors: NONE };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Random;

    /// The definition, spelled out: split by each bit in turn.
    fn by_definition(entries: &[(RecordId, Edition)], bit: usize) -> Summary {
        if entries.len() < 2 {
            return entries.first().map_or(Summary::default(), |(id, edition)| Summary::of(id, edition));
        }
        let set = |id: &RecordId| id.0[bit / 8] & (0x80 >> (bit % 8)) != 0;
        let (ones, zeros): (std::vec::Vec<_>, std::vec::Vec<_>) = entries.iter().partition(|(id, _)| set(id));
        by_definition(&zeros, bit + 1).join(by_definition(&ones, bit + 1))
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of hashes")]
    fn a_summary_is_what_its_definition_says() {
        let mut random = Random::new(1);
        for count in 0..=MAX_LEAF {
            let mut entries = Entries::new();
            for _ in 0..count {
                let mut id: [u8; 32] = random.array();
                if random.happens(500_000) {
                    id[..31].fill(0); // neighbours in the last bits
                }
                let edition = Edition { version: 1, digest: random.array() };
                if entries.iter().all(|(other, _)| other.0 != id) {
                    entries.push((RecordId(id), edition)).unwrap();
                }
            }
            let expected = by_definition(&entries, 0);
            assert_eq!(summarize(&mut entries), expected);
        }
    }

    #[test]
    fn ranges_split_into_their_parts_and_travel() {
        let mut random = Random::new(2);
        for _ in 0..if cfg!(miri) { 5 } else { 200 } {
            let id = RecordId(random.array());
            let mut range = Range::ALL;
            while !range.is_narrowest() {
                assert_eq!(Range::unpack(&range.pack()), Ok(range));
                let parts = (0..PARTS).map(move |number| range.part(number));
                let mut holding = parts.filter(|part| part.has(&id));
                range = holding.next().unwrap();
                assert!(holding.next().is_none());
            }
            assert_eq!(range.part(3), range);
            assert_eq!(Range::unpack(&range.pack()), Ok(range));
        }
        for bad in [
            &[0, 0, 0, 0, 0, 0, 0, 1, 60][..],
            &[0; 8],
            &[0; 10],
            &[0, 0, 0, 0, 0, 0, 0, 0, 3],
            &[0, 0, 0, 0, 0, 0, 0, 0, 68],
        ] {
            assert_eq!(Range::unpack(bad), Err(Malformed));
        }
    }
}
