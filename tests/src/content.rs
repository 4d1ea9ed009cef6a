//! Files to share: made from a seed, so that the same call always makes the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A stream of bytes that no compressor makes smaller (xorshift64*, Marsaglia 2003 and Vigna 2016).
#[derive(Clone, Debug)]
pub struct Bytes {
    state: u64,
}

impl Bytes {
    /// Starts the stream that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Fills `buffer`.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        }
    }
}

/// Writes a file of `length` bytes and returns its SHA-256 in hexadecimal digits.
pub fn write_file(path: &Path, length: u64, seed: u64) -> io::Result<String> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut bytes, mut hash) = (Bytes::new(seed), Sha256::new());
    let mut buffer = vec![0; CHUNK];
    let mut left = length;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let part = buffer.get_mut(..now).unwrap_or_default();
        bytes.fill(part);
        hash.update(&*part);
        file.write_all(part)?;
        left -= now as u64;
    }
    file.flush()?;
    Ok(HEXLOWER.encode(&hash.finalize()))
}

/// Writes `files` files of up to 64 KiB each, some of them empty, 50 to a folder. Returns what [`digests`] would.
pub fn write_tree(folder: &Path, files: u32, seed: u64) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut lengths = Bytes::new(seed);
    let mut written = BTreeMap::new();
    for number in 0..files {
        let relative =
            PathBuf::from(format!("part {:02}", number / 50)).join(format!("file {number:04}.bin"));
        let path = folder.join(&relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let length = if number % 97 == 13 { 0 } else { lengths.next_u64() % (64 * 1024) };
        written.insert(relative, write_file(&path, length, seed.wrapping_add(u64::from(number)))?);
    }
    Ok(written)
}

/// SHA-256 of one file, in hexadecimal digits.
pub fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(&hash.finalize())),
            length => hash.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// SHA-256 of every file below `folder`, by relative path.
pub fn digests(folder: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(&here)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(relative) = path.strip_prefix(folder) {
                found.insert(relative.to_owned(), digest(&path)?);
            }
        }
    }
    Ok(found)
}

const CHUNK: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_same_seed_gives_the_same_tree() {
        let (one, two) = (Scratch::new("content").unwrap(), Scratch::new("content").unwrap());
        let written = write_tree(one.path(), 120, 5).unwrap();
        assert_eq!(written.len(), 120);
        assert_eq!(digests(one.path()).unwrap(), written);
        assert_eq!(write_tree(two.path(), 120, 5).unwrap(), written);
        assert_ne!(write_tree(two.path(), 120, 6).unwrap(), written);
    }

    #[test]
    fn a_file_has_the_length_asked_for() {
        let scratch = Scratch::new("content").unwrap();
        let path = scratch.join("file");
        let said = write_file(&path, (1 << 20) + 3, 1).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), (1 << 20) + 3);
        assert_eq!(digest(&path).unwrap(), said);
    }
}
