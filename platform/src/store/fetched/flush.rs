//! What waits for the device: written bytes that are to be forced to it, and the end of a finished fetch. A card may take
//! minutes for either, so both go to a thread where waiting is allowed, with handles of their own.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::super::content::Content;
use super::part;
use crate::sys::folder::Folder;

/// Files to be forced to the device.
#[derive(Debug)]
pub struct Flush {
    pub(super) content: Arc<Content>,
    pub(super) folder: Folder,
    /// Paths of the files; all of them if there are none.
    pub(super) files: Vec<String>,
    /// Forced after them: leaves of blocks that are not there yet would only cost a look.
    pub(super) leaves: Option<File>,
}

impl Flush {
    /// Takes as long as the device does.
    pub fn run(&self) -> io::Result<()> {
        let files = if self.files.is_empty() { self.content.paths() } else { &self.files };
        for path in files {
            part::open_file(&self.folder, &self.content, path, false)?.sync_all()?;
        }
        self.leaves.as_ref().map_or(Ok(()), File::sync_data)
    }
}

/// What is left to do once the share has its name.
#[derive(Debug)]
pub struct Tidy {
    pub(super) out: Folder,
    pub(super) hidden: String,
    /// The share.
    pub(super) name: String,
    pub(super) is_single_file: bool,
    /// Whether the name is forced to the device before what a power cut would need without it is removed.
    pub(super) sync: bool,
}

impl Tidy {
    /// Takes as long as the device does. What is left over after a failure is removed at the next opening.
    pub fn run(&self) -> io::Result<()> {
        if self.sync {
            // FAT: what was moved is empty under its new name until it is forced out itself.
            if self.is_single_file {
                self.out.read(&self.name)?.sync_all()?;
            } else {
                self.out.enter(&self.name)?.sync()?;
            }
            self.out.sync()?;
            self.out.enter(&self.hidden)?.sync()?; // the old name is gone
        }
        _ = part::remove(&self.out, &self.hidden); // the share is whole under its name
        Ok(())
    }
}
