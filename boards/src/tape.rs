//! Tar archives that come out the same whoever makes them, and when.

use std::io;

/// Time of all entries: 1970, as in everything that is to be built twice.
const TIME: u64 = 0;

/// A tar archive in memory.
pub(crate) struct Tape(tar::Builder<Vec<u8>>);

/// Who owns an entry, by number: 0 is root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner(pub(crate) u64);

impl Tape {
    pub(crate) fn new() -> Self {
        let mut builder = tar::Builder::new(Vec::new());
        builder.mode(tar::HeaderMode::Deterministic);
        Self(builder)
    }

    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let mut header = header(tar::EntryType::Regular, mode, Owner(0));
        header.set_size(bytes.len() as u64);
        self.0.append_data(&mut header, path, bytes)
    }

    pub(crate) fn folder(&mut self, path: &str, mode: u32, owner: Owner) -> io::Result<()> {
        let mut header = header(tar::EntryType::Directory, mode, owner);
        header.set_size(0);
        self.0.append_data(&mut header, path, io::empty())
    }

    pub(crate) fn link(&mut self, path: &str, to: &str) -> io::Result<()> {
        let mut header = header(tar::EntryType::Symlink, 0o777, Owner(0));
        header.set_size(0);
        self.0.append_link(&mut header, path, to)
    }

    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        self.0.into_inner()
    }
}

fn header(kind: tar::EntryType, mode: u32, Owner(owner): Owner) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(TIME);
    header
}
