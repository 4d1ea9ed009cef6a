//! Why files cannot become a share. The texts name paths: they go to the owner's terminal or page, never to a log.

use std::io;
use std::path::PathBuf;

use bulbil_core::content::metainfo::{InfoError, WriteError};
use bulbil_core::content::name::NameError;
use bulbil_core::limits::{MAX_DEPTH, MAX_FILE_LEN, MAX_FILES, MAX_PIECE_LEN, MAX_PIECES, MIN_PIECE_LEN};

/// Why files cannot become a share.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// No path was given.
    #[error("no path given; name at least one file or folder")]
    NoPath,
    /// Several paths, but no name for all of them.
    #[error("several paths make one share and it needs a name; add --name")]
    NoName,
    /// Two of the paths have the same last component.
    #[error("two of the paths are called {0:?}; rename one, or share the folder around them")]
    Twice(String),
    /// The piece length is none.
    #[error("piece length {0} is not a power of two from {MIN_PIECE_LEN} to {MAX_PIECE_LEN} bytes")]
    PieceLength(u32),
    /// Too many pieces.
    #[error("more than {MAX_PIECES} pieces; use a larger piece length, or share less at once")]
    TooManyPieces,
    /// Too many files.
    #[error("more than {MAX_FILES} files and folders; share fewer at once, or pack them into an archive")]
    TooManyFiles,
    /// Nothing to share.
    #[error("there is no file in what was given; empty folders cannot be shared")]
    NoFiles,
    /// A name that a share must not contain.
    #[error("{path}: its name {error}; rename it", path = .path.display())]
    Name {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with its last component.
        error: NameError,
    },
    /// The name for the share must not be one.
    #[error("the name of the share {0}; choose another with --name")]
    ShareName(NameError),
    /// Too many folders inside each other.
    #[error("{path}: more than {MAX_DEPTH} folders deep", path = .0.display())]
    TooDeep(PathBuf),
    /// Larger than any share may be.
    #[error("{path}: longer than {MAX_FILE_LEN} bytes; split it", path = .0.display())]
    TooLong(PathBuf),
    /// A symbolic link.
    #[error(
        "{path}: a symbolic link; links inside a share are refused because they may lead out of it. Share what it \
         points to instead, or remove it",
        path = .0.display()
    )]
    Symlink(PathBuf),
    /// A device, socket or pipe.
    #[error("{path}: neither a file nor a folder; remove it from what you share", path = .0.display())]
    Special(PathBuf),
    /// The file is not what it was when hashing began.
    #[error("{path}: changed while it was read; wait until nobody writes to it, then try again", path = .0.display())]
    Changed(PathBuf),
    /// The system refused.
    #[error("{path}: {error}; check that it exists and that you may read it", path = .path.display())]
    Io {
        /// Where it lies.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The description of the files was refused.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The description of the files is larger than a share may have.
    #[error(transparent)]
    Info(#[from] InfoError),
}

impl HashError {
    /// What to do with an error of the system about this path.
    pub(super) fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_path_buf(), error }
    }
}
