//! What nobody should see.

use serde::{Deserialize, Serialize};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Text that nobody should see, such as a link with its token: wiped when dropped, hidden from `Debug`.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(hidden)")
    }
}

/// Bytes that nobody should see: wiped when dropped, hidden from `Debug`, hexadecimal in the file.
#[derive(Clone, Eq, PartialEq, ZeroizeOnDrop)]
pub struct Secret<const N: usize>(pub [u8; N]);

impl<const N: usize> std::fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl<const N: usize> Serialize for Secret<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(data_encoding::HEXLOWER.encode(&self.0)))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes =
            Zeroizing::new(data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| wrong::<D>(N))?);
        bytes.as_slice().try_into().map(Self).map_err(|_| wrong::<D>(N))
    }
}

fn wrong<'de, D: serde::Deserializer<'de>>(bytes: usize) -> D::Error {
    serde::de::Error::custom(format_args!("expected {} hexadecimal digits", bytes * 2))
}
