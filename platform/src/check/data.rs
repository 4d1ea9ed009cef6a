//! Files on disk against a share's metadata.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bulbil_core::content::merkle::{self, FileTree};
use bulbil_core::content::metainfo::{self, Info, Torrent};
use bulbil_core::content::piece_height;
use bulbil_core::limits::{BLOCK_LEN, MAX_DEPTH};
use serde::Serialize;

use super::CheckError;
use crate::hash::fill;

/// Files beside those of a share that are named.
const MAX_EXTRA: usize = 100;

/// Files and folders looked at in search of those.
const MAX_LOOKED_AT: usize = 200_000;

/// Where data and metadata part.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Bad {
    /// Path below the share's folder, with `/` between its components.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
    /// First block of the file (16 KiB each, from zero) that is or may be wrong.
    pub block: u64,
    /// Last block that may be: metadata holds one hash a piece, so a fault is known to the piece.
    pub last_block: u64,
    /// For people: all of the above, and what to do.
    pub text: String,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is not there.
    Missing,
    /// Something else lies in its place: a folder, a link, a device.
    NotFile,
    /// It has another length.
    Length,
    /// It has other bytes.
    Content,
}

/// Where the share's files are: `data` itself, or below it under the share's name.
pub(super) fn root(info: &Info<'_>, data: &Path) -> PathBuf {
    let first: PathBuf = info.files().next().iter().flat_map(|file| file.path.components()).collect();
    if info.is_single_file() {
        let inside = data.join(info.name());
        return if data.is_dir() { inside } else { data.to_path_buf() };
    }
    let inside = data.join(info.name());
    let here = fs::symlink_metadata(data.join(&first)).is_ok();
    if !here && inside.is_dir() { inside } else { data.to_path_buf() }
}

/// Goes through the files in order, up to the first that does not match.
pub(super) fn first_bad(
    torrent: &Torrent<'_>,
    root: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Option<Bad>, CheckError> {
    let info = torrent.info();
    let single = info.is_single_file();
    let mut done = 0;
    for file in info.files() {
        let relative: Vec<&str> = file.path.components().collect();
        let path = if single { root.to_path_buf() } else { root.join(relative.iter().collect::<PathBuf>()) };
        let found = compare(torrent, &file, &path, |bytes| {
            done += bytes;
            progress(done, info.total());
        });
        match found {
            Ok(None) => {}
            Ok(Some((fault, blocks))) => return Ok(Some(bad(&relative.join("/"), &file, fault, blocks))),
            Err(error) => return Err(CheckError::Io { path: path.display().to_string(), error }),
        }
    }
    Ok(None)
}

/// A fault and the first and last block it may lie in.
type Place = (Fault, (u64, u64));

fn compare(
    torrent: &Torrent<'_>,
    file: &metainfo::File<'_>,
    path: &Path,
    mut progress: impl FnMut(u64),
) -> io::Result<Option<Place>> {
    let blocks = file.length.div_ceil(BLOCK_LEN as u64);
    let last = blocks.saturating_sub(1);
    let about = match fs::symlink_metadata(path) {
        Err(error) if is_missing(&error) => return Ok(Some((Fault::Missing, (0, last)))),
        about => about?,
    };
    if !about.is_file() {
        return Ok(Some((Fault::NotFile, (0, last))));
    }
    let Some(root) = file.root else {
        return Ok((about.len() > 0).then_some((Fault::Length, (0, 0))));
    };
    let piece_len = torrent.info().piece_len();
    let long = file.length > u64::from(piece_len);
    let layer = if long { torrent.layer(&root).unwrap_or_default() } else { &[] };
    let mut wanted = layer.chunks_exact(32);
    let mut tree = FileTree::new(piece_height(piece_len));
    let per_piece = u64::from(piece_len) / BLOCK_LEN as u64;
    let mut data = File::open(path)?;
    let mut buffer = vec![0; 16 * BLOCK_LEN];
    let (mut block, mut piece) = (0_u64, 0_u64);
    let place = |piece: u64| (piece * per_piece, (piece * per_piece + per_piece - 1).min(last));
    loop {
        let filled = fill(&mut data, &mut buffer)?;
        let bytes = buffer.get(..filled).unwrap_or_default();
        for bytes in bytes.chunks(BLOCK_LEN) {
            if block > last {
                break;
            }
            // A block of another length can only be the last of a file of another length: told below.
            if let Some(hash) = tree.push(merkle::leaf(bytes)) {
                if !layer.is_empty() && wanted.next() != Some(&hash.0[..]) {
                    return Ok(Some(told(about.len(), file.length, place(piece))));
                }
                piece += 1;
            }
            block += 1;
        }
        progress(bytes.len() as u64);
        if filled < buffer.len() || block > last {
            break;
        }
    }
    if about.len() != file.length {
        return Ok(Some((Fault::Length, (about.len().min(file.length) / BLOCK_LEN as u64, last))));
    }
    let (_, found) = tree.finish();
    let start = if layer.is_empty() { 0 } else { piece };
    Ok((found != root).then_some((Fault::Content, place(start))))
}

/// A piece is wrong: because of its bytes, or because the file ended or went on where it should not.
fn told(found: u64, wanted: u64, place: (u64, u64)) -> Place {
    let edge = found.min(wanted) / BLOCK_LEN as u64;
    if found != wanted && place.1 >= edge {
        (Fault::Length, (edge, place.1.max(edge)))
    } else {
        (Fault::Content, place)
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn bad(path: &str, file: &metainfo::File<'_>, fault: Fault, (block, last_block): (u64, u64)) -> Bad {
    let blocks = if block >= last_block {
        format!("block {block}")
    } else {
        format!("one of the blocks {block} to {last_block}")
    };
    let text = match fault {
        Fault::Missing => format!("{path}: missing; fetch it again"),
        Fault::NotFile => format!("{path}: not a regular file; move it away and fetch the file again"),
        Fault::Length => {
            format!("{path}: must be {} bytes, differs from block {block} on; fetch it again", file.length)
        }
        Fault::Content => format!("{path}: {blocks} has other bytes; fetch it again"),
    };
    Bad { path: path.to_owned(), fault, block, last_block, text }
}

/// Files below `root` that the share does not have. What cannot be looked at is left out.
pub(super) fn extra(info: &Info<'_>, root: &Path) -> Vec<String> {
    if info.is_single_file() {
        return Vec::new();
    }
    let join = |file: metainfo::File<'_>| file.path.components().collect::<Vec<_>>().join("/");
    let known: BTreeSet<String> = info.files().map(join).collect();
    let mut extra = BTreeSet::new();
    let mut looked_at = 0;
    let mut folders = vec![(root.to_path_buf(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MAX_LOOKED_AT || extra.len() >= MAX_EXTRA {
                return extra.into_iter().collect();
            }
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < MAX_DEPTH {
                    folders.push((entry.path(), format!("{path}/"), depth + 1));
                }
            } else if !known.contains(&path) {
                extra.insert(path);
            }
        }
    }
    extra.into_iter().collect()
}
