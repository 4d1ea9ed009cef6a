//! The file tree of an info dictionary, walked file by file.

use heapless::Vec;

use super::error::{FileError, InfoError};
use super::{as_bytes, as_int};
use crate::content::bencode::{Reader, Token};
use crate::content::{Hash, name};
use crate::limits::{MAX_DEPTH, MAX_FILE_LEN};

/// Components of the longest path: the folders and the file.
const MAX_COMPONENTS: usize = MAX_DEPTH + 1;

/// One file of a share.
#[derive(Clone, Debug)]
pub struct File<'a> {
    /// Where it lies below the share's folder.
    pub path: FilePath<'a>,
    /// Bytes.
    pub length: u64,
    /// Root of its merkle tree; `None` exactly for an empty file.
    pub root: Option<Hash>,
}

/// A path whose every component may safely be created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilePath<'a>(Vec<&'a str, MAX_COMPONENTS>);

impl<'a> FilePath<'a> {
    /// The folders from the top down, then the file. Never empty.
    pub fn components(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a, '_> {
        self.0.iter().copied()
    }
}

/// Goes through a file tree in order. As an iterator it ends at the first fault, of which a checked
/// [`Info`](super::Info) has none.
#[derive(Clone, Debug)]
pub struct Files<'a> {
    tree: Reader<'a>,
    path: Vec<&'a str, MAX_COMPONENTS>,
    /// Files given so far.
    count: u32,
    /// The dictionary entered last has had no key yet.
    fresh: bool,
}

impl<'a> Files<'a> {
    pub(super) const fn new(tree: &'a [u8]) -> Self {
        Self { tree: Reader::new(tree), path: Vec::new(), count: 0, fresh: false }
    }

    /// The next file, checked.
    pub(super) fn next_file(&mut self) -> Result<Option<File<'a>>, InfoError> {
        loop {
            match self.tree.next_token()? {
                None => return Ok(None),
                Some(Token::Dict) => self.fresh = true,
                Some(Token::End) => self.leave()?,
                Some(Token::Key(b"")) => {
                    let file = self.file()?;
                    self.count = self.count.saturating_add(1);
                    return Ok(Some(file));
                }
                Some(Token::Key(component)) => self.enter(component)?,
                Some(Token::Int(_) | Token::Bytes(_) | Token::List) => {
                    let top = self.path.is_empty();
                    return Err(if top { InfoError::TreeNotDict } else { self.wrong(FileError::NotDict) });
                }
            }
        }
    }

    fn wrong(&self, error: FileError) -> InfoError {
        InfoError::File { number: self.count, error }
    }

    fn enter(&mut self, component: &'a [u8]) -> Result<(), InfoError> {
        let component = name::check(component).map_err(|error| self.wrong(FileError::Name(error)))?;
        self.fresh = false;
        self.path.push(component).map_err(|_| self.wrong(FileError::TooDeep))
    }

    fn leave(&mut self) -> Result<(), InfoError> {
        if self.fresh && !self.path.is_empty() {
            return Err(self.wrong(FileError::EmptyFolder));
        }
        self.fresh = false;
        self.path.pop();
        Ok(())
    }

    /// Reads the description behind an empty key, which must be alone in its dictionary.
    fn file(&mut self) -> Result<File<'a>, InfoError> {
        if self.path.is_empty() {
            return Err(self.wrong(FileError::Name(name::NameError::Empty)));
        }
        let about = self.tree.value()?.unwrap_or_default();
        match self.tree.next_token()? {
            Some(Token::End) => {}
            _ => return Err(self.wrong(FileError::AlsoFolder)),
        }
        let (length, root) = describe(about)?.map_err(|error| self.wrong(error))?;
        let path = FilePath(self.path.clone());
        self.fresh = false;
        self.path.pop();
        Ok(File { path, length, root })
    }
}

impl<'a> Iterator for Files<'a> {
    type Item = File<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_file().ok().flatten()
    }
}

/// Length and root as a file's dictionary tells them.
fn describe(about: &[u8]) -> Result<Result<(u64, Option<Hash>), FileError>, InfoError> {
    let mut reader = Reader::new(about);
    if reader.next_token()? != Some(Token::Dict) {
        return Ok(Err(FileError::NotDict));
    }
    let (mut length, mut root, mut symlink) = (None, None, false);
    while let Some(Token::Key(key)) = reader.next_token()? {
        let value = reader.value()?.unwrap_or_default();
        match key {
            b"length" => length = Some(value),
            b"pieces root" => root = Some(value),
            b"symlink path" => symlink = true,
            b"attr" => symlink |= as_bytes(value).is_some_and(|attr| attr.contains(&b'l')),
            _ => {}
        }
    }
    if symlink {
        return Ok(Err(FileError::Symlink));
    }
    Ok(check_length(length).and_then(|length| Ok((length, check_root(length, root)?))))
}

fn check_length(length: Option<&[u8]>) -> Result<u64, FileError> {
    let length = as_int(length.ok_or(FileError::NoLength)?).ok_or(FileError::LengthNotNumber)?;
    let length = u64::try_from(length).map_err(|_| FileError::LengthNegative)?;
    if length > MAX_FILE_LEN { Err(FileError::TooLong) } else { Ok(length) }
}

fn check_root(length: u64, root: Option<&[u8]>) -> Result<Option<Hash>, FileError> {
    let Some(root) = root else {
        return if length == 0 { Ok(None) } else { Err(FileError::NoRoot) };
    };
    let root = as_bytes(root).and_then(|root| root.try_into().ok()).ok_or(FileError::RootNotHash)?;
    if length == 0 { Err(FileError::RootOfNothing) } else { Ok(Some(Hash(root))) }
}
