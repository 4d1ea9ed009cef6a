//! What a stream may share its circuit with.

use std::fmt;

use sha2::{Digest, Sha256};

/// Streams with equal values may share a circuit, others never do. `Debug` hides what went into it.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Isolation([u8; 32]);

impl Isolation {
    /// Everything of one purpose, such as a listener's name.
    pub fn of(purpose: &str) -> Self {
        Self([0; 32]).and(purpose.as_bytes())
    }

    /// Only what also has this part in common, in this place.
    #[must_use]
    pub fn and(&self, part: &[u8]) -> Self {
        let sum = Sha256::new().chain_update(self.0).chain_update(part);
        Self(sum.finalize().into())
    }

    /// The value itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Isolation(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_their_places_count() {
        let base = Isolation::of("socks");
        assert_eq!(base.and(b"a").and(b"b"), base.and(b"a").and(b"b"));
        assert_ne!(base.and(b"a").and(b"b"), base.and(b"b").and(b"a"));
        assert_ne!(base.and(b"ab").and(b""), base.and(b"a").and(b"b"));
        assert_ne!(base, Isolation::of("dns"));
        assert_ne!(base.and(b""), base);
    }
}
