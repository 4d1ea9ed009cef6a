//! SPAKE2 for [`bulbil_core::friend`].

use bulbil_core::friend::Pake;
use spake2::{Ed25519Group, Identity, Password, Spake2};
use zeroize::Zeroizing;

/// Who is who; also bound into the key. The place is, too: see [`Spake::new`].
const IDENTITIES: [&[u8]; 2] = [b"bulbil friend guest 1", b"bulbil friend host 1"];

/// One side of one exchange.
pub(crate) struct Spake {
    state: Spake2<Ed25519Group>,
    element: [u8; 32],
    /// The byte in front of the other side's element, which does not travel.
    theirs: u8,
}

impl Spake {
    /// Begins as host or guest at `place`. `None` if the library breaks its word about lengths.
    pub(crate) fn new(password: &[u8; 32], place: &[u8], host: bool) -> Option<Self> {
        let [guest_id, host_id] = IDENTITIES.map(|label| Identity::new(&[label, place].concat()));
        let password = Password::new(password);
        let (state, message) = if host {
            Spake2::start_b(&password, &guest_id, &host_id)
        } else {
            Spake2::start_a(&password, &guest_id, &host_id)
        };
        let (_, element) = message.split_first()?;
        let element = element.try_into().ok()?;
        Some(Self { state, element, theirs: if host { b'A' } else { b'B' } })
    }
}

impl Pake for Spake {
    fn element(&self) -> [u8; 32] {
        self.element
    }

    fn finish(self, theirs: &[u8; 32]) -> Option<[u8; 32]> {
        let message = [&[self.theirs][..], theirs].concat();
        let key = Zeroizing::new(self.state.finish(&message).ok()?);
        key.as_slice().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(passwords: [u8; 2], places: [&[u8]; 2]) -> [Option<[u8; 32]>; 2] {
        let guest = Spake::new(&[passwords[0]; 32], places[0], false).unwrap();
        let host = Spake::new(&[passwords[1]; 32], places[1], true).unwrap();
        let elements = [guest.element(), host.element()];
        [guest.finish(&elements[1]), host.finish(&elements[0])]
    }

    #[test]
    fn keys_agree_where_password_and_place_do_and_differ_each_time() {
        let [guest, host] = keys([1, 1], [b"here", b"here"]);
        assert!(guest.is_some() && guest == host);
        assert_ne!(keys([1, 1], [b"here", b"here"])[0], guest);
        for (passwords, places) in [([1, 2], [&b"here"[..], b"here"]), ([1, 1], [b"here", b"there"])] {
            let [guest, host] = keys(passwords, places);
            assert!(guest.is_some() && host.is_some() && guest != host);
        }
        let alone = Spake::new(&[1; 32], b"here", true).unwrap();
        assert_eq!(alone.finish(&[2; 32]), None, "no point of the curve");
    }
}
