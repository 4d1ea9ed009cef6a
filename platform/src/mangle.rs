//! For tests: messages that nobody meant, made of good ones, and the same ones each time.

/// A source of chance without chance (xorshift64, Marsaglia 2003).
pub(crate) struct Mangler(u64);

impl Mangler {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `count`, or 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % count.max(1)
    }

    /// The message with one to four changes: bytes flipped, left out, doubled, cut off, or `pieces` put in.
    pub(crate) fn mangle(&mut self, good: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = at + self.below(bytes.len() - at + 1).min(1 + self.below(12));
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let twice = bytes[at..end].to_vec();
                    bytes.splice(at..at, twice);
                }
                3 | 4 => {
                    let piece = pieces[self.below(pieces.len())].to_vec();
                    let over = if self.below(2) == 0 { at } else { (at + piece.len()).min(bytes.len()) };
                    bytes.splice(at..over, piece);
                }
                _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
        bytes
    }
}
