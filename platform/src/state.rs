//! What a restart of the process needs. Lies in the state directory, which is memory unless the owner said otherwise.

mod mail;
mod page;
mod secret;
pub mod tracker;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use zeroize::{Zeroize, Zeroizing};

pub use secret::{Secret, SecretText};

pub use page::{Audience, MAX_FOLDERS, PageEntry};

use crate::sys::{mount, process};

pub use mail::{InEntry, MailEntries, OutEntry};

/// Bytes of the state file at most. A share takes some 300.
const MAX_STATE: u64 = 16 * 1024 * 1024;

/// Name of the state file in its directory.
const FILE: &str = "state.json";

/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// Everything remembered.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Seed of the node's own onion service and of the key that signs for it; made at the first start.
    pub catalogue: Option<Secret<32>>,
    /// Number of the newest fetch.
    pub last_fetch: u64,
    /// What is shared.
    pub shares: Vec<ShareEntry>,
    /// What is fetched.
    pub fetches: Vec<FetchEntry>,
    /// Messages from and to other nodes.
    pub mail: MailEntries,
    /// What the page keeps.
    pub page: PageEntry,
    /// Trust and mirrors.
    pub tracker: tracker::Tracker,
    /// What the node took back of its public records: signed tombstones, in base64.
    pub tombstones: Vec<String>,
}

/// One share.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ShareEntry {
    /// 64 hexadecimal digits: name of the `.torrent` beside the state file.
    pub info_hash: String,
    /// Where each file lies, absolute, in the order of the metadata.
    pub sources: Vec<PathBuf>,
    /// Whether it belongs to the public catalogue.
    pub public: bool,
    /// Whether browsers may read the files.
    #[serde(default)]
    pub browser: bool,
    /// Seed of its onion service.
    pub onion: Secret<32>,
    /// Its token.
    pub token: Secret<16>,
    /// Seed of our key in its swarm.
    pub peer: Secret<32>,
    /// What is said about it in public, separated by commas.
    #[serde(default)]
    pub tags: String,
    /// The same as a line of text.
    #[serde(default)]
    pub text: String,
}

/// One fetch.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FetchEntry {
    /// Number on this node.
    pub id: u64,
    /// The link.
    pub link: SecretText,
    /// Folder it is written into, absolute.
    pub out: PathBuf,
    /// 64 hexadecimal digits, once known: name of the `.torrent` beside the state file.
    pub info_hash: Option<String>,
    /// Whether it came to its end: what is gone then was taken away, and is not fetched again unasked.
    #[serde(default)]
    pub done: bool,
    /// Seed of the onion service at which other fetchers reach us.
    pub onion: Secret<32>,
    /// Seed of our key in its swarm.
    pub peer: Secret<32>,
}

impl State {
    /// Whether anything was ever saved in this state directory.
    pub(crate) fn exists(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// What was saved last in a state directory, whoever holds it; nothing if nothing was.
    pub(crate) fn read(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join(FILE);
        let damaged = |why: String| StateError::Damaged(path.clone(), why);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(damaged(error.to_string())),
            Ok(about) if about.len() > MAX_STATE => return Err(damaged("it is over 16 MiB".to_owned())),
            Ok(_) => {}
        }
        let bytes = Zeroizing::new(fs::read(&path).map_err(|error| damaged(error.to_string()))?);
        // The parser's own words may repeat parts of the file.
        serde_json::from_slice(&bytes).map_err(|error| {
            damaged(format!("line {} column {} is not understood", error.line(), error.column()))
        })
    }
}

/// The state directory, held by this process alone.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// How often something was saved.
    changes: watch::Sender<u64>,
    /// Locked as long as it is open.
    _lock: File,
}

/// Why the state cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Cannot be made or opened.
    #[error("cannot use the state directory {0}: {1}; check its permissions, or set state_dir")]
    Open(PathBuf, io::Error),
    /// Belongs to someone else, or others may look into it.
    #[error("the state directory {0} must belong to you and be closed to others; try: chmod 700 {0}")]
    Owner(PathBuf),
    /// Would be written to a disk.
    #[error(
        "the state directory {0} lies on a disk, and keys would be written to it; mount tmpfs there, set state_dir to \
         a folder on tmpfs such as /dev/shm/bulbil, or set allow_disk_state = true"
    )]
    Disk(PathBuf),
    /// Another process holds it.
    #[error("another node runs on {0}; stop it with `bulbil stop`, or set another state_dir")]
    Busy(PathBuf),
    /// Not a state file of ours.
    #[error("the state file {0} cannot be read: {1}; move it away to start anew")]
    Damaged(PathBuf, String),
    /// No room, or the device failed.
    #[error("cannot write the state to {0}: {1}; make room there")]
    Write(PathBuf, io::Error),
}

impl StateDir {
    /// Makes the directory (0700) if there is none, checks it and locks it.
    pub fn open(path: &Path, allow_disk: bool) -> Result<Self, StateError> {
        let failed = |error| StateError::Open(path.to_owned(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut about = fs::metadata(path).map_err(failed)?;
        if about.mode() & OTHERS != 0 && is_own_mount(path, &about).map_err(failed)? {
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)?;
            about = fs::metadata(path).map_err(failed)?;
        }
        if about.uid() != process::uid() || about.mode() & OTHERS != 0 {
            return Err(StateError::Owner(path.to_owned()));
        }
        if !allow_disk && !mount::is_memory(path).map_err(failed)? {
            return Err(StateError::Disk(path.to_owned()));
        }
        let lock =
            private().write(true).create(true).truncate(false).open(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), changes: watch::Sender::new(0), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing was ever saved in it.
    pub fn is_new(&self) -> bool {
        !State::exists(&self.path)
    }

    /// Changes whenever something is saved.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says that something else in the directory changed that is worth keeping.
    pub fn touch(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// What was saved last; nothing if nothing was.
    pub fn load(&self) -> Result<State, StateError> {
        State::read(&self.path)
    }

    /// Replaces what was saved before, whole or not at all.
    pub fn save(&self, state: &State) -> Result<(), StateError> {
        let target = self.path.join(FILE);
        let fresh = self.path.join("state.new");
        let written = (|| {
            let mut text = serde_json::to_vec(state).map_err(io::Error::other)?;
            let mut file = private().write(true).create(true).truncate(true).open(&fresh)?;
            let done = file.write_all(&text).and_then(|()| file.sync_all());
            text.zeroize();
            done?;
            fs::rename(&fresh, &target)
        })();
        written.map_err(|error| StateError::Write(target, error))?;
        self.touch();
        Ok(())
    }
}

/// Files only the owner can open, and no link is followed to.
/// Whether memory of our own is mounted there and nothing lies in it yet. Container engines give such a mount the mode of
/// the folder below it when a container starts again, whatever mode they were told.
fn is_own_mount(path: &Path, about: &Metadata) -> io::Result<bool> {
    let Some(above) = path.parent() else { return Ok(false) };
    Ok(about.uid() == process::uid()
        && about.dev() != fs::metadata(above)?.dev()
        && mount::is_memory(path)?
        && fs::read_dir(path)?.next().is_none())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;
    use std::os::unix::fs::PermissionsExt;

    fn state() -> State {
        State {
            catalogue: Some(Secret([7; 32])),
            last_fetch: 3,
            shares: vec![ShareEntry {
                info_hash: "00".repeat(32),
                sources: vec!["/srv/a b".into()],
                public: true,
                browser: true,
                onion: Secret([1; 32]),
                token: Secret([2; 16]),
                peer: Secret([3; 32]),
                tags: "a,b".into(),
                text: "a line".into(),
            }],
            fetches: vec![FetchEntry {
                id: 3,
                link: SecretText("http://x".into()),
                out: "/srv".into(),
                info_hash: None,
                done: true,
                onion: Secret([4; 32]),
                peer: Secret([5; 32]),
            }],
            mail: MailEntries::default(),
            page: PageEntry { onion_seed: Some(Secret([6; 32])), ..PageEntry::default() },
            tracker: tracker::Tracker { degree: 3, ..tracker::Tracker::default() },
            tombstones: vec!["AA==".into()],
        }
    }

    #[test]
    fn what_was_saved_comes_back_and_only_the_owner_can_read_it() {
        let scratch = Scratch::new("state");
        let path = scratch.path().join("deep/state");
        let dir = StateDir::open(&path, true).unwrap();
        assert_eq!(dir.load().unwrap(), State::default());
        dir.save(&state()).unwrap();
        dir.save(&state()).unwrap();
        assert_eq!(dir.load().unwrap(), state());
        assert_eq!(fs::metadata(path.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        let shown = format!("{:?}", state());
        assert!(!shown.contains('7') && !shown.contains("http"), "{shown}");
    }

    #[test]
    fn a_second_holder_is_refused_until_the_first_is_gone() {
        let scratch = Scratch::new("state");
        let path = scratch.path().join("state");
        let first = StateDir::open(&path, true).unwrap();
        assert!(matches!(StateDir::open(&path, true), Err(StateError::Busy(_))));
        drop(first);
        StateDir::open(&path, true).unwrap();
    }

    #[test]
    fn a_disk_is_refused_unless_allowed() {
        let scratch = Scratch::new("state");
        let memory = mount::is_memory(scratch.path()).unwrap();
        let opened = StateDir::open(&scratch.path().join("state"), false);
        assert_eq!(matches!(opened, Err(StateError::Disk(_))), !memory);
        let shm = PathBuf::from(format!("/dev/shm/bulbil-test-{}", std::process::id()));
        let opened = StateDir::open(&shm, false);
        fs::remove_dir_all(&shm).unwrap();
        opened.unwrap();
    }

    #[test]
    fn an_open_door_is_refused() {
        let scratch = Scratch::new("state");
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(StateDir::open(scratch.path(), true), Err(StateError::Owner(_))));
    }

    #[test]
    fn damage_is_reported_without_repeating_it() {
        let scratch = Scratch::new("state");
        let path = scratch.path().join("state");
        let dir = StateDir::open(&path, true).unwrap();
        fs::write(path.join(FILE), "{\"identity\": \"secretsecret\"}").unwrap();
        let error = dir.load().unwrap_err().to_string();
        assert!(error.contains("move it away") && !error.contains("secretsecret"), "{error}");
    }
}
