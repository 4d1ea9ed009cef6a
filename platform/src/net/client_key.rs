//! The public half of a client's key, written as C tor writes it (rend-spec-v3, appendix G).

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

/// What stands before the key.
const KIND: &str = "descriptor:x25519:";

/// The x25519 public key of somebody who may find a service. No secret; `Debug` hides it all the same, since it tells
/// one client from another.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientKey(pub [u8; 32]);

/// The text is no client key. Does not repeat it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a client key looks like descriptor:x25519: and 52 letters and digits; copy the client's public key again"
)]
pub struct BadClientKey;

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KIND}{}", BASE32_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(hidden)")
    }
}

impl FromStr for ClientKey {
    type Err = BadClientKey;

    /// Takes either case, as C tor does, and white space around it. A key that agrees with nobody is refused.
    fn from_str(text: &str) -> Result<Self, BadClientKey> {
        let text = text.trim().strip_prefix(KIND).ok_or(BadClientKey)?.to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).map_err(|_| BadClientKey)?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| BadClientKey)?;
        if key == [0; 32] { Err(BadClientKey) } else { Ok(Self(key)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_survives_the_round_trip() {
        let key = ClientKey([7; 32]);
        let text = key.to_string();
        assert!(text.starts_with("descriptor:x25519:A4DQOBYHA"), "{text}");
        assert_eq!(text.parse(), Ok(key));
        assert_eq!(format!(" {}\n", text.replace("A4DQ", "a4dq")).parse(), Ok(key));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "descriptor:x25519:", "x25519:AAAA", "descriptor:x25519:AAAA", "descriptor:ed25519:AAAA"]
        {
            assert_eq!(text.parse::<ClientKey>(), Err(BadClientKey), "{text:?}");
        }
        assert!(ClientKey([0; 32]).to_string().parse::<ClientKey>().is_err());
    }
}
