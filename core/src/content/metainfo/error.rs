//! What can be wrong with metadata. The texts go to the owner and say what to do.

use core::fmt;

use crate::content::bencode::BencodeError;
use crate::content::name::NameError;
use crate::limits::{MAX_DEPTH, MAX_FILE_LEN, MAX_FILES, MAX_INFO, MAX_PIECE_LEN, MAX_PIECES, MIN_PIECE_LEN};

/// Why bytes are no info dictionary of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InfoError {
    /// Not even bencoding.
    Bencode(BencodeError),
    /// Longer than [`MAX_INFO`].
    TooLong,
    /// Some other value than a dictionary.
    NotDict,
    /// A `BitTorrent` v1 dictionary.
    V1Only,
    /// No `meta version`.
    NoVersion,
    /// `meta version` is no number.
    VersionNotNumber,
    /// A `meta version` from the future.
    Version(i64),
    /// No `name`.
    NoName,
    /// `name` is no string.
    NameNotString,
    /// `name` is not safe.
    Name(NameError),
    /// No `piece length`.
    NoPieceLength,
    /// `piece length` is no number.
    PieceLengthNotNumber,
    /// `piece length` is under [`MIN_PIECE_LEN`].
    PieceLengthShort,
    /// `piece length` is over [`MAX_PIECE_LEN`].
    PieceLengthLong,
    /// `piece length` is no power of two.
    PieceLengthPower,
    /// No `file tree`.
    NoFileTree,
    /// `file tree` is no dictionary.
    TreeNotDict,
    /// `file tree` holds no file.
    NoFiles,
    /// More than [`MAX_FILES`].
    TooManyFiles,
    /// More than [`MAX_PIECES`], or sizes that no number holds.
    TooManyPieces,
    /// One file is wrong.
    File {
        /// Number of the file, from zero, in the order of the file tree.
        number: u32,
        /// What is wrong with it.
        error: FileError,
    },
}

/// What is wrong with one file of a file tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileError {
    /// A component of its path is not safe.
    Name(NameError),
    /// More than [`MAX_DEPTH`] folders deep.
    TooDeep,
    /// A folder with nothing in it.
    EmptyFolder,
    /// Something else than a dictionary stands for a file or folder.
    NotDict,
    /// The same path is a file and a folder.
    AlsoFolder,
    /// A symbolic link.
    Symlink,
    /// No `length`.
    NoLength,
    /// `length` is no number.
    LengthNotNumber,
    /// `length` is under zero.
    LengthNegative,
    /// `length` is over [`MAX_FILE_LEN`].
    TooLong,
    /// Not empty, but without `pieces root`.
    NoRoot,
    /// `pieces root` is not 32 bytes.
    RootNotHash,
    /// Empty, but with a `pieces root`.
    RootOfNothing,
}

/// Why bytes are no `.torrent` file of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TorrentError {
    /// Not even bencoding.
    Bencode(BencodeError),
    /// Some other value than a dictionary.
    NotDict,
    /// No `info`.
    NoInfo,
    /// `info` is wrong.
    Info(InfoError),
    /// No `piece layers`, though a file is longer than a piece.
    NoLayers,
    /// `piece layers` is no dictionary.
    LayersNotDict,
    /// A key of `piece layers` is not 32 bytes.
    LayerKey,
    /// A piece layer is no string.
    LayerNotString,
    /// A piece layer has not 32 bytes for each piece of its file.
    LayerLength {
        /// Number of the file.
        number: u32,
    },
    /// A piece layer does not add up to the root of its file.
    LayerRoot {
        /// Number of the file.
        number: u32,
    },
    /// A file longer than a piece has no piece layer.
    LayerMissing,
    /// A piece layer that belongs to no file longer than a piece.
    LayerUnused,
}

impl From<BencodeError> for InfoError {
    fn from(error: BencodeError) -> Self {
        Self::Bencode(error)
    }
}

impl From<BencodeError> for TorrentError {
    fn from(error: BencodeError) -> Self {
        Self::Bencode(error)
    }
}

impl From<InfoError> for TorrentError {
    fn from(error: InfoError) -> Self {
        Self::Info(error)
    }
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bencode(error) => write!(f, "info: {error}"),
            Self::TooLong => {
                write!(
                    f,
                    "info: longer than {MAX_INFO} bytes; share fewer files, or pack them into an archive"
                )
            }
            Self::NotDict => f.write_str("info: must be a dictionary"),
            Self::V1Only => f.write_str(
                "this is a BitTorrent v1 torrent; make a v2 or hybrid one from the same files and use that",
            ),
            Self::NoVersion => f.write_str("info: no `meta version`; it must be 2"),
            Self::VersionNotNumber => f.write_str("info: `meta version` must be a number"),
            Self::Version(version) => {
                write!(
                    f,
                    "info: `meta version` is {version}, and only 2 is known; a newer Bulbil may read it"
                )
            }
            Self::NoName => f.write_str("info: no `name`"),
            Self::NameNotString => f.write_str("info: `name` must be a string"),
            Self::Name(error) => {
                write!(f, "info: the name of the share {error}; rename it and hash it again")
            }
            Self::NoPieceLength => f.write_str("info: no `piece length`"),
            Self::PieceLengthNotNumber => f.write_str("info: `piece length` must be a number"),
            Self::PieceLengthShort => {
                write!(f, "info: `piece length` must be at least {MIN_PIECE_LEN} bytes")
            }
            Self::PieceLengthLong => write!(f, "info: `piece length` must be at most {MAX_PIECE_LEN} bytes"),
            Self::PieceLengthPower => f.write_str("info: `piece length` must be a power of two"),
            Self::NoFileTree => f.write_str("info: no `file tree`"),
            Self::TreeNotDict => f.write_str("info: `file tree` must be a dictionary"),
            Self::NoFiles => f.write_str("info: `file tree` holds no file"),
            Self::TooManyFiles => {
                write!(f, "info: more than {MAX_FILES} files; share fewer, or pack them into an archive")
            }
            Self::TooManyPieces => {
                write!(
                    f,
                    "info: more than {MAX_PIECES} pieces; use a larger piece length, or share less at once"
                )
            }
            Self::File { number, error } => write!(f, "info: file number {number}: {error}"),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => write!(f, "a part of its path {error}; rename it and hash it again"),
            Self::TooDeep => write!(f, "more than {MAX_DEPTH} folders deep"),
            Self::EmptyFolder => f.write_str("a folder without files"),
            Self::NotDict => f.write_str("a file or folder must be a dictionary"),
            Self::AlsoFolder => f.write_str("the same path is a file and a folder"),
            Self::Symlink => f.write_str("a symbolic link; share the file that it points to instead"),
            Self::NoLength => f.write_str("no `length`"),
            Self::LengthNotNumber => f.write_str("`length` must be a number"),
            Self::LengthNegative => f.write_str("`length` is less than zero"),
            Self::TooLong => write!(f, "longer than {MAX_FILE_LEN} bytes"),
            Self::NoRoot => f.write_str("no `pieces root`"),
            Self::RootNotHash => f.write_str("`pieces root` must be 32 bytes"),
            Self::RootOfNothing => f.write_str("an empty file must have no `pieces root`"),
        }
    }
}

impl fmt::Display for TorrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bencode(error) => error.fmt(f),
            Self::Info(error) => error.fmt(f),
            Self::NotDict => f.write_str("a torrent must be a dictionary"),
            Self::NoInfo => f.write_str("no `info`; this is not a torrent"),
            Self::NoLayers => f.write_str("no `piece layers`, though a file is longer than a piece"),
            Self::LayersNotDict => f.write_str("`piece layers` must be a dictionary"),
            Self::LayerKey => f.write_str("`piece layers`: a key must be 32 bytes"),
            Self::LayerNotString => f.write_str("`piece layers`: a layer must be a string"),
            Self::LayerLength { number } => {
                write!(
                    f,
                    "`piece layers`: the layer of file number {number} must have 32 bytes for each of its pieces"
                )
            }
            Self::LayerRoot { number } => {
                write!(
                    f,
                    "`piece layers`: the layer of file number {number} does not match its `pieces root`"
                )
            }
            Self::LayerMissing => f.write_str("`piece layers`: a file longer than a piece has no layer"),
            Self::LayerUnused => {
                f.write_str("`piece layers`: a layer belongs to no file that is longer than a piece")
            }
        }
    }
}

impl core::error::Error for InfoError {}
impl core::error::Error for FileError {}
impl core::error::Error for TorrentError {}
