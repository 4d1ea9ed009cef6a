//! An unfinished fetch in its hidden folder.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bulbil_core::content::{Hash, merkle};
use bulbil_core::id::BlockId;
use bulbil_core::limits::BLOCK_LEN;
use bulbil_core::store::StoreError;

use super::super::blame;
use super::super::content::Content;
use super::super::handles::Handles;
use super::super::ledger::Ledger;
use super::flush::{Flush, Tidy};
use crate::config::Fsync;
use crate::sys::folder::{Folder, reserve};

/// Files of one fetch kept open.
const FILES: usize = 32;

#[derive(Debug)]
pub(super) struct Part {
    content: Arc<Content>,
    /// The owner's folder.
    out: Folder,
    /// Name of ours in it.
    hidden: String,
    folder: Folder,
    ledger: Ledger,
    files: Handles<usize, File>,
    fsync: Fsync,
    /// Where whole pieces lie that are not known to be on the device, with [`Fsync::Always`].
    unsynced: BTreeSet<usize>,
    /// What became of a flush.
    failed: Option<StoreError>,
}

impl Part {
    /// Makes whatever is missing, reserves the room, and believes only blocks that are really there. While it is open,
    /// opening it again fails with [`io::ErrorKind::WouldBlock`], in other processes too.
    pub(super) fn open(content: Arc<Content>, out: Folder, hidden: String, fsync: Fsync) -> io::Result<Self> {
        let folder = out.make(&hidden)?;
        let leaves = folder.create("leaves")?;
        lock(&leaves)?;
        if leaves.metadata()?.nlink() == 0 || out.has(content.name())? {
            return Err(io::ErrorKind::WouldBlock.into()); // the other fetch ended while we came: look again
        }
        keep_torrent(&content, &folder)?;
        let ledger = Ledger::new(leaves, &content)?;
        let files = Handles::new(FILES);
        let unsynced = BTreeSet::new();
        let mut part = Self { content, out, hidden, folder, ledger, files, fsync, unsynced, failed: None };
        part.lay_out()?;
        part.recall()?;
        Ok(part)
    }

    /// Lets others open it.
    pub(super) fn let_go(&self) {
        self.ledger.unlock();
    }

    pub(super) const fn content(&self) -> &Arc<Content> {
        &self.content
    }

    pub(super) const fn done(&self) -> u64 {
        self.ledger.done()
    }

    pub(super) fn has(&self, id: BlockId) -> bool {
        self.ledger.has(&self.content, id)
    }

    pub(super) fn has_piece(&self, piece: u32) -> bool {
        self.ledger.has_piece(&self.content, piece)
    }

    /// Creates every file at its full length, empty ones too. Names are forced to the device, and on FAT the table of clusters with
    /// them: so that a power cut in the hours that follow leaves no file which points into clusters that the table calls free.
    fn lay_out(&self) -> io::Result<()> {
        let mut laid = false;
        for (number, path) in self.content.paths().iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let length = self.content.layout().span_of_file(number).map_or(0, |span| span.length);
            let file = self.file(path, true)?;
            if file.metadata()?.len() != length {
                reserve(&file, length)?;
                laid = true;
            }
        }
        if laid { self.folder.sync() } else { Ok(()) }
    }

    fn file(&self, path: &str, create: bool) -> io::Result<File> {
        open_file(&self.folder, &self.content, path, create)
    }

    /// Hashes every block that has a leaf, and counts those that match.
    fn recall(&mut self) -> io::Result<()> {
        let content = Arc::clone(&self.content);
        let mut buffer = vec![0; BLOCK_LEN];
        for piece in 0..content.layout().pieces() {
            let leaves = self.ledger.leaves(&content, piece)?;
            for (block, leaf) in (0..).zip(&leaves).filter(|(_, leaf)| **leaf != Hash::default()) {
                let id = BlockId { piece, block };
                let length = content.layout().block_len(id).unwrap_or(0);
                let Some(bytes) = buffer.get_mut(..length) else { continue };
                if self.fill(id, bytes).is_ok() && merkle::leaf(bytes) == *leaf {
                    self.ledger.mark(&content, id);
                }
            }
            if self.has_piece(piece) && !self.is_right(piece, leaves) {
                self.ledger.strike(&content, piece);
            }
        }
        Ok(())
    }

    /// Whether these leaves add up to the piece's hash.
    fn is_right(&self, piece: u32, leaves: Vec<Hash>) -> bool {
        let levels = self.content.layout().proof_len(piece).and_then(|levels| u32::try_from(levels).ok());
        let mut tree = merkle::Tree::new();
        for leaf in leaves {
            tree.push(leaf);
        }
        let root = levels.and_then(|levels| tree.root_at(levels));
        root.is_some() && root == self.content.piece_root(piece)
    }

    /// The open file that holds this block, and where in it.
    fn at(&mut self, id: BlockId) -> Result<(&File, u64), StoreError> {
        let (place, offset) = self.content.offset(id).ok_or(StoreError::Missing)?;
        if self.files.get(place, || Err(())).is_err() {
            let path = self.content.path_at(place).ok_or(StoreError::Missing)?;
            let file = self.file(path, false).map_err(|error| blame(&error))?;
            self.files.get(place, || Ok::<_, StoreError>(file))?;
        }
        let file = self.files.get(place, || Err(StoreError::Failed))?.ok_or(StoreError::Failed)?;
        Ok((file, offset))
    }

    fn fill(&mut self, id: BlockId, bytes: &mut [u8]) -> Result<(), StoreError> {
        let (file, offset) = self.at(id)?;
        file.read_exact_at(bytes, offset).map_err(|error| blame(&error))
    }

    /// Only blocks of whole pieces: a proof needs all leaves.
    pub(super) fn read(&mut self, id: BlockId, proof: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError> {
        let layout = self.content.layout();
        let fits = layout.block_len(id) == Some(bytes.len())
            && layout.proof_len(id.piece).and_then(|levels| levels.checked_mul(32)) == Some(proof.len());
        if !fits || !self.has_piece(id.piece) {
            return Err(StoreError::Missing);
        }
        let mut leaves = self.ledger.leaves(&self.content, id.piece).map_err(|error| blame(&error))?;
        let index = usize::from(id.block);
        let leaf = leaves.get(index).copied();
        let root = merkle::prove(&mut leaves, index, proof);
        if root != self.content.piece_root(id.piece) {
            return Err(StoreError::Changed);
        }
        self.fill(id, bytes)?;
        if leaf == Some(merkle::leaf(bytes)) {
            return Ok(());
        }
        bytes.fill(0);
        Err(StoreError::Changed)
    }

    /// Data first, then its leaf. A piece that is whole is checked as a whole.
    pub(super) fn write(&mut self, id: BlockId, leaf: &Hash, bytes: &[u8]) -> Result<(), StoreError> {
        if self.content.layout().block_len(id) != Some(bytes.len()) {
            return Err(StoreError::Missing);
        }
        if self.has(id) {
            return Ok(());
        }
        let (file, offset) = self.at(id)?;
        file.write_all_at(bytes, offset).map_err(|error| blame(&error))?;
        let content = Arc::clone(&self.content);
        self.ledger.record(&content, id, leaf).map_err(|error| blame(&error))?;
        if self.has_piece(id.piece) { self.close(id) } else { Ok(()) }
    }

    /// A piece has its last block.
    fn close(&mut self, id: BlockId) -> Result<(), StoreError> {
        let content = Arc::clone(&self.content);
        let leaves = match self.ledger.leaves(&content, id.piece).map_err(|error| blame(&error)) {
            Ok(leaves) => leaves,
            Err(StoreError::Changed) => Vec::new(), // cut off
            Err(fault) => {
                self.ledger.unmark(&content, id); // it comes again, and the piece is looked at again
                return Err(fault);
            }
        };
        if !self.is_right(id.piece, leaves) {
            self.ledger.strike(&content, id.piece);
            return Err(StoreError::Changed);
        }
        if let Some((place, _)) = self.content.offset(id).filter(|_| self.fsync == Fsync::Always) {
            self.unsynced.insert(place);
        }
        match self.failed.take() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Whole pieces that are not known to be on the device, if they should be.
    pub(super) fn due(&mut self) -> io::Result<Option<Flush>> {
        if self.unsynced.is_empty() {
            return Ok(None);
        }
        let paths = self.unsynced.iter().filter_map(|place| self.content.path_at(*place));
        let files = paths.map(Into::into).collect();
        let flush = self.flush(files, true)?;
        self.unsynced.clear();
        Ok(Some(flush))
    }

    #[cfg(test)]
    pub(super) fn swap_leaves(&mut self, file: File) -> File {
        self.ledger.swap(file)
    }

    /// A flush failed: the next piece is an error.
    pub(super) fn fail(&mut self, error: &io::Error) {
        self.failed = Some(blame(error));
    }

    /// Everything, if it has to be on the device before the end.
    pub(super) fn last_flush(&self) -> io::Result<Option<Flush>> {
        if self.fsync == Fsync::Never {
            return Ok(None);
        }
        self.flush(Vec::new(), false).map(Some)
    }

    fn flush(&self, files: Vec<String>, leaves: bool) -> io::Result<Flush> {
        let leaves = if leaves { Some(self.ledger.file()?) } else { None };
        Ok(Flush { content: Arc::clone(&self.content), folder: self.folder.duplicate()?, files, leaves })
    }

    /// Moves the data to its name.
    pub(super) fn finish(&mut self) -> io::Result<Tidy> {
        if self.done() != self.content.layout().total() {
            return Err(io::Error::other("not every block is there yet"));
        }
        let out = self.out.duplicate()?;
        self.files.clear();
        self.folder.rename("data", &self.out, self.content.name())?;
        let (hidden, name) = (self.hidden.clone(), self.content.name().to_owned());
        let is_single_file = self.content.is_single_file();
        Ok(Tidy { out, hidden, name, is_single_file, sync: self.fsync != Fsync::Never })
    }
}

/// Opens one file of the share below `data` in a hidden folder.
pub(super) fn open_file(top: &Folder, content: &Content, path: &str, create: bool) -> io::Result<File> {
    let open = |folder: &Folder, name: &str| if create { folder.create(name) } else { folder.write(name) };
    if content.is_single_file() {
        return open(top, "data");
    }
    let mut folder = top.make("data")?;
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    for component in above.split('/').filter(|component| !component.is_empty()) {
        folder = folder.make(component)?;
    }
    open(&folder, name)
}

/// Keeps a file from all others who lock it, until it is closed. Some file systems of other machines know no locks: there
/// the owner has to see to it.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(_)) | Ok(()) => Ok(()),
    }
}

/// Writes the metadata, whole or not at all.
fn keep_torrent(content: &Content, folder: &Folder) -> io::Result<()> {
    if folder.has("share.torrent")? {
        let kept = folder.read("share.torrent")?.metadata()?.len();
        if kept == u64::try_from(content.to_torrent().len()).unwrap_or(0) {
            return Ok(());
        }
        folder.remove("share.torrent")?;
    }
    folder.remove("share.new")?;
    let mut file = folder.create("share.new")?;
    file.write_all(&content.to_torrent())?;
    file.sync_all()?;
    folder.rename("share.new", folder, "share.torrent")?;
    file.sync_all() // see `Tidy::run`
}

/// Removes what a finished fetch leaves behind. Data is not among it.
pub(super) fn remove(out: &Folder, hidden: &str) -> io::Result<()> {
    if !out.has(hidden)? {
        return Ok(());
    }
    let folder = out.enter(hidden)?;
    for name in ["leaves", "share.torrent", "share.new"] {
        folder.remove(name)?;
    }
    out.remove_folder(hidden)
}
