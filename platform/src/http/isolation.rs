//! Who may share a circuit with whom.

use std::fmt;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// Streams with equal values may share a circuit; others never do.
///
/// Over an external proxy it is sent as user name and password, which Tor and Bulbil isolate by.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Isolation([u8; 16]);

impl Isolation {
    /// One that nothing had before.
    pub fn fresh() -> Self {
        let mut bytes = [0; 16];
        // Without randomness everything shares: worse for privacy, and Tor itself could not have started.
        let _ = getrandom::fill(&mut bytes);
        Self(bytes)
    }

    /// The same for the same parts, within this process. Nobody can tell the parts from it.
    pub fn of(parts: &[&[u8]]) -> Self {
        static SALT: OnceLock<Isolation> = OnceLock::new();
        let mut hash = Sha256::new();
        hash.update(SALT.get_or_init(Self::fresh).0);
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(digest.split_at(16).0);
        Self(bytes)
    }

    /// As the words of a SOCKS5 login: 32 hexadecimal digits.
    pub(super) fn word(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

/// Says nothing: it stands for somebody.
impl fmt::Debug for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Isolation")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_share_and_others_do_not() {
        assert_eq!(Isolation::of(&[b"a", b"b"]), Isolation::of(&[b"a", b"b"]));
        assert_ne!(Isolation::of(&[b"a", b"b"]), Isolation::of(&[b"ab"]));
        assert_ne!(Isolation::of(&[b"a", b"b"]), Isolation::of(&[b"a", b"c"]));
        assert_ne!(Isolation::fresh(), Isolation::fresh());
    }
}
