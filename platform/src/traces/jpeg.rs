//! JPEG files: segments before the picture (ITU-T T.81, annex B).

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{Trace, broken, tiff};

/// Segments read, at most.
const SEGMENTS: usize = 4_096;

/// Start of Exif and of XMP within their segments.
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/x";

/// What comes next in a file.
enum Part {
    /// A marker with what follows it.
    Segment(u8, Vec<u8>),
    /// The picture itself, up to the end of the file; its header is that of a segment.
    Picture(Vec<u8>),
}

/// What the segments tell.
pub(super) fn traces(file: &mut (impl Read + Seek)) -> io::Result<BTreeSet<Trace>> {
    let mut found = BTreeSet::new();
    file.seek(SeekFrom::Start(2))?;
    for _ in 0..SEGMENTS {
        match next(file)? {
            Part::Picture(_) => break,
            Part::Segment(0xe1, data) if data.starts_with(EXIF) => {
                found.extend(tiff::traces(data.get(EXIF.len()..).unwrap_or_default()));
            }
            Part::Segment(0xe1, data) => found.extend(super::document::of_xmp(&data)),
            Part::Segment(0xed | 0xfe, _) => _ = found.insert(Trace::Remark),
            Part::Segment(..) => {}
        }
    }
    Ok(found)
}

/// Copies all but Exif, XMP, IPTC and remarks. The rotation is kept, in an Exif segment of its own.
pub(super) fn clean(from: &mut (impl Read + Seek), to: &mut impl Write) -> io::Result<()> {
    from.seek(SeekFrom::Start(2))?;
    to.write_all(&[0xff, 0xd8])?;
    let mut turned = false;
    for _ in 0..SEGMENTS {
        match next(from)? {
            Part::Picture(header) => {
                write(to, 0xda, &header)?;
                return io::copy(from, to).map(drop);
            }
            Part::Segment(0xe1, data) if data.starts_with(EXIF) && !turned => {
                let value = tiff::orientation(data.get(EXIF.len()..).unwrap_or_default());
                if let Some(value) = value {
                    write(to, 0xe1, &[EXIF, &tiff::only_orientation(value)].concat())?;
                    turned = true;
                }
            }
            // Also what cameras append for themselves; colours (APP2) and Adobe's transform (APP14) are needed.
            Part::Segment(0xe1 | 0xe3..=0xed | 0xef | 0xfe, _) => {}
            Part::Segment(marker, data) => write(to, marker, &data)?,
        }
    }
    Err(broken())
}

fn next(file: &mut impl Read) -> io::Result<Part> {
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    if byte != [0xff] {
        return Err(broken());
    }
    while byte == [0xff] {
        file.read_exact(&mut byte)?; // any number of fill bytes
    }
    let [marker] = byte;
    let mut length = [0; 2];
    file.read_exact(&mut length)?;
    let length = usize::from(u16::from_be_bytes(length)).checked_sub(2).ok_or_else(broken)?;
    let mut data = vec![0; length];
    file.read_exact(&mut data)?;
    Ok(if marker == 0xda { Part::Picture(data) } else { Part::Segment(marker, data) })
}

fn write(to: &mut impl Write, marker: u8, data: &[u8]) -> io::Result<()> {
    let length = u16::try_from(data.len() + 2).map_err(|_| broken())?;
    to.write_all(&[0xff, marker])?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(data)
}

/// Whether a segment is XMP.
pub(super) fn is_xmp(data: &[u8]) -> bool {
    data.starts_with(XMP)
}
