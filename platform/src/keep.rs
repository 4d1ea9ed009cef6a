//! The keep file: the one sealed file that survives a reboot. It holds what the state directory holds: identity, shares
//! with their onions and tokens, fetches, and the relays by which the node enters Tor.
//!
//! Inside the seal (see `seal`) is one JSON document, then blanks. The plain text is in memory only, and wiped.

mod blob;
mod claim;
mod disk;
mod folders;
mod inventory;
mod keeper;
mod put;
mod seal;
mod waiting;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use claim::Mark;
pub(crate) use disk::wait as wait_for_disk;
pub use inventory::Inventory;
pub(crate) use keeper::Keeper;
pub use keeper::{TakenUp, take_up};
pub use seal::{BadPassphrase, MAX_PASSPHRASE, MIN_PASSPHRASE, Passphrase};
pub use waiting::AGAIN;
pub(crate) use waiting::{Place, put_aside, take_aside};

use crate::net;
use crate::state::{State, StateDir, StateError};
use blob::Blob;

/// Version of the document.
const VERSION: u32 = 1;

/// Bytes of the plain document at most: a board must hold it twice in memory while it is sealed.
const MAX_PLAIN: usize = 32 * 1024 * 1024;

/// Bytes of a keep file at most: the document, its padding, and one part in a thousand for the seal.
pub const MAX_SEALED: usize = MAX_PLAIN + MAX_PLAIN / 512;

/// Everything a keep file holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Version of this document.
    bulbil_keep: u32,
    /// When it was made, in seconds since 1970 by the clock of that machine.
    pub saved_at: u64,
    /// The state, as the node saves it.
    pub state: State,
    /// Metadata of shares and fetches by info-hash: `.torrent` files.
    torrents: BTreeMap<String, Blob>,
    /// The relays by which the node enters the network.
    #[serde(default)]
    guards: BTreeMap<String, serde_json::Value>,
    /// Keys of services published for other programs, where they lie in the state directory.
    #[serde(default)]
    files: folders::Files,
}

/// Why nothing was kept, or nothing brought back. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file cannot be read.
    #[error("cannot read the keep file {0}: {1}; check the path and its permissions")]
    Read(PathBuf, io::Error),
    /// The file cannot be written.
    #[error(
        "cannot write the keep file {0}: {1}; what was there is unchanged, check the folder and its free space"
    )]
    Write(PathBuf, io::Error),
    /// Something else has the name.
    #[error("{0} exists and is no keep file; name another file, or move it away")]
    Occupied(PathBuf),
    /// Another node's.
    #[error(
        "{0} is the keep file of another node, or of this one before it lost its memory: it is left as it is, and nothing is saved. To be that node again, start this machine anew where [keep] names the file, or bring it back with `bulbil keep restore` or on the page of a new node; else move the file away, or name another"
    )]
    Another(PathBuf),
    /// Not an age file with a passphrase.
    #[error("this is no keep file: it is not sealed with a passphrase in the age format; check the path")]
    Foreign,
    /// Broken off, or changed.
    #[error("the keep file is damaged or was changed; take another copy of it")]
    Damaged,
    /// Does not open it.
    #[error("the passphrase does not open this keep file; try again")]
    Passphrase,
    /// More memory than a node may take.
    #[error(
        "the keep file wants more memory than 1 GiB to be opened; seal it again with a work factor of 20 at most"
    )]
    Work,
    /// A later version.
    #[error("the keep file has version {0}, and this program knows {VERSION} only; install a newer Bulbil")]
    Version(u32),
    /// Too much to keep.
    #[error("there is more to keep than {} MiB; withdraw the shares with the most files", MAX_PLAIN >> 20)]
    Size,
    /// The cipher or the system failed.
    #[error("could not seal the keep file: {0}; try again")]
    Seal(String),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is something that would be lost.
    #[error("this node has a state of its own already ({0}); give --replace to throw it away")]
    InUse(String),
    /// The passphrase.
    #[error(transparent)]
    BadPassphrase(#[from] BadPassphrase),
}

impl Kept {
    /// What lies in a state directory now, whether a node runs on it or not.
    pub fn collect(folder: &Path) -> Result<Self, KeepError> {
        let state = State::read(folder)?;
        let mut left = MAX_PLAIN as u64;
        let mut torrents = BTreeMap::new();
        for info_hash in info_hashes(&state) {
            let bytes = match read_at_most(&folder.join(format!("{info_hash}.torrent")), left) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // it was withdrawn just now
                Err(_) => return Err(KeepError::Size),
            };
            left = left.saturating_sub(bytes.len() as u64);
            torrents.insert(info_hash, Blob(bytes));
        }
        let files = folders::collect(folder).map_err(|_| KeepError::Size)?;
        let guards = net::guards(folder);
        Ok(Self { bulbil_keep: VERSION, saved_at: now(), state, torrents, guards, files })
    }

    /// Whether the relays by which the node enters the network are in it.
    pub fn has_guards(&self) -> bool {
        !self.guards.is_empty()
    }

    /// Seconds since it was made; `None` if that is in the future by this machine's clock.
    pub fn age_s(&self) -> Option<u64> {
        now().checked_sub(self.saved_at)
    }

    /// The sealed file. Takes some tenths of a second: not for the node's own thread.
    pub fn seal(&self, passphrase: &Passphrase) -> Result<Vec<u8>, KeepError> {
        let mut length = Length(0);
        serde_json::to_writer(&mut length, self).map_err(|_| KeepError::Size)?;
        let whole = seal::padded(length.0);
        if whole > MAX_PLAIN {
            return Err(KeepError::Size);
        }
        let mut text = Zeroizing::new(Vec::with_capacity(whole));
        serde_json::to_writer(&mut *text, self).map_err(|why| KeepError::Seal(why.to_string()))?;
        text.resize(whole, b' ');
        seal::seal(&text, passphrase)
    }

    /// Opens a sealed file's bytes.
    pub fn open(sealed: &[u8], passphrase: &Passphrase) -> Result<Self, KeepError> {
        let text = seal::open(sealed, passphrase)?;
        let about: About = serde_json::from_slice(&text).map_err(|_| KeepError::Damaged)?;
        if about.bulbil_keep != VERSION {
            return Err(KeepError::Version(about.bulbil_keep));
        }
        serde_json::from_slice(&text).map_err(|_| KeepError::Damaged)
    }

    /// Reads and opens a keep file.
    pub fn load(path: &Path, passphrase: &Passphrase) -> Result<Self, KeepError> {
        let read = |error| KeepError::Read(path.to_owned(), error);
        let sealed = read_at_most(path, MAX_SEALED as u64).map_err(read)?;
        Self::open(&sealed, passphrase)
    }

    /// Puts `sealed`, which is this, in place of an older one of the same node, or where there is none.
    pub fn put(&self, path: &Path, sealed: &[u8], passphrase: &Passphrase) -> Result<(), KeepError> {
        let seen = claim::check(path, passphrase, &self.state, None)?;
        replace(path, sealed, seen.as_ref())
    }

    /// Brings it back into the state directory of a node that does not run. The state comes last: broken off before, the
    /// node is as it was.
    pub fn restore(&self, into: &StateDir, replace: bool) -> Result<(), KeepError> {
        let present = Inventory::of(&into.load()?);
        if !present.is_empty() && !replace {
            return Err(KeepError::InUse(present.to_string()));
        }
        let wrong = |error| StateError::Write(into.path().to_owned(), error);
        for (info_hash, torrent) in &self.torrents {
            let plain = info_hash.len() == 64 && info_hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !plain {
                return Err(KeepError::Damaged);
            }
            fs::write(into.path().join(format!("{info_hash}.torrent")), &*torrent.0).map_err(wrong)?;
        }
        folders::restore(into.path(), &self.files).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => KeepError::Damaged,
            _ => KeepError::State(wrong(error)),
        })?;
        net::restore_guards(into.path(), &self.guards).map_err(wrong)?;
        Ok(into.save(&self.state)?)
    }
}

/// Puts sealed bytes in place of `path`, whole or not at all, for the owner only. Anything but a keep file stays.
pub fn write(path: &Path, sealed: &[u8]) -> Result<(), KeepError> {
    put_at(path, sealed, || Ok(()))
}

/// The same, where what was `seen` there is there still: a disk may be mounted over the folder at any moment.
fn replace(path: &Path, sealed: &[u8], seen: Option<&Mark>) -> Result<(), KeepError> {
    put_at(path, sealed, || {
        let now = Mark::read(path).map_err(io::Error::other)?;
        let changed = || io::Error::other("another keep file came there meanwhile");
        if now.as_ref() == seen { Ok(()) } else { Err(changed()) }
    })
}

fn put_at(path: &Path, sealed: &[u8], still: impl FnOnce() -> io::Result<()>) -> Result<(), KeepError> {
    let failed = |error| KeepError::Write(path.to_owned(), error);
    if path.symlink_metadata().is_ok() && !looks_sealed(path) {
        return Err(KeepError::Occupied(path.to_owned()));
    }
    let name = path.file_name().and_then(OsStr::to_str);
    let name = name.ok_or_else(|| failed(io::Error::other("the name is not plain text")))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    put::put(&mut put::Folder::new(folder), name, sealed, still).map_err(failed)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn looks_sealed(path: &Path) -> bool {
    let mut head = [0; seal::MAGIC.len()];
    let plain = path.metadata().is_ok_and(|about| about.is_file());
    plain
        && fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok()
        && head == *seal::MAGIC
}

/// The info-hashes of everything whose metadata is worth keeping.
fn info_hashes(state: &State) -> impl Iterator<Item = String> {
    let shares = state.shares.iter().map(|share| &share.info_hash);
    shares.chain(state.fetches.iter().filter_map(|fetch| fetch.info_hash.as_ref())).cloned()
}

/// A file's bytes, wiped when dropped, in one piece of memory.
fn read_at_most(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = fs::File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() > most {
        return Err(io::Error::other("it is too large, or no plain file"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 1));
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Read first, whatever else a later version holds.
#[derive(Deserialize)]
struct About {
    bulbil_keep: u32,
}

/// Counts what is written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
