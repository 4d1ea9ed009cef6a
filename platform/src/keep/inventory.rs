//! What a state amounts to: what would be lost with it.

use std::collections::BTreeSet;
use std::fmt;

use crate::state::State;
use crate::status::Losses;

/// The things in a state, by name; no secrets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Inventory {
    shares: BTreeSet<String>,
    fetches: BTreeSet<String>,
}

impl Inventory {
    /// What is in this state.
    pub fn of(state: &State) -> Self {
        Self {
            shares: state.shares.iter().map(|share| share.info_hash.clone()).collect(),
            fetches: state.fetches.iter().map(|fetch| fetch.id.to_string()).collect(),
        }
    }

    /// What is in this one and not in `kept`.
    pub fn without(&self, kept: &Self) -> Losses {
        let missing = |ours: &BTreeSet<String>, theirs: &BTreeSet<String>| {
            u32::try_from(ours.difference(theirs).count()).unwrap_or(u32::MAX)
        };
        Losses {
            shares: missing(&self.shares, &kept.shares),
            fetches: missing(&self.fetches, &kept.fetches),
            ..Losses::default()
        }
    }

    /// What is in this one.
    pub fn losses(&self) -> Losses {
        self.without(&Self::default())
    }

    /// Whether there is nothing that its owner would miss.
    pub fn is_empty(&self) -> bool {
        self.losses().is_empty()
    }
}

impl fmt::Display for Inventory {
    /// `2 shares, 1 fetch`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.losses().fmt(f)
    }
}
