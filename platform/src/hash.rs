//! Files on disk to a share's metadata: walk, hash, describe. Needs no node.
//!
//! Hashing reads each file once, in order, through one small buffer; what it keeps is one hash a piece.

mod error;
mod file;
mod walk;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bulbil_core::content::metainfo::{Info, NewFile, write_info, write_torrent};
use bulbil_core::content::{Hash, is_piece_len, pieces_of};
use bulbil_core::id::InfoHash;
use bulbil_core::limits::MAX_PIECES;
use serde::Serialize;

pub use error::HashError;
pub(crate) use file::fill;
use walk::Found;

/// Pieces that the default piece length aims at: a piece layer of 64 KiB, fetched in four messages.
const AIM_PIECES: u64 = 2048;

/// Bytes of the smallest and the largest piece chosen by default.
const DEFAULT_PIECE_LEN: std::ops::RangeInclusive<u32> = 64 * 1024..=16 * 1024 * 1024;

/// A share, hashed.
#[derive(Clone, Debug)]
pub struct Hashed {
    /// The info dictionary.
    pub info: Vec<u8>,
    /// Its SHA-256: the name of the share.
    pub info_hash: InfoHash,
    /// What people call it.
    pub name: String,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// Bytes of all files.
    pub size: u64,
    /// The files in the order in which pieces are counted.
    pub files: Vec<HashedFile>,
    /// The piece layers of files longer than a piece, by root, sorted, each once: 32 bytes a piece.
    pub layers: Vec<(Hash, Vec<u8>)>,
}

/// One file of a share.
#[derive(Clone, Debug)]
pub struct HashedFile {
    /// Components below the share's folder; only its name where the share is one file.
    pub path: Vec<String>,
    /// Where it lies on this machine.
    pub source: PathBuf,
    /// Bytes.
    pub length: u64,
    /// Root of its merkle tree; `None` exactly for an empty file.
    pub root: Option<Hash>,
}

/// What `bulbil hash --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// 64 hexadecimal digits.
    pub info_hash: String,
    /// The link that `BitTorrent` v2 programs know.
    pub magnet: String,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// Bytes of all files.
    pub size: u64,
    /// The files in order.
    pub files: Vec<FileSummary>,
}

/// One file of a [`Summary`].
#[derive(Clone, Debug, Serialize)]
pub struct FileSummary {
    /// Path below the share's folder, with `/` between its components.
    pub path: String,
    /// Bytes.
    pub length: u64,
    /// 64 hexadecimal digits; `null` for an empty file.
    pub pieces_root: Option<String>,
}

/// Hashes files and folders into one share.
///
/// One path gives the share its name; several need `name` and lie side by side in the share. Folders are walked to
/// the end; empty ones leave no trace. Without `piece_length` [`default_piece_length`] decides. `progress` hears bytes
/// hashed and bytes in all, some times a second.
///
/// Symbolic links below the paths, devices, sockets and pipes are refused, as are names that other systems could not
/// create (see `bulbil_core::content::name`), and files that change while they are read.
pub fn run(
    paths: &[PathBuf],
    name: Option<&str>,
    piece_length: Option<u32>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Hashed, HashError> {
    piece_length.map(check_piece_length).transpose()?;
    let Found { name, files: found } = walk::find(paths, name)?;
    let size = found.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.length));
    let size = size.ok_or(HashError::TooManyPieces)?;
    let piece_length = piece_length.unwrap_or_else(|| default_piece_length(size));
    check_pieces(&found, piece_length)?;
    let mut files = Vec::with_capacity(found.len());
    let mut layers = BTreeMap::new();
    let mut done = 0;
    progress(done, size);
    for entry in found {
        let tree = file::hash(&entry, piece_length, |bytes| {
            done += bytes;
            progress(done, size);
        })?;
        if let (Some(root), Some(layer)) = (tree.root, tree.layer) {
            layers.insert(root, layer);
        }
        files.push(HashedFile {
            path: entry.path,
            source: entry.source,
            length: entry.length,
            root: tree.root,
        });
    }
    let info = describe(&name, piece_length, &files)?;
    let info_hash = Info::parse(&info)?.info_hash();
    let layers = layers.into_iter().collect();
    Ok(Hashed { info, info_hash, name, piece_length, size, files, layers })
}

/// The piece length for a share of this many bytes: the power of two that makes at most 2 048 pieces of it, but no
/// less than 64 KiB and no more than 16 MiB.
pub fn default_piece_length(size: u64) -> u32 {
    let wanted = size.div_ceil(AIM_PIECES).next_power_of_two();
    let (least, most) = (*DEFAULT_PIECE_LEN.start(), *DEFAULT_PIECE_LEN.end());
    u32::try_from(wanted).unwrap_or(most).clamp(least, most)
}

/// Whether pieces may be this long.
pub(crate) fn check_piece_length(bytes: u32) -> Result<(), HashError> {
    if is_piece_len(u64::from(bytes)) { Ok(()) } else { Err(HashError::PieceLength(bytes)) }
}

fn check_pieces(files: &[walk::Entry], piece_length: u32) -> Result<(), HashError> {
    let mut pieces = 0_u32;
    for file in files {
        let more = pieces_of(file.length, piece_length).ok_or(HashError::TooManyPieces)?;
        pieces = pieces.saturating_add(more);
    }
    if pieces > MAX_PIECES { Err(HashError::TooManyPieces) } else { Ok(()) }
}

fn describe(name: &str, piece_length: u32, files: &[HashedFile]) -> Result<Vec<u8>, HashError> {
    let mut info = Vec::new();
    let files = files.iter().map(|file| NewFile {
        path: file.path.iter().map(String::as_str),
        length: file.length,
        root: file.root.unwrap_or_default(),
    });
    write_info(name, piece_length, files, |bytes| info.extend_from_slice(bytes))?;
    Ok(info)
}

impl Hashed {
    /// The link that `BitTorrent` v2 programs know: `magnet:?xt=urn:btmh:1220…&dn=…`.
    pub fn magnet(&self) -> String {
        magnet(&self.info_hash, &self.name)
    }

    /// The bytes of the `.torrent` file.
    pub fn torrent(&self) -> Vec<u8> {
        let mut torrent = Vec::new();
        let layers = self.layers.iter().map(|(root, layer)| (*root, layer.as_slice()));
        write_torrent(&self.info, layers, |bytes| torrent.extend_from_slice(bytes));
        torrent
    }

    /// What the command line prints.
    pub fn summary(&self) -> Summary {
        let files = self.files.iter().map(|file| FileSummary {
            path: file.path.join("/"),
            length: file.length,
            pieces_root: file.root.map(|root| root.to_string()),
        });
        Summary {
            info_hash: self.info_hash.to_string(),
            magnet: self.magnet(),
            piece_length: self.piece_length,
            size: self.size,
            files: files.collect(),
        }
    }
}

/// The magnet link of a share: its info-hash as a multihash (0x12 SHA-256, 0x20 bytes), and its name.
pub fn magnet(info_hash: &InfoHash, name: &str) -> String {
    use std::fmt::Write;

    let mut link = format!("magnet:?xt=urn:btmh:1220{info_hash}&dn=");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                link.push(char::from(byte));
            }
            // Writing into a string cannot fail.
            _ => drop(write!(link, "%{byte:02X}")),
        }
    }
    link
}
