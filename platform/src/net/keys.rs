//! The secrets of services: who we are, and who may find us. Wiped when dropped, never printed.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::tor::onion;
use super::{Address, ClientKey, NetError};

/// Separates this use of a token from every other one.
const ACCESS_DOMAIN: &[u8] = b"bulbil client authorization 1";

/// The ed25519 seed of a service (RFC 8032, section 5.1.5): whoever has it, is the service.
#[derive(Clone, ZeroizeOnDrop)]
pub struct ServiceKey([u8; 32]);

impl ServiceKey {
    /// A new one from the system's randomness.
    pub fn random() -> Result<Self, NetError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|_| NetError::Local("the system gives no randomness; check that /dev/urandom exists"))?;
        Ok(Self(seed))
    }

    /// The one with this seed.
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The seed, for the keep file.
    pub const fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// Where a service with this key is reached.
    pub fn address(&self, port: u16) -> Address {
        Address { key: onion::public_key(self), port }
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKey(hidden)")
    }
}

/// The x25519 secret of Tor's client authorization (rend-spec-v3, appendix G): who lacks it cannot even find out
/// where the service is. Every holder of a link derives the same one; the service needs the public half only.
#[derive(Clone, ZeroizeOnDrop)]
pub struct AccessKey([u8; 32]);

impl AccessKey {
    /// HMAC-SHA256 of [a fixed text](ACCESS_DOMAIN) under the token as key.
    pub fn derive(token: &[u8]) -> Self {
        // An HMAC key may have any length; the fallback only satisfies the type.
        let secret = Hmac::<Sha256>::new_from_slice(token)
            .map(|mac| mac.chain_update(ACCESS_DOMAIN).finalize().into_bytes().into())
            .unwrap_or_default();
        Self(secret)
    }

    /// A new one from the system's randomness, for one client.
    pub fn random() -> Result<Self, NetError> {
        ServiceKey::random().map(|key| Self(*key.seed()))
    }

    /// The public half.
    pub fn public(&self) -> ClientKey {
        onion::client_public(self)
    }

    /// The secret as clients are told it: 52 characters of base 32 (rend-spec-v3, appendix G).
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::BASE32_NOPAD.encode(&self.0))
    }

    /// The secret scalar, not yet clamped.
    pub(super) const fn secret(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for AccessKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AccessKey {}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_that_of_rfc_8032_test_1() {
        let hex = data_encoding::HEXLOWER;
        let seed = hex.decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let public = hex.decode(b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        let key = ServiceKey::from_seed(seed.try_into().unwrap());
        assert_eq!(key.address(80).key.as_slice(), public);
    }

    #[test]
    fn derivation_keeps_its_value() {
        // HMAC-SHA256 with key "token", reckoned with Python's hmac module.
        let hex = data_encoding::HEXLOWER;
        assert_eq!(hex.encode(AccessKey::derive(b"token").secret()), GOLDEN);
        assert_ne!(AccessKey::derive(b"token"), AccessKey::derive(b"tokem"));
        assert_ne!(AccessKey::derive(b""), AccessKey::derive(b"token"));
    }

    const GOLDEN: &str = "4fd4ceeb9c6647f439fb1e6d24fe32f81a418575563436e0c9b0010804dc13a6";

    #[test]
    fn debug_hides_the_bytes() {
        assert_eq!(format!("{:?}", ServiceKey::from_seed([1; 32])), "ServiceKey(hidden)");
        assert_eq!(format!("{:?}", AccessKey::derive(b"x")), "AccessKey(hidden)");
    }

    #[test]
    fn random_keys_differ() {
        assert_ne!(ServiceKey::random().unwrap().seed(), ServiceKey::random().unwrap().seed());
    }
}
