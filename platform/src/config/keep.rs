//! The keep file of a node that keeps itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::keep::{Mark, Passphrase};

/// What survives a reboot. Without `file`, nothing does but what `bulbil keep save` saved.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// The keep file: restored at start where the state directory is empty, and saved whenever something changes.
    pub file: Option<PathBuf>,
    /// A file with its passphrase; without, the node asks for it at start.
    pub passphrase_file: Option<PathBuf>,
    /// The passphrase, as given at start. Never in the configuration.
    #[serde(skip)]
    pub passphrase: Option<Passphrase>,
    /// What tells the file that was taken up at start from any other that comes there later.
    #[serde(skip)]
    pub mark: Option<Mark>,
}
