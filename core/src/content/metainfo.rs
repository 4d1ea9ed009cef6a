//! The metadata of a share (BEP 52): the info dictionary that names it, and the `.torrent` file around it.

mod error;
mod files;
mod torrent;
mod writer;

use sha2::{Digest, Sha256};

pub use error::{FileError, InfoError, TorrentError};
pub use files::{File, FilePath, Files};
pub use torrent::{Layers, Torrent};
pub use writer::{NewFile, WriteError, write_info, write_torrent};

use super::bencode::{Reader, Token};
use super::layout::{Span, is_piece_len, pieces_of};
use super::name;
use crate::id::InfoHash;
use crate::limits::{MAX_FILES, MAX_INFO, MAX_PIECES};

/// The only `meta version` there is besides 1.
const META_VERSION: i64 = 2;

/// A checked info dictionary. It borrows the bytes it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Info<'a> {
    bytes: &'a [u8],
    name: &'a str,
    piece_len: u32,
    tree: &'a [u8],
    files: u32,
    pieces: u32,
    total: u64,
}

/// What the dictionary says before it is believed.
#[derive(Default)]
struct Raw<'a> {
    name: Option<&'a [u8]>,
    piece_len: Option<&'a [u8]>,
    meta: Option<&'a [u8]>,
    tree: Option<&'a [u8]>,
    v1: bool,
}

impl<'a> Info<'a> {
    /// Reads an info dictionary and checks all of it, so that nothing that is asked of it later can fail.
    ///
    /// Keys that are not known are allowed and kept in the info-hash. A hybrid of v1 and v2 is read as v2.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, InfoError> {
        if u32::try_from(bytes.len()).map_or(true, |len| len > MAX_INFO) {
            return Err(InfoError::TooLong);
        }
        let raw = Raw::read(bytes)?;
        raw.check_version()?;
        let name = raw.name.ok_or(InfoError::NoName)?;
        let name = as_bytes(name).ok_or(InfoError::NameNotString)?;
        let name = name::check(name).map_err(InfoError::Name)?;
        let piece_len = raw.piece_len.ok_or(InfoError::NoPieceLength)?;
        let piece_len = as_int(piece_len).ok_or(InfoError::PieceLengthNotNumber)?;
        let piece_len = check_piece_len(piece_len)?;
        let tree = raw.tree.ok_or(InfoError::NoFileTree)?;
        let mut info = Self { bytes, name, piece_len, tree, files: 0, pieces: 0, total: 0 };
        info.count()?;
        Ok(info)
    }

    /// Walks the file tree once, checking every file and adding up.
    fn count(&mut self) -> Result<(), InfoError> {
        let mut files = Files::new(self.tree);
        while let Some(file) = files.next_file()? {
            self.files = self.files.saturating_add(1);
            if usize::try_from(self.files).map_or(true, |files| files > MAX_FILES) {
                return Err(InfoError::TooManyFiles);
            }
            self.total = self.total.checked_add(file.length).ok_or(InfoError::TooManyPieces)?;
            self.pieces = pieces_of(file.length, self.piece_len)
                .and_then(|more| self.pieces.checked_add(more))
                .filter(|pieces| *pieces <= MAX_PIECES)
                .ok_or(InfoError::TooManyPieces)?;
        }
        if self.files == 0 { Err(InfoError::NoFiles) } else { Ok(()) }
    }

    /// The bytes of the dictionary.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The name of the share: SHA-256 of [`bytes`](Self::bytes).
    pub fn info_hash(&self) -> InfoHash {
        InfoHash(Sha256::digest(self.bytes).into())
    }

    /// What its author calls it: the name of the file, or of the folder around the files.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// Bytes of a piece.
    pub const fn piece_len(&self) -> u32 {
        self.piece_len
    }

    /// Files, empty ones too.
    pub const fn file_count(&self) -> u32 {
        self.files
    }

    /// Pieces of all files.
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Bytes of all files.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Whether the share is one file that belongs directly into the reader's folder, not a folder of files:
    /// BEP 52 tells this by the only file having the share's name.
    pub fn is_single_file(&self) -> bool {
        let first = self.files().next();
        self.files == 1 && first.is_some_and(|file| file.path.components().eq([self.name]))
    }

    /// The files, in the order in which pieces are counted.
    pub const fn files(&self) -> Files<'a> {
        Files::new(self.tree)
    }

    /// The files that are not empty, as a [`Layout`](super::Layout) takes them.
    pub fn spans(&self) -> impl Iterator<Item = Span> + use<'a> {
        let piece_len = self.piece_len;
        self.files()
            .enumerate()
            .scan(0_u32, move |pieces, (number, file)| {
                let first_piece = *pieces;
                *pieces = pieces.saturating_add(pieces_of(file.length, piece_len).unwrap_or(0));
                let number = u32::try_from(number).ok()?;
                Some(file.root.map(|root| Span { file: number, first_piece, length: file.length, root }))
            })
            .flatten()
    }
}

impl<'a> Raw<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, InfoError> {
        let mut reader = Reader::new(bytes);
        if reader.next_token()? != Some(Token::Dict) {
            return Err(InfoError::NotDict);
        }
        let mut raw = Self::default();
        while let Some(Token::Key(key)) = reader.next_token()? {
            let value = reader.value()?;
            match key {
                b"name" => raw.name = value,
                b"piece length" => raw.piece_len = value,
                b"meta version" => raw.meta = value,
                b"file tree" => raw.tree = value,
                b"pieces" | b"files" | b"length" => raw.v1 = true,
                _ => {}
            }
        }
        // The dictionary has ended; this is where bytes that follow it show.
        reader.next_token()?;
        Ok(raw)
    }

    fn check_version(&self) -> Result<(), InfoError> {
        match self.meta.map(as_int) {
            Some(Some(META_VERSION)) => Ok(()),
            Some(Some(1)) => Err(InfoError::V1Only),
            Some(Some(other)) => Err(InfoError::Version(other)),
            Some(None) => Err(InfoError::VersionNotNumber),
            None if self.v1 && self.tree.is_none() => Err(InfoError::V1Only),
            None => Err(InfoError::NoVersion),
        }
    }
}

fn check_piece_len(bytes: i64) -> Result<u32, InfoError> {
    let bytes = u64::try_from(bytes).map_err(|_| InfoError::PieceLengthShort)?;
    match u32::try_from(bytes) {
        Ok(fits) if is_piece_len(bytes) => Ok(fits),
        _ if bytes < u64::from(crate::limits::MIN_PIECE_LEN) => Err(InfoError::PieceLengthShort),
        _ if !bytes.is_power_of_two() => Err(InfoError::PieceLengthPower),
        _ => Err(InfoError::PieceLengthLong),
    }
}

/// The value as a number, if it is one.
fn as_int(value: &[u8]) -> Option<i64> {
    match Reader::new(value).next_token() {
        Ok(Some(Token::Int(int))) => Some(int),
        _ => None,
    }
}

/// The value as a string, if it is one.
fn as_bytes(value: &[u8]) -> Option<&[u8]> {
    match Reader::new(value).next_token() {
        Ok(Some(Token::Bytes(bytes))) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
