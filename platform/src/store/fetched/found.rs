//! Whether a finished share is still where it was put. Its disk may be late, or fail for a moment.

use std::path::Path;

use super::super::content::Content;
use super::{Fetched, sources};
use crate::sys::folder::Folder;

/// What was seen of a finished share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// Every file, of the right size.
    There,
    /// Its folder can be read, and nothing in it has its name.
    Moved,
    /// Something has its name; a file in it cannot be seen, or has another size.
    Partly,
    /// Its folder cannot be read, or is not there: nothing can be said of what was in it.
    Late,
}

impl Fetched {
    /// Looks for the finished share. What is in its files is not read.
    pub fn find(content: &Content, out: &Path) -> Found {
        match Folder::open(out).and_then(|folder| folder.has(content.name())) {
            Err(_) => Found::Late,
            Ok(false) => Found::Moved,
            Ok(true) if is_whole(content, out) => Found::There,
            Ok(true) => Found::Partly,
        }
    }
}

fn is_whole(content: &Content, out: &Path) -> bool {
    let layout = content.layout();
    sources(content, out).iter().zip(0..).all(|(path, number)| {
        let length = layout.span_of_file(number).map_or(0, |span| span.length);
        path.metadata().is_ok_and(|about| about.is_file() && about.len() == length)
    })
}
