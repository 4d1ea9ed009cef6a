//! Folders that the owner allowed, and what lies in them.
//!
//! Addresses of pages hold a number instead of a path, because what stands in addresses ends up in histories.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that have a number.
const FOLDERS: usize = 2_048;

/// Entries of a folder that are shown.
pub(super) const SHOWN: usize = 500;

/// Entries of a folder that are read; what is beyond is counted only up to here.
const READ: usize = 20_000;

/// The numbers, newest last.
#[derive(Debug, Default)]
pub(super) struct Folders {
    next: u64,
    known: VecDeque<(u64, PathBuf)>,
}

/// What lies in a folder.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Listing {
    /// Folders first, each part by name.
    pub(super) entries: Vec<Entry>,
    /// How many more there are that are not shown.
    pub(super) more: usize,
}

/// One file or folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) folder: bool,
    /// Bytes of a file.
    pub(super) size: u64,
}

impl Folders {
    /// The number of a folder.
    pub(super) fn number(&mut self, path: &Path) -> u64 {
        if let Some((number, _)) = self.known.iter().find(|(_, known)| known == path) {
            return *number;
        }
        if self.known.len() == FOLDERS {
            self.known.pop_front();
        }
        self.next = self.next.saturating_add(1);
        self.known.push_back((self.next, path.to_owned()));
        self.next
    }

    /// The folder of a number, if it is remembered.
    pub(super) fn path(&self, number: u64) -> Option<PathBuf> {
        self.known.iter().find(|(known, _)| *known == number).map(|(_, path)| path.clone())
    }
}

/// The path without links and detours, if it lies in one of `roots`. Looks at the disk.
pub(super) fn allowed(roots: &[PathBuf], path: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    let inside = |root: &&PathBuf| fs::canonicalize(root).is_ok_and(|root| real.starts_with(root));
    // Those that look like it first: the disk of another one may not answer.
    let (near, far): (Vec<_>, Vec<_>) = roots.iter().partition(|root| path.starts_with(root));
    near.iter().chain(&far).any(inside).then_some(real)
}

/// What lies there, without hidden names and names that are not text. Looks at the disk.
pub(super) fn list(folder: &Path) -> io::Result<Listing> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)?.take(READ) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Links are followed only to say what they are; sharing one that leads out of the roots is refused.
        let Ok(about) = fs::metadata(entry.path()) else { continue };
        if !name.starts_with('.') && (about.is_dir() || about.is_file()) {
            entries.push(Entry { name, folder: about.is_dir(), size: about.len() });
        }
    }
    entries.sort_by(|one, other| (!one.folder, &one.name).cmp(&(!other.folder, &other.name)));
    let more = entries.len().saturating_sub(SHOWN);
    entries.truncate(SHOWN);
    Ok(Listing { entries, more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn only_what_really_lies_in_a_root_is_allowed() {
        let scratch = Scratch::new("browse");
        let (inside, outside) = (scratch.path().join("inside"), scratch.path().join("outside"));
        fs::create_dir_all(inside.join("deep")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::create_dir_all(scratch.path().join("inside2")).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let roots = [inside.clone()];
        assert_eq!(
            allowed(&roots, &inside.join("deep/../deep")),
            Some(fs::canonicalize(inside.join("deep")).unwrap())
        );
        assert!(allowed(&roots, &inside).is_some());
        for path in ["outside", "inside/../outside", "inside/link", "inside2", "inside/missing"] {
            assert_eq!(allowed(&roots, &scratch.path().join(path)), None, "{path}");
        }
        assert_eq!(allowed(&[], &inside), None);
    }

    #[test]
    fn folders_come_first_and_hidden_names_not_at_all() {
        let scratch = Scratch::new("browse");
        for name in ["b", "a", ".hidden"] {
            fs::write(scratch.path().join(name), "12").unwrap();
        }
        fs::create_dir(scratch.path().join("z")).unwrap();
        let names: Vec<_> = list(scratch.path())
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| (entry.name, entry.folder))
            .collect();
        assert_eq!(names, [("z".into(), true), ("a".into(), false), ("b".into(), false)]);
    }

    #[test]
    fn numbers_stay_until_there_are_too_many() {
        let mut folders = Folders::default();
        let first = folders.number(Path::new("/a"));
        assert_eq!(folders.number(Path::new("/a")), first);
        assert_eq!(folders.path(first), Some("/a".into()));
        (0..FOLDERS).for_each(|number| _ = folders.number(Path::new(&format!("/{number}"))));
        assert_eq!((folders.path(first), folders.known.len()), (None, FOLDERS));
    }
}
