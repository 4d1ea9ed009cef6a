//! Which files a share has, in the order of its info dictionary.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bulbil_core::content::name;
use bulbil_core::limits::{MAX_DEPTH, MAX_FILE_LEN, MAX_FILES};

use super::HashError;

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Name of the share.
    pub(super) name: String,
    /// Sorted by path, component by component.
    pub(super) files: Vec<Entry>,
}

/// A file to be hashed.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<String>,
    pub(super) source: PathBuf,
    pub(super) length: u64,
}

/// Finds all files below `paths`.
pub(super) fn find(paths: &[PathBuf], name: Option<&str>) -> Result<Found, HashError> {
    let name = name.map(|name| name::check(name.as_bytes()).map_err(HashError::ShareName)).transpose()?;
    let mut walk = Walk::default();
    let name = match (paths, name) {
        ([], _) => return Err(HashError::NoPath),
        ([path], name) => walk.only(path, name)?,
        (_, None) => return Err(HashError::NoName),
        (paths, Some(name)) => {
            for path in paths {
                walk.top(path)?;
            }
            name.to_owned()
        }
    };
    let mut files = walk.files;
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    if files.is_empty() { Err(HashError::NoFiles) } else { Ok(Found { name, files }) }
}

#[derive(Default)]
struct Walk {
    files: Vec<Entry>,
    /// Files and folders seen.
    seen: usize,
    /// Names of the paths given.
    tops: Vec<String>,
}

impl Walk {
    /// The one path of a share: a file is named after the share, a folder is the share.
    fn only(&mut self, path: &Path, name: Option<&str>) -> Result<String, HashError> {
        let source = fs::canonicalize(path).map_err(HashError::io(path))?;
        let about = fs::metadata(&source).map_err(HashError::io(path))?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => last(path).map_or_else(|| last_of(&source), |name| component(path, name))?,
        };
        if about.is_dir() {
            self.folder(&source, &[])?;
        } else {
            self.entry(source, vec![name.clone()], &about)?;
        }
        Ok(name)
    }

    /// One of several paths: its last component is its name within the share.
    fn top(&mut self, path: &Path) -> Result<(), HashError> {
        let source = fs::canonicalize(path).map_err(HashError::io(path))?;
        let about = fs::metadata(&source).map_err(HashError::io(path))?;
        let name = last(path).map_or_else(|| last_of(&source), |name| component(path, name))?;
        if self.tops.contains(&name) {
            return Err(HashError::Twice(name));
        }
        self.tops.push(name.clone());
        self.entry(source, vec![name], &about)
    }

    fn folder(&mut self, folder: &Path, above: &[String]) -> Result<(), HashError> {
        if above.len() > MAX_DEPTH {
            return Err(HashError::TooDeep(folder.to_path_buf()));
        }
        for entry in fs::read_dir(folder).map_err(HashError::io(folder))? {
            let source = entry.map_err(HashError::io(folder))?.path();
            let name = last_of(&source)?;
            let about = fs::symlink_metadata(&source).map_err(HashError::io(&source))?;
            let path = above.iter().cloned().chain([name]).collect();
            self.entry(source, path, &about)?;
        }
        Ok(())
    }

    fn entry(&mut self, source: PathBuf, path: Vec<String>, about: &Metadata) -> Result<(), HashError> {
        self.seen += 1;
        if self.seen > MAX_FILES {
            return Err(HashError::TooManyFiles);
        }
        if about.is_dir() {
            return self.folder(&source, &path);
        }
        if about.is_symlink() {
            return Err(HashError::Symlink(source));
        }
        if !about.is_file() {
            return Err(HashError::Special(source));
        }
        let length = about.len();
        if length > MAX_FILE_LEN {
            return Err(HashError::TooLong(source));
        }
        self.files.push(Entry { path, source, length });
        Ok(())
    }
}

/// The last component as the user wrote it; `None` for `.`, `..` and `/`.
fn last(path: &Path) -> Option<&OsStr> {
    path.file_name()
}

fn last_of(source: &Path) -> Result<String, HashError> {
    component(source, source.file_name().unwrap_or_default())
}

fn component(path: &Path, name: &OsStr) -> Result<String, HashError> {
    match name::check(name.as_bytes()) {
        Ok(name) => Ok(name.to_owned()),
        Err(error) => Err(HashError::Name { path: path.to_path_buf(), error }),
    }
}
