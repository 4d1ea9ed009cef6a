//! A row of bits in memory the owner lends: which pieces, which blocks.

/// Bits numbered from zero, in words of the owner's: an array on a board, a box on a server.
#[derive(Clone, Debug)]
pub struct Bits<B> {
    words: B,
    len: u32,
}

/// The words given cannot hold that many bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooFewWords;

/// Bits in a word.
const WORD: u32 = u64::BITS;

/// Words that hold `len` bits.
#[must_use]
pub const fn words_for(len: u32) -> usize {
    index(len.div_ceil(WORD))
}

/// A number as an index; 32 bits fit wherever the core runs.
pub(crate) const fn index(n: u32) -> usize {
    #[allow(clippy::as_conversions, reason = "usize has at least 32 bits on every target of this crate")]
    {
        n as usize
    }
}

impl<B: AsRef<[u64]> + AsMut<[u64]>> Bits<B> {
    /// `len` bits, all clear.
    pub fn new(mut words: B, len: u32) -> Result<Self, TooFewWords> {
        let used = words.as_mut().get_mut(..words_for(len)).ok_or(TooFewWords)?;
        used.fill(0);
        Ok(Self { words, len })
    }

    /// How many bits there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no bits at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether bit `at` is set; false past the end.
    pub fn get(&self, at: u32) -> bool {
        at < self.len && self.words.as_ref().get(index(at / WORD)).is_some_and(|word| word & mask(at) != 0)
    }

    /// Sets bit `at`; says whether that changed it. Past the end nothing happens.
    pub fn set(&mut self, at: u32) -> bool {
        self.change(at, |word, bit| word | bit)
    }

    /// Clears bit `at`; says whether that changed it.
    pub fn clear(&mut self, at: u32) -> bool {
        self.change(at, |word, bit| word & !bit)
    }

    fn change(&mut self, at: u32, how: impl FnOnce(u64, u64) -> u64) -> bool {
        if at >= self.len {
            return false;
        }
        let Some(word) = self.words.as_mut().get_mut(index(at / WORD)) else { return false };
        let before = *word;
        *word = how(before, mask(at));
        *word != before
    }

    /// How many bits are set.
    pub fn count(&self) -> u32 {
        self.words().iter().fold(0, |sum: u32, word| sum.saturating_add(word.count_ones()))
    }

    /// Whether all are set.
    pub fn is_full(&self) -> bool {
        self.count() == self.len
    }

    /// The words in use; bits past the end are clear.
    pub fn words(&self) -> &[u64] {
        self.words.as_ref().get(..words_for(self.len)).unwrap_or_default()
    }

    /// How many bits are set here that are clear in `other`.
    pub fn count_beyond<C: AsRef<[u64]> + AsMut<[u64]>>(&self, other: &Bits<C>) -> u32 {
        let beyond = self.words().iter().zip(other.words()).map(|(ours, theirs)| ours & !theirs);
        beyond.fold(0, |sum: u32, word| sum.saturating_add(word.count_ones()))
    }

    /// The first of `len` bits from `from` on that is clear here and in `other`, which is as long.
    pub fn first_clear<C: AsRef<[u64]> + AsMut<[u64]>>(
        &self,
        other: &Bits<C>,
        from: u32,
        len: u32,
    ) -> Option<u32> {
        let end = from.saturating_add(len).min(self.len);
        let mut at = from;
        while at < end {
            let (ours, theirs) = (self.words().get(index(at / WORD))?, other.words().get(index(at / WORD))?);
            let clear = !(ours | theirs) & u64::MAX.wrapping_shl(at);
            let word = at.saturating_sub(at % WORD);
            if clear != 0 {
                return Some(word.saturating_add(clear.trailing_zeros())).filter(|found| *found < end);
            }
            at = word.saturating_add(WORD);
        }
        None
    }

    /// Sets what a `Haves` message says: bits most significant first, from bit `first` on. A start or a set bit past the
    /// end is an error, and then nothing was changed.
    pub fn merge(&mut self, first: u32, bytes: &[u8]) -> Result<(), PastTheEnd> {
        let Some(room) = self.len.checked_sub(first).filter(|room| *room > 0) else { return Err(PastTheEnd) };
        let beyond = bytes.get(index(room.div_ceil(8))..).unwrap_or_default();
        if beyond.iter().any(|byte| *byte != 0) {
            return Err(PastTheEnd);
        }
        let numbered = || (first..self.len).step_by(8).zip(bytes);
        for (at, byte) in numbered() {
            let room = self.len.saturating_sub(at);
            if room < 8 && u32::from(*byte).wrapping_shl(room) & 0xff != 0 {
                return Err(PastTheEnd);
            }
        }
        for (at, byte) in (first..self.len).step_by(8).zip(bytes) {
            for bit in (0..8).filter(|bit| byte & (0x80_u8 >> bit) != 0) {
                self.set(at.saturating_add(bit));
            }
        }
        Ok(())
    }

    /// Writes bits from `first` on into `out`, most significant first, as many as fit. Returns the bytes written.
    pub fn export(&self, first: u32, out: &mut [u8]) -> usize {
        let mut written: usize = 0;
        for (at, byte) in (first..self.len).step_by(8).zip(out.iter_mut()) {
            *byte = self.eight(at).reverse_bits();
            written = written.saturating_add(1);
        }
        written
    }
}

impl<B: AsRef<[u64]> + AsMut<[u64]>> Bits<B> {
    /// Eight bits from `at` on, the first one lowest.
    fn eight(&self, at: u32) -> u8 {
        let word = |at: u32| self.words().get(index(at / WORD)).copied().unwrap_or(0);
        let low = word(at).wrapping_shr(at);
        let high = word(at.saturating_add(7)).checked_shl(WORD.saturating_sub(at % WORD)).unwrap_or(0);
        u8::try_from((low | high) & 0xff).unwrap_or(0)
    }
}

/// A bit past the end was set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PastTheEnd;

const fn mask(at: u32) -> u64 {
    1_u64.wrapping_shl(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_travel_and_come_back() {
        let mut bits = Bits::new([0; 3], 130).unwrap();
        for at in [0, 7, 8, 63, 64, 129] {
            assert!(bits.set(at) && !bits.set(at) && bits.get(at));
        }
        assert!(!bits.set(130) && !bits.get(130));
        let mut wire = [0; 17];
        assert_eq!(bits.export(0, &mut wire), 17);
        assert_eq!((wire[0], wire[1], wire[16]), (0x81, 0x80, 0x40));
        for first in 0..130 {
            let mut byte = [0];
            bits.export(first, &mut byte);
            assert_eq!(
                byte[0],
                (0..8).fold(0, |sum, bit| sum << 1 | u8::from(bits.get(first + bit))),
                "{first}"
            );
        }
        let mut copy = Bits::new([0; 3], 130).unwrap();
        copy.merge(0, &wire).unwrap();
        assert_eq!(copy.words(), bits.words());
        assert_eq!(copy.count(), 6);
        assert_eq!(copy.count_beyond(&bits), 0);
        copy.clear(7);
        copy.clear(129);
        assert_eq!((bits.count_beyond(&copy), copy.count_beyond(&bits)), (2, 0));
    }

    #[test]
    fn the_first_clear_bit_is_found_in_its_range_only() {
        let (mut one, mut other) = (Bits::new([0; 3], 150).unwrap(), Bits::new([0; 3], 150).unwrap());
        for at in 0..150 {
            if at % 3 == 0 {
                one.set(at)
            } else {
                other.set(at)
            };
        }
        assert_eq!(one.first_clear(&other, 0, 150), None);
        for clear in [5, 70, 149] {
            one.clear(clear);
            other.clear(clear);
        }
        for (from, len, found) in [
            (0, 150, Some(5)),
            (0, 5, None),
            (6, 64, None),
            (6, 65, Some(70)),
            (71, 999, Some(149)),
            (150, 9, None),
        ] {
            assert_eq!(one.first_clear(&other, from, len), found, "{from} {len}");
        }
    }

    #[test]
    fn a_bit_past_the_end_is_refused_and_changes_nothing() {
        let mut bits = Bits::new([0; 1], 12).unwrap();
        assert_eq!(bits.merge(0, &[0xff, 0x08]), Err(PastTheEnd));
        assert_eq!(bits.count(), 0);
        assert_eq!(bits.merge(8, &[0xf0]), Ok(()));
        assert_eq!(bits.merge(8, &[0xf0, 0]), Ok(()), "bits that are not set say nothing");
        assert_eq!(bits.merge(0, &[0, 0, 1]), Err(PastTheEnd));
        for (first, byte) in
            [(16, 0x80), (16, 0), (12, 0), (u32::MAX - 7, 0), (u32::MAX - 7, 0xff), (u32::MAX, 0)]
        {
            assert_eq!(bits.merge(first, &[byte; 3]), Err(PastTheEnd), "{first}");
            assert_eq!(bits.export(first, &mut [0; 3]), 0, "{first}");
        }
        assert_eq!(bits.count(), 4);
        assert!(Bits::new([0; 1], 65).is_err());
    }
}
