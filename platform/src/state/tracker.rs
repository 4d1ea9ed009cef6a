//! What is remembered of trust and mirrors.

use serde::{Deserialize, Serialize};

/// See the module. Addresses are as the owner gave them, with the port.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tracker {
    /// Longest chain of trust that is followed.
    pub degree: u8,
    /// Whom the owner trusts.
    pub trust: Vec<TrustEntry>,
    /// Addresses of nodes that are blocked.
    pub blocked: Vec<String>,
    /// Nodes that are mirrored.
    pub mirrors: Vec<MirrorEntry>,
}

/// A trusted node.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustEntry {
    /// Its onion address.
    pub address: String,
    /// What the owner calls it.
    pub name: Option<String>,
    /// Whether others are told.
    pub told: bool,
}

/// A mirrored node.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorEntry {
    /// Its onion address.
    pub address: String,
    /// Whether the copy is kept up to date.
    pub follow: bool,
}

impl Default for Tracker {
    fn default() -> Self {
        Self { degree: 1, trust: Vec::new(), blocked: Vec::new(), mirrors: Vec::new() }
    }
}
