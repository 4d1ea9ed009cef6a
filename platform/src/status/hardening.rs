//! What the process gave up, as everyone may see it.

use serde::{Deserialize, Serialize};

/// One measure.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Measure {
    /// `user`, `core_dumps`, `privileges`, `memory`, `system_calls` or `files`.
    pub name: String,
    /// Whether it is in force.
    pub state: State,
    /// What that means, and if it is not in force, what to do about it.
    pub why: String,
}

/// How a measure is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In force.
    On,
    /// Not in force, and could be.
    #[default]
    Off,
    /// This system does not have it.
    Absent,
}
