//! A folder of our own that goes when we go.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::warden;

/// A new folder that only its owner may enter, removed with everything in it on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// On the system's temporary folder.
    pub fn new(label: &str) -> io::Result<Self> {
        Self::within(&std::env::temp_dir(), label)
    }

    /// In memory (tmpfs): for the states of nodes. Containers often allow 64 MiB there, so files to share go elsewhere.
    pub fn in_memory(label: &str) -> io::Result<Self> {
        Self::within(Path::new("/dev/shm"), label)
    }

    fn within(parent: &Path, label: &str) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id();
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("bulbil-{label}-{process}-{count}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    warden::guard_folder(&path)?;
                    return Ok(Self { path });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => {
                    let why = format!("cannot make a folder in {}: {e}", parent.display());
                    return Err(io::Error::new(e.kind(), why));
                }
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path within it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path); // the warden makes a second attempt
    }
}
