//! Whether memory is short, and what was given up for it.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Shortage {
    /// More than nine tenths of the `memory` setting are in use: no new callers, and one circuit to each peer.
    pub now: bool,
    /// Circuits closed for it since the node started.
    pub lanes: u64,
    /// Callers sent away for it since the node started.
    pub callers: u64,
}
