//! A fetch on its way to disk, and what becomes of it.
//!
//! Until it is whole it lives in `.<name>.bulbil` inside the owner's folder: `data` (the file, or the tree of files),
//! `leaves` (see [`ledger`](super::ledger)) and `share.torrent`. When every piece is verified, `data` is moved to
//! `<name>`, which must not exist, and the rest is removed.

mod flush;
mod found;
mod part;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulbil_core::content::Hash;
use bulbil_core::id::{BlockId, InfoHash};
use bulbil_core::store::{Store, StoreError};

use super::{Content, Served, Warm, Warming};
use crate::config::Fsync;
use crate::sys::folder::Folder;
pub use flush::{Flush, Tidy};
pub use found::Found;
use part::Part;

/// Bytes of `share.torrent` at most: the largest info dictionary and 32 bytes for each of the most pieces.
const MAX_TORRENT: u64 = 64 * 1024 * 1024;

/// A fetch, unfinished or done.
#[derive(Debug)]
pub struct Fetched {
    out: PathBuf,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Part(Box<Part>),
    Done(Served),
}

/// Why a fetch cannot be written. The text says what to do, and goes to the owner only.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder given by the owner.
    #[error("cannot open the folder {0}: {1}; make it, or name another with --out")]
    Out(PathBuf, io::Error),
    /// Something else has the name.
    #[error("{0} exists already and is something else; move it away, or name another folder with --out")]
    Exists(PathBuf),
    /// Another unfinished fetch has the name.
    #[error(
        "{0} holds an unfinished fetch of another share of that name; finish or remove it, or name another folder"
    )]
    Other(PathBuf),
    /// Another fetch writes there.
    #[error(
        "another fetch, perhaps of another node, writes {0} now; this one goes on when that has ended, or name another folder"
    )]
    Busy(PathBuf),
    /// No room.
    #[error(
        "no room for {1} bytes in {0}: {2} are free; make room, it then goes on by itself and keeps what was verified"
    )]
    Full(PathBuf, u64, u64),
    /// Permission denied, or the device failed.
    #[error("cannot write to {0}: {1}; check its permissions and the device")]
    Write(PathBuf, io::Error),
}

impl Fetched {
    /// Opens or resumes a fetch of `content` into the folder `out`. Reads again all that was written before, so this
    /// takes as long as the disk does: call it where waiting is allowed.
    ///
    /// Finds the finished share there and correct: then it is done at once.
    pub fn open(content: Arc<Content>, out: &Path, fsync: Fsync) -> Result<Self, OpenError> {
        let folder = Folder::open(out).map_err(|error| OpenError::Out(out.to_owned(), error))?;
        let write = |error| OpenError::Write(out.to_owned(), error);
        let hidden = part_name(content.name());
        if folder.has(content.name()).map_err(write)? {
            let mut served = finished(&content, out);
            if served.verify().is_err() {
                return Err(OpenError::Exists(out.join(content.name())));
            }
            _ = part::remove(&folder, &hidden); // the share is whole, whatever lies beside it
            return Ok(Self { out: out.to_owned(), stage: Stage::Done(served) });
        }
        match saved(&folder, &hidden) {
            Ok(Some(other)) if other.info_hash() != content.info_hash() => {
                return Err(OpenError::Other(out.join(hidden)));
            }
            Err(error) => return Err(write(error)),
            Ok(_) => {}
        }
        let size = content.layout().total();
        let busy = out.join(&hidden);
        let part =
            Part::open(content, folder, hidden, fsync).map_err(|error| match super::blame(&error) {
                _ if error.kind() == io::ErrorKind::WouldBlock => OpenError::Busy(busy),
                StoreError::Full => {
                    OpenError::Full(out.to_owned(), size, crate::sys::mount::free(out).unwrap_or(0))
                }
                _ => OpenError::Write(out.to_owned(), error),
            })?;
        Ok(Self { out: out.to_owned(), stage: Stage::Part(Box::new(part)) })
    }

    /// The hidden folder of an unfinished fetch of the share of this name.
    pub fn part(out: &Path, name: &str) -> PathBuf {
        out.join(part_name(name))
    }

    /// The metadata kept beside an unfinished fetch of the share of this name, or found there again: lets a fetch go
    /// on before any peer is reached.
    pub fn saved(out: &Path, name: &str, info_hash: InfoHash) -> Option<Content> {
        let folder = Folder::open(out).ok()?;
        saved(&folder, &part_name(name)).ok()?.filter(|content| content.info_hash() == info_hash)
    }

    /// What is fetched.
    pub fn content(&self) -> &Arc<Content> {
        match &self.stage {
            Stage::Part(part) => part.content(),
            Stage::Done(served) => served.content(),
        }
    }

    /// Bytes that are verified and written.
    pub fn done(&self) -> u64 {
        match &self.stage {
            Stage::Part(part) => part.done(),
            Stage::Done(served) => served.content().layout().total(),
        }
    }

    /// Whether this block is verified and written.
    pub fn has(&self, id: BlockId) -> bool {
        match &self.stage {
            Stage::Part(part) => part.has(id),
            Stage::Done(served) => served.content().layout().block_len(id).is_some(),
        }
    }

    /// Whether this piece is whole.
    pub fn has_piece(&self, piece: u32) -> bool {
        match &self.stage {
            Stage::Part(part) => part.has_piece(piece),
            Stage::Done(served) => piece < served.content().layout().pieces(),
        }
    }

    /// Whether the share lies finished under its own name.
    pub const fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Done(_))
    }

    /// See [`Served::warming`]. What is not finished yet needs none: its leaves are on the disk.
    pub fn warming(&self, piece: u32) -> Option<Warming> {
        match &self.stage {
            Stage::Part(_) => None,
            Stage::Done(served) => served.warming(piece),
        }
    }

    /// See [`Served::warmed`].
    pub fn warmed(&mut self, warm: Warm) {
        if let Stage::Done(served) = &mut self.stage {
            served.warmed(warm);
        }
    }

    /// Lets another fetch write there. Nothing may be written through this one any more.
    pub fn let_go(&self) {
        if let Stage::Part(part) = &self.stage {
            part.let_go();
        }
    }

    /// What should be on the device before [`finish`](Self::finish), if anything.
    pub fn last_flush(&self) -> Result<Option<Flush>, OpenError> {
        match &self.stage {
            Stage::Part(part) => part.last_flush().map_err(|error| OpenError::Write(self.out.clone(), error)),
            Stage::Done(_) => Ok(None),
        }
    }

    /// Whole pieces that should be on the device by now, with [`Fsync::Always`]. One at a time is enough.
    pub fn due(&mut self) -> Option<Flush> {
        let Stage::Part(part) = &mut self.stage else { return None };
        part.due().unwrap_or_else(|error| {
            part.fail(&error);
            None
        })
    }

    /// Hears that what was due could not be forced to the device: the next piece then fails.
    pub fn flush_failed(&mut self, error: &io::Error) {
        if let Stage::Part(part) = &mut self.stage {
            part.fail(error);
        }
    }

    /// Puts another file in place of the leaves; gives back theirs.
    #[cfg(test)]
    pub(super) fn swap_leaves(&mut self, file: std::fs::File) -> std::fs::File {
        match &mut self.stage {
            Stage::Part(part) => part.swap_leaves(file),
            Stage::Done(_) => file,
        }
    }

    /// Moves a fetch whose every block is there to its own name. May be called again after a failure. What it returns is
    /// to be run after that.
    pub fn finish(&mut self) -> Result<Option<Tidy>, OpenError> {
        let Stage::Part(part) = &mut self.stage else { return Ok(None) };
        let target = self.out.join(part.content().name());
        let tidy = part.finish().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OpenError::Exists(target),
            _ => OpenError::Write(self.out.clone(), error),
        })?;
        self.stage = Stage::Done(finished(part.content(), &self.out));
        Ok(Some(tidy))
    }
}

/// Name of the folder of an unfinished fetch.
fn part_name(name: &str) -> String {
    // 255 bytes is the longest name; cut between characters.
    let cut = name.floor_char_boundary(240);
    format!(".{}.bulbil", name.get(..cut).unwrap_or(name))
}

fn saved(folder: &Folder, hidden: &str) -> io::Result<Option<Content>> {
    use std::io::Read;
    if !folder.has(hidden)? {
        return Ok(None);
    }
    let Ok(file) = folder.enter(hidden)?.read("share.torrent") else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_TORRENT).read_to_end(&mut bytes)?;
    Ok(Content::from_torrent(&bytes).ok())
}

/// The share as it lies under its own name.
fn finished(content: &Arc<Content>, out: &Path) -> Served {
    Served::new(Arc::clone(content), sources(content, out))
}

/// Where its files lie then.
fn sources(content: &Content, out: &Path) -> Vec<PathBuf> {
    let top = out.join(content.name());
    if content.is_single_file() {
        return vec![top];
    }
    content.paths().iter().map(|path| top.join(path)).collect()
}

impl Store for Fetched {
    fn piece_root(&self, piece: u32) -> Option<Hash> {
        self.content().piece_root(piece)
    }

    fn read(&mut self, id: BlockId, proof: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError> {
        match &mut self.stage {
            Stage::Part(part) => part.read(id, proof, bytes),
            Stage::Done(served) => served.read(id, proof, bytes),
        }
    }

    fn write(&mut self, id: BlockId, leaf: &Hash, bytes: &[u8]) -> Result<(), StoreError> {
        match &mut self.stage {
            Stage::Part(part) => part.write(id, leaf, bytes),
            Stage::Done(_) => Ok(()),
        }
    }

    fn info(&self, offset: u32, out: &mut [u8]) -> usize {
        self.content().info(offset, out)
    }

    fn info_hash(&self) -> InfoHash {
        self.content().info_hash()
    }

    fn info_len(&self) -> u32 {
        self.content().info_len()
    }

    fn hashes(&self, file: u32, index: u32, out: &mut [u8]) -> Option<(usize, usize)> {
        self.content().hashes(file, index, out)
    }
}
