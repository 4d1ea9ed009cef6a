//! From a password to the key that both ends have (IEEE 802.11-2020, annex J.4.1).

use hmac::Hmac;
use sha1::Sha1;

use super::{Password, Ssid};

/// Rounds: some 10 ms on a Pi 3.
const ROUNDS: u32 = 4096;

/// The key of a network.
pub(super) fn derive(ssid: &Ssid, password: &Password) -> [u8; 32] {
    match password {
        Password::Key(key) => *key,
        Password::Words(words) => {
            let mut key = [0; 32];
            // Fails for keys that HMAC does not take, and it takes all.
            let _ = pbkdf2::pbkdf2::<Hmac<Sha1>>(words.as_bytes(), ssid.0.as_bytes(), ROUNDS, &mut key);
            key
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_standard() {
        for (words, ssid, key) in [
            ("password", "IEEE", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
            (
                "ThisIsAPassword",
                "ThisIsASSID",
                "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
            ),
            (
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ",
                "becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62",
            ),
        ] {
            let (ssid, words) = (Ssid(ssid.to_owned()), Password::Words(words.to_owned()));
            assert_eq!(data_encoding::HEXLOWER.encode(&derive(&ssid, &words)), key);
        }
        assert_eq!(derive(&Ssid("any".to_owned()), &Password::Key([7; 32])), [7; 32]);
    }
}
