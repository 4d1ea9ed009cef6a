//! The identity of an onion service in the form that C tor writes to disk, so that a service can move in and out.

use std::fmt;

use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::tor::onion;
use super::{Address, NetError, ServiceKey};

/// An expanded ed25519 secret key: 32 bytes of scalar, then 32 bytes of nonce prefix (RFC 8032, section 5.1.5, after
/// step 2). Unlike a seed it can come from C tor, which keeps nothing else. Wiped when dropped, never printed.
#[derive(Clone, Eq, PartialEq, ZeroizeOnDrop)]
pub struct IdentityKey([u8; 64]);

impl IdentityKey {
    /// A new one from the system's randomness.
    pub fn random() -> Result<Self, NetError> {
        let key = ServiceKey::random()?;
        let mut hash: [u8; 64] = Sha512::digest(key.seed()).into();
        if let [first, .., last] = hash.split_at_mut(32).0 {
            *first &= 0b1111_1000;
            *last = (*last & 0b0111_1111) | 0b0100_0000;
        }
        let this = Self(hash);
        hash.zeroize();
        Ok(this)
    }

    /// The one with these bytes; `None` for those that no key has (a scalar that is not clamped).
    pub fn from_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let (scalar, _) = bytes.split_at(32);
        let (first, last) = (scalar.first()?, scalar.last()?);
        // Reduced scalars, as Arti exports them, are below 2^253; clamped ones have bit 254.
        let clamped = first.trailing_zeros() >= 3 && last & 0b1100_0000 == 0b0100_0000;
        let reduced = *last < 0b0010_0000 && scalar.iter().any(|byte| *byte != 0);
        (clamped || reduced).then_some(Self(*bytes))
    }

    /// The bytes, for a key file.
    pub fn bytes(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0)
    }

    /// Where a service with this key is reached.
    pub fn address(&self, port: u16) -> Address {
        Address { key: onion::expanded_public(self), port }
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_its_expansion_are_one_address() {
        let seed = ServiceKey::from_seed([9; 32]);
        let mut hash: [u8; 64] = Sha512::digest(seed.seed()).into();
        hash[0] &= 0b1111_1000;
        hash[31] = (hash[31] & 0b0111_1111) | 0b0100_0000;
        let expanded = IdentityKey::from_bytes(&hash).unwrap();
        assert_eq!(expanded.address(80), seed.address(80));
        assert_eq!(*expanded.bytes(), hash);
        assert_eq!(format!("{expanded:?}"), "IdentityKey(hidden)");
    }

    #[test]
    fn new_ones_are_keys_and_differ() {
        let (one, two) = (IdentityKey::random().unwrap(), IdentityKey::random().unwrap());
        assert_ne!(one, two);
        assert_eq!(IdentityKey::from_bytes(&one.bytes()), Some(one));
    }

    #[test]
    fn what_is_no_scalar_is_refused() {
        assert_eq!(IdentityKey::from_bytes(&[0; 64]), None);
        assert_eq!(IdentityKey::from_bytes(&[0xff; 64]), None);
    }
}
