//! `[harden]`: what the process gives up before it does anything.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the process gives up. All of it is on by default, as far as the system lets it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Harden {
    /// Refuse to start if anything of it is missing. `SECMEM_STRICT=1` does the same.
    pub strict: bool,
    /// Folders that may be shared from and fetched into. With any, or when strict, no other can be opened.
    pub folders: Vec<PathBuf>,
}
