//! The `[tracker]` section.

use serde::{Deserialize, Serialize};

/// Largest `trust_budget`.
pub(super) const MAX_TRUSTED: usize = 256;

/// What the node tells others and asks of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tracker {
    /// Whether the node has an address of its own at which others find its public records and leave mail. Without it there
    /// are no records, no trust, no mirrors and no search; shares and fetches by link work all the same.
    pub enabled: bool,
    /// Nodes trusted at most, over all degrees: 1 to 256.
    pub trust_budget: usize,
}

impl Default for Tracker {
    fn default() -> Self {
        Self { enabled: true, trust_budget: 32 }
    }
}

impl Tracker {
    pub(super) fn check(&self) -> Result<(), String> {
        if (1..=MAX_TRUSTED).contains(&self.trust_budget) {
            return Ok(());
        }
        Err(format!(
            "tracker.trust_budget = {} is out of range; 1 to {MAX_TRUSTED} are allowed",
            self.trust_budget
        ))
    }
}
