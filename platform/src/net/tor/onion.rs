//! Onion addresses and the keys behind them (rend-spec-v3, section 6).

use data_encoding::BASE32_NOPAD;
use sha2::Digest;
use tor_hscrypto::pk::{HsClientDescEncKey, HsClientDescEncSecretKey, HsId, HsIdKeypair};
use tor_llcrypto::d::Sha3_256;
use tor_llcrypto::pk::{curve25519, ed25519};

use crate::net::{AccessKey, Address, BadAddress, ClientKey, IdentityKey, ServiceKey};

/// The only version there is.
const VERSION: u8 = 3;

/// Characters before `.onion`: 32 bytes of key, 2 of checksum, 1 of version in base 32.
const LETTERS: usize = 56;

/// The ending of every onion address.
const SUFFIX: &str = ".onion";

/// `<56 characters>.onion`.
pub(in crate::net) fn encode(key: &[u8; 32]) -> String {
    let mut bytes = key.to_vec();
    bytes.extend(checksum(key));
    bytes.push(VERSION);
    BASE32_NOPAD.encode(&bytes).to_ascii_lowercase() + SUFFIX
}

/// The key in `<56 characters>.onion`, once version and checksum match.
pub(in crate::net) fn decode(host: &str) -> Result<[u8; 32], BadAddress> {
    let host = host.to_ascii_uppercase();
    let letters = host.strip_suffix(".ONION").filter(|letters| letters.len() == LETTERS);
    let bytes =
        BASE32_NOPAD.decode(letters.ok_or(BadAddress::Form)?.as_bytes()).map_err(|_| BadAddress::Form)?;
    let (key, rest) = bytes.split_first_chunk::<32>().ok_or(BadAddress::Form)?;
    let (sum, version) = rest.split_first_chunk::<2>().ok_or(BadAddress::Form)?;
    if version != [VERSION] {
        return Err(BadAddress::Version);
    }
    if *sum != checksum(key) {
        return Err(BadAddress::Checksum);
    }
    Ok(*key)
}

/// First two bytes of SHA3-256 over a fixed text, the key and the version.
fn checksum(key: &[u8; 32]) -> [u8; 2] {
    let sum =
        Sha3_256::new().chain_update(b".onion checksum").chain_update(key).chain_update([VERSION]).finalize();
    let [first, second, ..] = <[u8; 32]>::from(sum);
    [first, second]
}

/// The ed25519 public key of a seed.
pub(in crate::net) fn public_key(key: &ServiceKey) -> [u8; 32] {
    ed25519::Keypair::from_bytes(key.seed()).verifying_key().to_bytes()
}

/// The identity key pair as Arti wants it.
pub(super) fn identity(key: &ServiceKey) -> HsIdKeypair {
    HsIdKeypair::from(ed25519::ExpandedKeypair::from(&ed25519::Keypair::from_bytes(key.seed())))
}

/// The ed25519 public key of an expanded secret key.
pub(in crate::net) fn expanded_public(key: &IdentityKey) -> [u8; 32] {
    expanded(key).map(|pair| pair.public().to_bytes()).unwrap_or_default()
}

/// The identity key pair of an expanded secret key.
pub(super) fn expanded_identity(key: &IdentityKey) -> Option<HsIdKeypair> {
    expanded(key).map(HsIdKeypair::from)
}

fn expanded(key: &IdentityKey) -> Option<ed25519::ExpandedKeypair> {
    ed25519::ExpandedKeypair::from_secret_key_bytes(*key.bytes())
}

/// The address as Arti names it.
pub(super) fn hsid(address: Address) -> HsId {
    HsId::from(address.key)
}

/// The secret half of client authorization.
pub(super) fn access_secret(access: &AccessKey) -> HsClientDescEncSecretKey {
    HsClientDescEncSecretKey::from(curve25519::StaticSecret::from(*access.secret()))
}

/// A client's public key as Arti names it.
pub(super) fn client(key: ClientKey) -> HsClientDescEncKey {
    HsClientDescEncKey::from(curve25519::PublicKey::from(key.0))
}

/// The public half of client authorization, by itself.
pub(in crate::net) fn client_public(access: &AccessKey) -> ClientKey {
    ClientKey(curve25519::PublicKey::from(&curve25519::StaticSecret::from(*access.secret())).to_bytes())
}

/// The public half of client authorization.
pub(super) fn access_public(access: &AccessKey) -> HsClientDescEncKey {
    HsClientDescEncKey::from(&access_secret(access))
}
