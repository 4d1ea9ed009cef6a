//! Folders held open, so that what is created below them stays below them whatever anybody plants in between.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FallocateFlags, OFlag, fallocate, open, openat};
use nix::libc;
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// An open folder. Names given to it are single components; links are never followed.
#[derive(Debug)]
pub struct Folder(OwnedFd);

const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_RDONLY).union(OFlag::O_CLOEXEC);

impl Folder {
    /// Opens a folder by path, which is the owner's word: links in it are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, FOLDER, Mode::empty())?))
    }

    /// The same folder once more, for another thread.
    pub fn duplicate(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Opens a folder inside this one.
    pub fn enter(&self, name: &str) -> io::Result<Self> {
        let name = component(name)?;
        Ok(Self(openat(&self.0, name, FOLDER | OFlag::O_NOFOLLOW, Mode::empty())?))
    }

    /// Opens a folder inside this one, made (0755 less the umask) if there is none.
    pub fn make(&self, name: &str) -> io::Result<Self> {
        match mkdirat(&self.0, component(name)?, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => self.enter(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens an ordinary file for reading.
    pub fn read(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlag::O_RDONLY)
    }

    /// Opens an ordinary file for reading and writing.
    pub fn write(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlag::O_RDWR)
    }

    /// Opens an ordinary file for reading and writing, made (0644 less the umask) if there is none.
    pub fn create(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlag::O_RDWR | OFlag::O_CREAT)
    }

    fn file(&self, name: &str, how: OFlag) -> io::Result<File> {
        // O_NONBLOCK: opening a planted pipe must not wait for its other end.
        let how = how | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = File::from(openat(&self.0, component(name)?, how, Mode::from_bits_truncate(0o644))?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(Errno::EINVAL.into()) }
    }

    /// Whether anything has this name, a dangling link too.
    pub fn has(&self, name: &str) -> io::Result<bool> {
        match fstatat(&self.0, component(name)?, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves `from` here to `name` in `to`, never onto something that exists ([`io::ErrorKind::AlreadyExists`]).
    pub fn rename(&self, from: &str, to: &Self, name: &str) -> io::Result<()> {
        let (old, new) = (c_string(component(from)?)?, c_string(component(name)?)?);
        // SAFETY: both names are NUL-terminated and outlive the call; both descriptors are open.
        let done = unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                self.0.as_raw_fd(),
                old.as_ptr(),
                to.0.as_raw_fd(),
                new.as_ptr(),
                libc::RENAME_NOREPLACE,
            )
        };
        match Errno::result(done) {
            Ok(_) => Ok(()),
            // File systems such as FAT do not know the flag.
            Err(Errno::EINVAL | Errno::ENOSYS) if !to.has(name)? => {
                Ok(nix::fcntl::renameat(&self.0, from, &to.0, name)?)
            }
            Err(Errno::EINVAL | Errno::ENOSYS) => Err(Errno::EEXIST.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file; a missing one is fine.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        forgive(unlinkat(&self.0, component(name)?, UnlinkatFlags::NoRemoveDir))
    }

    /// Removes an empty folder; a missing one is fine.
    pub fn remove_folder(&self, name: &str) -> io::Result<()> {
        forgive(unlinkat(&self.0, component(name)?, UnlinkatFlags::RemoveDir))
    }

    /// Forces names that were made or moved in it to the device.
    pub fn sync(&self) -> io::Result<()> {
        Ok(nix::unistd::fsync(self.0.as_fd())?)
    }
}

/// Makes the file this long and reserves the room, where the file system can; otherwise only sets the length.
pub fn reserve(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() > length {
        file.set_len(length)?;
    }
    let size = i64::try_from(length).map_err(io::Error::other)?;
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(()),
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => file.set_len(length),
        Err(error) => Err(error.into()),
    }
}

fn forgive(done: Result<(), Errno>) -> io::Result<()> {
    match done {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The name, if it is one.
fn component(name: &str) -> io::Result<&str> {
    let wrong = matches!(name, "" | "." | "..") || name.contains(['/', '\0']);
    if wrong { Err(Errno::EINVAL.into()) } else { Ok(name) }
}

fn c_string(name: &str) -> io::Result<std::ffi::CString> {
    std::ffi::CString::new(name).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;

    #[test]
    fn planted_links_and_pipes_are_refused() {
        let scratch = Scratch::new("folder");
        let folder = Folder::open(scratch.path()).unwrap();
        symlink("/etc", scratch.path().join("link")).unwrap();
        symlink("/nowhere", scratch.path().join("dangling")).unwrap();
        nix::unistd::mkfifo(&scratch.path().join("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        assert!(folder.enter("link").is_err());
        assert!(folder.make("link").is_err());
        assert!(folder.create("dangling").is_err());
        assert!(folder.read("pipe").is_err());
        assert!(folder.has("dangling").unwrap());
        assert!(!Path::new("/nowhere").exists());
    }

    #[test]
    fn only_single_components_are_names() {
        let scratch = Scratch::new("folder");
        let folder = Folder::open(scratch.path()).unwrap();
        for name in ["", ".", "..", "a/b", "/etc", "a\0b"] {
            assert!(folder.create(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn nothing_is_ever_replaced() {
        let scratch = Scratch::new("folder");
        let folder = Folder::open(scratch.path()).unwrap();
        folder.create("new").unwrap();
        folder.create("old").unwrap();
        assert_eq!(folder.rename("new", &folder, "old").unwrap_err().kind(), ErrorKind::AlreadyExists);
        folder.rename("new", &folder, "free").unwrap();
        assert!(folder.has("free").unwrap() && !folder.has("new").unwrap());
    }
}
