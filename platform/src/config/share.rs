//! `[[share]]`: what is shared from the start.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Bytes;

/// Blocks at most.
const MAX_BLOCKS: usize = 64;

/// One share, made at start and served where it lies.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Share {
    /// A file or folder. One that is not there yet is waited for: disks come late.
    pub path: PathBuf,
    /// Name of the share; by default the last component of the path.
    pub name: Option<String>,
    /// Offer it in the public catalogue instead of under an onion of its own.
    pub public: bool,
    /// Let any browser read the files at the link.
    pub browser: bool,
    /// Bytes of a piece, a power of two from 16 KiB; by default chosen from the size.
    pub piece_length: Option<Bytes>,
}

impl Share {
    /// Bytes of a piece, where the owner chose them.
    pub fn piece_bytes(&self) -> Option<u32> {
        self.piece_length.and_then(|bytes| u32::try_from(bytes.0).ok())
    }

    fn check(&self) -> Result<(), String> {
        if self.path.as_os_str().is_empty() {
            return Err("share.path must name a file or folder: path = \"/disks/sda1/films\"".to_owned());
        }
        let fits =
            |bytes: Bytes| u32::try_from(bytes.0).is_ok() && bulbil_core::content::is_piece_len(bytes.0);
        match self.piece_length.filter(|bytes| !fits(*bytes)) {
            Some(bytes) => {
                Err(format!("share.piece_length = \"{bytes}\" is none; a power of two from 16 KiB is one"))
            }
            None => Ok(()),
        }
    }
}

/// Whether every block is right by itself and beside the others.
pub(super) fn check(all: &[Share]) -> Result<(), String> {
    if all.len() > MAX_BLOCKS {
        return Err(format!("there are {} [[share]] blocks; {MAX_BLOCKS} is the limit", all.len()));
    }
    for (at, one) in all.iter().enumerate() {
        one.check()?;
        if all.iter().take(at).any(|other| other.path == one.path) {
            return Err("two [[share]] blocks have the same path; remove one".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_block_needs_a_path_and_good_pieces() {
        let good =
            "[[share]]\npath = \"/a\"\npiece_length = \"1 MiB\"\n[[share]]\npath = \"b\"\npublic = true\n";
        let config = Config::parse(good).unwrap();
        assert_eq!((config.share.len(), config.share[0].piece_bytes()), (2, Some(1 << 20)));
        for (text, word) in [
            ("[[share]]\nname = \"x\"", "share.path"),
            ("[[share]]\npath = \"/a\"\npiece_length = 1000", "power of two"),
            ("[[share]]\npath = \"/a\"\npiece_length = \"1 TiB\"", "power of two"),
            ("[[share]]\npath = \"/a\"\n[[share]]\npath = \"/a\"", "same path"),
            ("[[share]]\npath = \"/a\"\nshared = 1", "shared"),
        ] {
            let why = Config::parse(text).unwrap_err().to_string();
            assert!(why.contains(word), "{text:?} gave {why:?}");
        }
    }
}
