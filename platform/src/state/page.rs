//! What the page keeps over a restart: its password, who may look, where files may go, its own onion.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// Folders that may be allowed at most.
pub const MAX_FOLDERS: usize = 32;

/// See the module. Nothing of it before the first run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageEntry {
    /// Hash of the password, with its cost and salt.
    pub password: Option<String>,
    /// Who may see what.
    pub audience: Audience,
    /// Folders from which things may be shared and into which things may be fetched, absolute.
    pub folders: Vec<PathBuf>,
    /// Bridges by which Tor is entered, instead of those of the configuration.
    pub bridges: Option<Vec<String>>,
    /// Signs what browsers are recognised by; changes with the password.
    pub seal: Option<Secret<32>>,
    /// Whether the page is reached through an onion service of its own.
    pub onion: bool,
    /// Seed of that service, once there was one.
    pub onion_seed: Option<Secret<32>>,
    /// What its client key is derived from.
    pub onion_access: Option<Secret<32>>,
}

impl PageEntry {
    /// The same before its first run: keeps the folders and the onion's keys; without a password the onion is off.
    pub(crate) fn forgotten(self) -> Self {
        Self { password: None, seal: None, audience: Audience::Machine, ..self }
    }
}

/// Who may see what. Whoever has the password may everything, from where the page can be reached.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Only this machine reaches the page.
    #[default]
    Machine,
    /// The local network sees figures without names; for everything else it needs the password.
    Figures,
    /// The local network needs the password for everything.
    Password,
}
