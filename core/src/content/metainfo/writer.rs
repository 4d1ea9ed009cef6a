//! Writing metadata in its canonical form: the same files always give the same bytes, and so the same info-hash.

use core::fmt;

use super::META_VERSION;
use crate::content::bencode::Writer;
use crate::content::layout::is_piece_len;
use crate::content::merkle::Hash;
use crate::content::name::{self, NameError};

/// One file to be described. `P` gives the components of its path, from the top folder down.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<P> {
    /// Components of the path.
    pub path: P,
    /// Bytes.
    pub length: u64,
    /// Root of its merkle tree; not looked at where `length` is 0.
    pub root: Hash,
}

/// Why an info dictionary cannot be written. What was written so far is useless.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteError {
    /// The name of the share, or a part of a path, is not safe.
    Name(NameError),
    /// No piece length of BEP 52, or too large for us.
    PieceLength,
    /// The file at this position is not greater than the one before it, comparing paths component by component, byte by byte;
    /// or one of both lies under the other as if that were a folder.
    Order(usize),
}

impl From<NameError> for WriteError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => write!(f, "a name {error}; rename it"),
            Self::PieceLength => f.write_str("piece length must be a power of two from 16 KiB to 64 MiB"),
            Self::Order(at) => write!(f, "file number {at} is out of order"),
        }
    }
}

impl core::error::Error for WriteError {}

/// Writes an info dictionary to `sink`, bit by bit.
///
/// `files` come sorted by path, compared component by component, byte by byte.
pub fn write_info<'p, P>(
    name: &str,
    piece_len: u32,
    files: impl IntoIterator<Item = NewFile<P>>,
    sink: impl FnMut(&[u8]),
) -> Result<(), WriteError>
where
    P: Iterator<Item = &'p str> + Clone,
{
    name::check(name.as_bytes())?;
    if !is_piece_len(u64::from(piece_len)) {
        return Err(WriteError::PieceLength);
    }
    let mut out = Writer::new(sink);
    out.dict();
    out.bytes(b"file tree");
    write_tree(&mut out, files)?;
    out.bytes(b"meta version");
    out.int(META_VERSION.unsigned_abs());
    out.bytes(b"name");
    out.bytes(name.as_bytes());
    out.bytes(b"piece length");
    out.int(u64::from(piece_len));
    out.end();
    Ok(())
}

/// Writes a `.torrent` file around the bytes of an info dictionary.
///
/// `layers` are the piece layers of all files longer than a piece: once each, sorted by root.
pub fn write_torrent<'l>(
    info: &[u8],
    layers: impl IntoIterator<Item = (Hash, &'l [u8])>,
    sink: impl FnMut(&[u8]),
) {
    let mut out = Writer::new(sink);
    out.dict();
    out.bytes(b"info");
    out.raw(info);
    out.bytes(b"piece layers");
    out.dict();
    for (root, layer) in layers {
        out.bytes(&root.0);
        out.bytes(layer);
    }
    out.end();
    out.end();
}

fn write_tree<'p, P, F>(
    out: &mut Writer<F>,
    files: impl IntoIterator<Item = NewFile<P>>,
) -> Result<(), WriteError>
where
    P: Iterator<Item = &'p str> + Clone,
    F: FnMut(&[u8]),
{
    let mut before: Option<P> = None;
    out.dict();
    for (at, file) in files.into_iter().enumerate() {
        let shared = match before.take() {
            None => 0,
            Some(last) => turn(out, last, &file.path).ok_or(WriteError::Order(at))?,
        };
        let mut new = 0_usize;
        for component in file.path.clone().skip(shared) {
            name::check(component.as_bytes())?;
            out.bytes(component.as_bytes());
            out.dict();
            new = new.saturating_add(1);
        }
        if new == 0 {
            return Err(WriteError::Order(at));
        }
        write_file(out, &file);
        before = Some(file.path);
    }
    if let Some(last) = before {
        last.for_each(|_| out.end());
    }
    out.end();
    Ok(())
}

/// Ends the folders of `last` that `next` does not lie in; gives the number of those it does. `None` if out of order.
fn turn<'p, P, F>(out: &mut Writer<F>, last: P, next: &P) -> Option<usize>
where
    P: Iterator<Item = &'p str> + Clone,
    F: FnMut(&[u8]),
{
    let shared = last.clone().zip(next.clone()).take_while(|(last, next)| last == next).count();
    match (last.clone().nth(shared), next.clone().nth(shared)) {
        (Some(last), Some(next)) if last < next => {}
        _ => return None,
    }
    last.skip(shared).for_each(|_| out.end());
    Some(shared)
}

fn write_file<P, F: FnMut(&[u8])>(out: &mut Writer<F>, file: &NewFile<P>) {
    out.bytes(b"");
    out.dict();
    out.bytes(b"length");
    out.int(file.length);
    if file.length > 0 {
        out.bytes(b"pieces root");
        out.bytes(&file.root.0);
    }
    out.end();
}
