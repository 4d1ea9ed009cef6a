//! `[selfcheck]`: what `bulbil selfcheck` looks for.

use serde::{Deserialize, Serialize};

use super::Seconds;

/// Targets of the check of oneself. An empty one is left out.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selfcheck {
    /// A name that an exit must be able to look up.
    pub resolve: String,
    /// A URL that must answer below 500 through an exit.
    pub fetch: String,
    /// Whether an onion service of our own must be reached.
    pub onion: bool,
    /// Longest time for all of it.
    pub timeout: Seconds,
}

impl Default for Selfcheck {
    fn default() -> Self {
        Self {
            resolve: "www.torproject.org".into(),
            fetch: crate::http::CHECK_URL.into(),
            onion: true,
            timeout: Seconds(180),
        }
    }
}
