//! What a state amounts to: what would be lost with it.

use std::collections::BTreeSet;
use std::fmt;

use crate::net::ServiceKey;
use crate::state::{Secret, State};
use crate::status::Losses;

/// The things in a state, by name; no secrets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Inventory {
    /// Public key of the node's own address.
    identity: Option<[u8; 32]>,
    shares: BTreeSet<String>,
    fetches: BTreeSet<String>,
    trusted: BTreeSet<String>,
    mirrors: BTreeSet<String>,
    letters: BTreeSet<String>,
}

impl Inventory {
    /// What is in this state.
    pub fn of(state: &State) -> Self {
        let key = |seed: &Secret<32>| ServiceKey::from_seed(seed.0).address(1).key;
        let (tracker, mail) = (&state.tracker, &state.mail);
        let received = mail.inbox.iter().map(|letter| format!("received {}", letter.number));
        let waiting = mail.outbox.iter().map(|letter| format!("waiting {}", letter.id));
        let trusted = tracker.trust.iter().map(|entry| &entry.address);
        Self {
            identity: state.catalogue.as_ref().map(key),
            shares: state.shares.iter().map(|share| share.info_hash.clone()).collect(),
            fetches: state.fetches.iter().map(|fetch| fetch.id.to_string()).collect(),
            trusted: trusted.chain(&tracker.blocked).cloned().collect(),
            letters: received.chain(waiting).collect(),
            mirrors: tracker.mirrors.iter().map(|entry| entry.address.clone()).collect(),
        }
    }

    /// What is in this one and not in `kept`.
    pub fn without(&self, kept: &Self) -> Losses {
        let missing = |ours: &BTreeSet<String>, theirs: &BTreeSet<String>| {
            u32::try_from(ours.difference(theirs).count()).unwrap_or(u32::MAX)
        };
        Losses {
            identity: self.identity.is_some() && self.identity != kept.identity,
            shares: missing(&self.shares, &kept.shares),
            fetches: missing(&self.fetches, &kept.fetches),
            trusted: missing(&self.trusted, &kept.trusted),
            mirrors: missing(&self.mirrors, &kept.mirrors),
            letters: missing(&self.letters, &kept.letters),
        }
    }

    /// What is in this one.
    pub fn losses(&self) -> Losses {
        self.without(&Self::default())
    }

    /// Whether there is nothing that its owner would miss: the address of a node that nobody knows is no loss.
    pub fn is_empty(&self) -> bool {
        Losses { identity: false, ..self.losses() }.is_empty()
    }
}

impl fmt::Display for Inventory {
    /// `2 shares, 1 fetch`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.losses().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_kept_is_lost_and_a_bare_address_is_not_missed() {
        let state = State { catalogue: Some(Secret([1; 32])), ..State::default() };
        let (nothing, bare) = (Inventory::default(), Inventory::of(&state));
        assert!(bare.is_empty() && bare.losses().identity);
        assert!(bare.without(&bare).is_empty() && nothing.without(&bare).is_empty());
        let other = Inventory::of(&State { catalogue: Some(Secret([2; 32])), ..State::default() });
        assert!(bare.without(&other).identity, "another address");
        let shares =
            |names: [&str; 2]| Inventory { shares: names.map(str::to_owned).into(), ..Inventory::default() };
        assert_eq!(shares(["a", "b"]).without(&shares(["b", "c"])).shares, 1);
    }
}
