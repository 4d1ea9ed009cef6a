//! A keep file that was opened on the page, and waits for the node to end: only then can its state be replaced.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{Kept, MAX_PASSPHRASE, Passphrase};
use crate::sys::mount;

/// Exit code of a node that wants to be started again; one of a failure, so that supervisors do. Not one of
/// [`power`](crate::power)'s.
pub const AGAIN: u8 = 92;

/// What the node that ends leaves to the one that comes, in the state directory.
const NOTE: &str = "again.json";

/// Bytes of that at most: a path and a passphrase, with what JSON may make of them.
const LONGEST: u64 = 6 * (4096 + MAX_PASSPHRASE as u64) + 64;

static WAITING: Mutex<Option<(Kept, Option<Place>)>> = Mutex::new(None);

/// Where a keep file lies that was opened, and what opens it: the node goes on keeping itself there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) passphrase: Passphrase,
}

/// The same as it is written.
#[derive(Deserialize, Serialize)]
struct Note {
    file: PathBuf,
    passphrase: String,
}

impl Drop for Note {
    fn drop(&mut self) {
        self.passphrase.zeroize();
    }
}

/// Puts it aside; end the node next.
pub(crate) fn put_aside(kept: Kept, place: Option<Place>) {
    *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some((kept, place));
}

/// What was put aside, once.
pub(crate) fn take_aside() -> Option<(Kept, Option<Place>)> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Place {
    /// Leaves it to the next process, in memory only, beside the keys that lie there anyway: a passphrase stands on no disk. Tells
    /// whether it could.
    pub(crate) fn leave(&self, state: &Path) -> io::Result<bool> {
        if !mount::is_memory(state)? {
            return Ok(false);
        }
        let note = Note { file: self.file.clone(), passphrase: self.passphrase.reveal().to_owned() };
        let mut text = Zeroizing::new(Vec::new());
        serde_json::to_writer(&mut *text, &note)?;
        let path = state.join(NOTE);
        remove(&path)?;
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(&text)?;
        Ok(true)
    }

    /// What the process before left, once.
    pub(crate) fn found(state: &Path) -> Option<Self> {
        let path = state.join(NOTE);
        let mut text = Zeroizing::new(Vec::new());
        let read = fs::File::open(&path).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
        remove(&path).ok()?;
        read.ok()?;
        let note: Note = serde_json::from_slice(&text).ok()?;
        let passphrase = Passphrase::to_open(&note.passphrase).ok()?;
        Some(Self { file: note.file.clone(), passphrase })
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn the_next_process_finds_it_once_and_no_disk_ever_has_it() {
        let place = Place {
            file: "/mnt/usb/my \"file\"".into(),
            passphrase: Passphrase::to_open("some words").unwrap(),
        };
        let memory = Path::new("/dev/shm").join(format!("bulbil-again-{}", std::process::id()));
        fs::create_dir(&memory).unwrap();
        assert!(place.leave(&memory).unwrap() && place.leave(&memory).unwrap());
        let found = Place::found(&memory).unwrap();
        assert_eq!((found.file, found.passphrase.reveal()), (place.file.clone(), "some words"));
        assert!(Place::found(&memory).is_none() && fs::read_dir(&memory).unwrap().next().is_none());
        fs::remove_dir(memory).unwrap();
        let scratch = Scratch::new("again");
        if !mount::is_memory(scratch.path()).unwrap() {
            assert!(!place.leave(scratch.path()).unwrap());
            assert!(fs::read_dir(scratch.path()).unwrap().next().is_none());
        }
    }
}
