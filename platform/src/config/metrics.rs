//! `[metrics]`: how coarse the figures for Prometheus are.

use serde::{Deserialize, Serialize};

use super::Seconds;

/// The figures are for trends. Fine ones would tell what a person did when.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// How long the same figures are told.
    pub every: Seconds,
    /// Counts are told as multiples of this, rounded down.
    pub round: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { every: Seconds(60), round: 10 }
    }
}

impl Metrics {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.round == 0 {
            return Err("metrics.round = 0 is no step; 1 tells every single request".into());
        }
        Ok(())
    }
}
