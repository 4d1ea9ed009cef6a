//! `[metrics]`: how coarse the figures for Prometheus are.

use serde::{Deserialize, Serialize};

use super::{Password, Seconds};

/// Characters of a token at least: guesses are not counted.
const MIN_TOKEN: usize = 20;

/// The figures are for trends. Fine ones would tell what a person did when.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// How long the same figures are told.
    pub every: Seconds,
    /// Counts are told as multiples of this, rounded down.
    pub round: u64,
    /// What a program sends to read them at the page's `/metrics`, as `Authorization: Bearer <token>`.
    pub token: Option<Password>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { every: Seconds(60), round: 10, token: None }
    }
}

impl Metrics {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.round == 0 {
            return Err("metrics.round = 0 is no step; 1 tells every single request".into());
        }
        let plain =
            |token: &Password| token.0.len() >= MIN_TOKEN && token.0.bytes().all(|b| b.is_ascii_graphic());
        if !self.token.as_ref().is_none_or(plain) {
            return Err(format!(
                "metrics.token is too easy to guess; {MIN_TOKEN} random letters and digits are the least"
            ));
        }
        Ok(())
    }
}
