//! What became of the `[[share]]` blocks of the configuration.

use serde::{Deserialize, Serialize};

/// One block.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Standing {
    /// The file or folder, as the configuration names it.
    pub path: String,
    /// How far it is.
    pub state: StandingState,
}

/// How far a block is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "is", content = "what", rename_all = "snake_case")]
pub enum StandingState {
    /// There is nothing at its path yet; it is looked for again and again.
    #[default]
    Awaited,
    /// Its files are read.
    Hashing,
    /// It is among the shares, under this info-hash.
    Shared(String),
    /// It cannot be shared: why, and what to do. It is tried again when the node starts.
    Failed(String),
}
