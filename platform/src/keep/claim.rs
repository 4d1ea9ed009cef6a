//! Whether a keep file is this node's to replace. One that another node saved, or this one before it lost its memory, is not:
//! its disk may have come after the node began anew.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{KeepError, Kept, Passphrase, seal};
use crate::state::State;

/// Bytes at the beginning of a sealed file that no two files share: the age format draws a salt for each (C2SP, `age.md`,
/// "The scrypt recipient type").
const MARK: usize = 128;

/// What tells one sealed file from another without opening either.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark([u8; MARK]);

impl Mark {
    /// Of sealed bytes.
    pub(super) fn of(sealed: &[u8]) -> Option<Self> {
        sealed.first_chunk().copied().map(Self)
    }

    /// Of the keep file at this path; nothing where there is none. What is no keep file is an error.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, KeepError> {
        let mut head = [0; MARK];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
        match read {
            Ok(()) if head.starts_with(seal::MAGIC) => Ok(Some(Self(head))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // A folder, or a few bytes.
            Ok(()) => Err(KeepError::Occupied(path.to_owned())),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::IsADirectory) =>
            {
                Err(KeepError::Occupied(path.to_owned()))
            }
            Err(error) => Err(KeepError::Read(path.to_owned(), error)),
        }
    }
}

/// Whether both are states of one node.
pub(super) fn is_same(one: &State, other: &State) -> bool {
    one.catalogue.is_some() && one.catalogue == other.catalogue
}

/// Looks whether the file at `path` may be replaced by the node whose state is `own`: there is none, it is the one that is
/// known to be this node's, or it opens and turns out to be. Gives what was seen there, for [`replace`](super::replace).
///
/// Opening takes some tenths of a second, and memory: not for the node's own thread.
pub(super) fn check(
    path: &Path,
    passphrase: &Passphrase,
    own: &State,
    known: Option<&Mark>,
) -> Result<Option<Mark>, KeepError> {
    let seen = Mark::read(path)?;
    if seen.is_none() || seen.as_ref() == known {
        return Ok(seen);
    }
    let kept = Kept::load(path, passphrase)?;
    if is_same(&kept.state, own) { Ok(seen) } else { Err(KeepError::Another(path.to_owned())) }
}
