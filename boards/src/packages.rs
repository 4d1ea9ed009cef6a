//! What images take from Debian: the wishes in `packages.toml`, and what they came to in `packages.lock`.

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// One entry of `packages.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// What boards call it.
    #[serde(rename = "use")]
    pub(crate) purpose: String,
    /// Debian's name.
    pub(crate) name: String,
    /// Suites to look in; the first that has it decides.
    pub(crate) suites: Vec<String>,
    /// Dependencies that start with one of these are what is wanted; without any, the package itself is.
    #[serde(default)]
    pub(crate) follow: Vec<String>,
}

/// All of `packages.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wishes {
    pub(crate) package: Vec<Wish>,
}

/// One package, pinned.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    /// What boards call it, or the set it belongs to.
    #[serde(rename = "use")]
    pub(crate) purpose: String,
    /// Debian's name.
    pub(crate) name: String,
    /// Debian's version.
    pub(crate) version: String,
    /// Which of Debian's archives has it.
    pub(crate) archive: Archive,
    /// Path below the archive's address.
    pub(crate) path: String,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub(crate) sha256: String,
}

/// Debian's archives.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Archive {
    /// Releases, updates and backports.
    Debian,
    /// Security updates.
    DebianSecurity,
}

/// All of `packages.lock`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    /// When it was made, in seconds since 1970: the date of every file in an image, and the least time a board's clock shows.
    pub(crate) epoch: u64,
    /// In the order of `packages.toml`.
    pub(crate) package: Vec<Package>,
}

impl Wishes {
    /// Reads `boards/packages.toml`.
    pub(crate) fn load(boards: &Path) -> io::Result<Self> {
        read(&boards.join("packages.toml"))
    }
}

impl Lock {
    /// Reads `boards/packages.lock`.
    pub(crate) fn load(boards: &Path) -> io::Result<Self> {
        read(&boards.join("packages.lock"))
    }

    /// The packages behind one name of a board's `packages`.
    pub(crate) fn for_use(&self, purpose: &str) -> io::Result<Vec<&Package>> {
        let found: Vec<&Package> = self.package.iter().filter(|package| package.purpose == purpose).collect();
        if found.is_empty() {
            return Err(io::Error::other(format!(
                "packages.lock has nothing for `{purpose}`: name it in packages.toml and run `cargo image relock`"
            )));
        }
        Ok(found)
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> io::Result<T> {
    let named = |why: &dyn std::fmt::Display| io::Error::other(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| named(&error))?;
    toml::from_str(&text).map_err(|error| named(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{self, Board};

    #[test]
    fn everything_that_a_board_uses_is_wished_for_and_locked() {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (wishes, lock) = (Wishes::load(boards).unwrap(), Lock::load(boards).unwrap());
        for name in board::names(boards).unwrap() {
            for purpose in Board::load(boards, &name).unwrap().packages {
                assert!(wishes.package.iter().any(|wish| wish.purpose == purpose), "{name}: {purpose}");
                for package in lock.for_use(&purpose).unwrap() {
                    assert!(package.sha256.len() == 64 && package.size > 0, "{package:?}");
                    assert!(!package.path.contains("://"), "an address of a mirror: {package:?}");
                }
            }
        }
        assert!(lock.for_use("nothing").unwrap_err().to_string().contains("relock"));
    }
}
