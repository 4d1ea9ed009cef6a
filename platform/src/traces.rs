//! What files tell about who made them: places, cameras, names, home folders. And copies of them that do not.
//!
//! Reads little of each file and never the content of pictures; what it finds it names, it does not repeat it. It knows the
//! usual kinds of pictures, sounds, films and documents, and says which files it did not look at or does not understand; it
//! cannot promise that nothing is left.

mod document;
mod jpeg;
mod png;
mod riff;
mod tiff;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Files looked at, at most.
const FILES: usize = 20_000;

/// Longest look at a share.
const LOOK: Duration = Duration::from_secs(8);

/// Files named in a report.
pub const NAMED: usize = 200;

/// Bytes read of the beginning, and of the end, of files that are searched.
const ENDS: (usize, usize) = (512 * 1024, 128 * 1024);

/// What a file may tell.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Trace {
    /// Where it was made.
    Location,
    /// Who made it.
    Author,
    /// With which camera.
    Camera,
    /// When.
    Time,
    /// With which program.
    Software,
    /// A remark, or properties that were not read further.
    Remark,
    /// A folder of somebody's home.
    HomeFolder,
    /// Something behind the end of a picture, which programs that show it pass over.
    Behind,
}

/// One file that tells something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// What it tells.
    pub traces: BTreeSet<Trace>,
    /// Whether [`clean`] takes all of that out.
    pub cleanable: bool,
}

/// What was found in a share.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// At most [`NAMED`].
    pub findings: Vec<Finding>,
    /// Files with findings that are not named.
    pub more: usize,
    /// Files that were looked at.
    pub looked: usize,
    /// Files that were not: too many, too slow, or not to be read.
    pub unseen: usize,
    /// Files of kinds that are not understood here, in which nothing was found.
    pub unknown: usize,
    /// Files of kinds that are understood, parts of which could not be looked at: what was found is not all, and nothing found means
    /// nothing.
    pub partly: usize,
}

/// What was seen in one file.
struct Look {
    finding: Option<Finding>,
    depth: Depth,
}

/// How far a look went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Depth {
    /// To wherever such a file keeps what it tells.
    Whole,
    /// Some of it is packed, locked or beyond what is read.
    Part,
    /// The kind is not understood: that nothing was found means nothing.
    Unknown,
}

/// The kinds of files that are understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Jpeg,
    Png,
    Riff,
    Other,
}

impl Trace {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Location => "place",
            Self::Author => "author",
            Self::Camera => "camera",
            Self::Time => "time",
            Self::Software => "program",
            Self::Remark => "remarks",
            Self::HomeFolder => "home folder",
            Self::Behind => "a film, picture or other data behind the picture",
        }
    }
}

/// Looks at all of `files`, within limits.
pub fn look(files: &[PathBuf]) -> Report {
    let (begun, mut report) = (Instant::now(), Report::default());
    for path in files {
        if report.looked >= FILES || begun.elapsed() >= LOOK {
            report.unseen = files.len().saturating_sub(report.looked);
            break;
        }
        report.looked += 1;
        let Ok(Look { finding, depth }) = look_at(path) else {
            report.unseen += 1;
            continue;
        };
        report.partly += usize::from(depth == Depth::Part);
        match finding {
            None => report.unknown += usize::from(depth == Depth::Unknown),
            Some(_) if report.findings.len() >= NAMED => report.more += 1,
            Some(finding) => report.findings.push(finding),
        }
    }
    report
}

impl Report {
    /// Files that were looked at and understood, all of each.
    pub const fn understood(&self) -> usize {
        self.looked.saturating_sub(self.unseen).saturating_sub(self.unknown).saturating_sub(self.partly)
    }
}

impl Kind {
    /// Whether [`clean`] knows it.
    const fn is_cleanable(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png)
    }
}

fn look_at(path: &Path) -> io::Result<Look> {
    let mut file = File::open(path)?;
    let kind = kind(&mut file)?;
    let (traces, depth) = match kind {
        Kind::Jpeg => (jpeg::traces(&mut BufReader::new(file))?, Depth::Whole),
        Kind::Png => (png::traces(&mut file)?, Depth::Whole),
        Kind::Riff => (riff::traces(&mut file)?, Depth::Whole),
        Kind::Other => {
            let bytes = ends(&mut file)?;
            let whole = file.metadata()?.len() <= bytes.len() as u64;
            document::traces(&bytes, whole)
        }
    };
    let finding = Finding { path: path.to_owned(), traces, cleanable: kind.is_cleanable() };
    Ok(Look { finding: (!finding.traces.is_empty()).then_some(finding), depth })
}

/// Writes a copy of a picture without what it tells. The size, colours and rotation of the picture stay.
///
/// Gives `false` and writes nothing where the file is no picture that is understood. `to` must not exist.
pub fn clean(from: &Path, to: &Path) -> io::Result<bool> {
    let mut source = File::open(from)?;
    let kind = kind(&mut source)?;
    if !kind.is_cleanable() {
        return Ok(false);
    }
    let mut target = BufWriter::new(File::create_new(to)?);
    let done = match kind {
        Kind::Jpeg => jpeg::clean(&mut BufReader::new(source), &mut target),
        Kind::Png => png::clean(&mut source, &mut target),
        Kind::Riff | Kind::Other => Ok(()),
    };
    let done = done.and_then(|()| target.flush());
    if done.is_err() {
        let _ = fs::remove_file(to); // half a picture is of no use
    }
    done.map(|()| true)
}

fn kind(file: &mut File) -> io::Result<Kind> {
    let mut head = [0; 12];
    file.rewind()?;
    let mut read = 0;
    while let Some(rest) = head.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            more => read += more,
        }
    }
    file.rewind()?;
    Ok(if head.starts_with(&[0xff, 0xd8, 0xff]) {
        Kind::Jpeg
    } else if head.starts_with(&png::SIGNATURE) {
        Kind::Png
    } else if head.starts_with(b"RIFF")
        && [*b"WEBP", *b"WAVE", *b"AVI "].iter().any(|kind| head.ends_with(kind))
    {
        Kind::Riff
    } else {
        Kind::Other
    })
}

/// What lies behind a picture that was read to its end; padding is nothing.
fn behind(file: &mut (impl Read + Seek)) -> io::Result<BTreeSet<Trace>> {
    let bytes = ends(file)?;
    if bytes.iter().all(|byte| matches!(byte, 0 | 0xff)) {
        return Ok(BTreeSet::new());
    }
    let mut found = document::of_film(&bytes);
    found.insert(Trace::Behind);
    Ok(found)
}

/// The beginning and the end of what is left to read of a file, one after the other.
fn ends(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let from = file.stream_position()?.saturating_add(ENDS.0 as u64);
    file.by_ref().take(ENDS.0 as u64).read_to_end(&mut bytes)?;
    let length = file.seek(SeekFrom::End(0))?;
    if length > from {
        file.seek(SeekFrom::Start(length.saturating_sub(ENDS.1 as u64).max(from)))?;
        file.by_ref().take(ENDS.1 as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// A picture that is not one, or breaks off.
fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the picture is damaged")
}

#[cfg(test)]
mod tests;
