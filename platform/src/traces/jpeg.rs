//! JPEG files: segments around the picture's scans, and what lies behind its end (ITU-T T.81, annex B).

use std::collections::BTreeSet;
use std::io::{self, BufRead, Seek, SeekFrom, Write};

use super::{Trace, broken, tiff};

/// Segments read, at most; a progressive picture has some ten scans.
const SEGMENTS: usize = 4_096;

/// Start of Exif, of XMP, of colours, of the list of further pictures behind the end (CIPA DC-007), of JFIF and of Adobe's
/// transform within their segments.
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/x";
const COLOURS: &[u8] = b"ICC_PROFILE\0";
const FURTHER: &[u8] = b"MPF\0";
const JFIF: &[u8] = b"JFIF\0";
const ADOBE: &[u8] = b"Adobe";

/// Start of a scan, and end of the picture.
const SCAN: u8 = 0xda;
const END: u8 = 0xd9;

/// What the segments tell, and what lies behind the picture: a film, as telephones append it, or another picture.
pub(super) fn traces(file: &mut (impl BufRead + Seek)) -> io::Result<BTreeSet<Trace>> {
    let mut found = BTreeSet::new();
    file.seek(SeekFrom::Start(2))?;
    walk(file, &mut io::sink(), |marker, data, _| {
        match marker {
            0xe1 if data.starts_with(EXIF) => {
                found.extend(tiff::traces(data.get(EXIF.len()..).unwrap_or_default()));
            }
            0xe1 => found.extend(super::document::of_xmp(data)),
            0xe2 if data.starts_with(COLOURS) || data.starts_with(FURTHER) => {}
            0xe2..=0xed | 0xef | 0xfe => _ = found.insert(Trace::Remark),
            _ => {}
        }
        Ok(())
    })?;
    found.extend(super::behind(file)?);
    Ok(found)
}

/// Copies the picture with what it takes to show it: no Exif, XMP, IPTC or remarks, not between scans either, and nothing
/// that lies behind it. The rotation is kept, in an Exif segment of its own.
pub(super) fn clean(from: &mut (impl BufRead + Seek), to: &mut impl Write) -> io::Result<()> {
    from.seek(SeekFrom::Start(2))?;
    to.write_all(&[0xff, 0xd8])?;
    let mut turned = false;
    walk(from, to, |marker, data, to| {
        let needed = match marker {
            0xe1 if data.starts_with(EXIF) && !turned => {
                let value = tiff::orientation(data.get(EXIF.len()..).unwrap_or_default());
                let Some(value) = value else { return Ok(()) };
                turned = true;
                return write(to, marker, &[EXIF, &tiff::only_orientation(value)].concat());
            }
            0xe0 => data.starts_with(JFIF),
            0xe2 => data.starts_with(COLOURS),
            0xee => data.starts_with(ADOBE),
            0xe1..=0xef | 0xfe => false, // also what cameras append for themselves
            _ => true,
        };
        if needed { write(to, marker, data) } else { Ok(()) }
    })?;
    to.write_all(&[0xff, END])
}

/// Shows every segment to `each`, and copies the scans to `to`, up to the end of the picture. One that breaks off within a
/// scan ends there.
fn walk<W: Write>(
    from: &mut impl BufRead,
    to: &mut W,
    mut each: impl FnMut(u8, &[u8], &mut W) -> io::Result<()>,
) -> io::Result<()> {
    let mut next = marker(from)?;
    for _ in 0..SEGMENTS {
        let kind = match next {
            Some(END) => return Ok(()),
            Some(0x01 | 0xd0..=0xd8) | None => return Err(broken()),
            Some(kind) => kind,
        };
        each(kind, &data(from)?, to)?;
        next = if kind == SCAN { scan(from, to)?.or(Some(END)) } else { marker(from)? };
    }
    Err(broken())
}

/// The next marker, after any number of fill bytes; nothing at the end of the file.
fn marker(from: &mut impl BufRead) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let mut filled = false;
    while from.read(&mut byte)? == 1 {
        match byte {
            [0xff] => filled = true,
            [marker] if filled => return Ok(Some(marker)),
            _ => return Err(broken()),
        }
    }
    Ok(None)
}

fn data(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    from.read_exact(&mut length)?;
    let length = usize::from(u16::from_be_bytes(length)).checked_sub(2).ok_or_else(broken)?;
    let mut data = vec![0; length];
    from.read_exact(&mut data)?;
    Ok(data)
}

/// Copies the data of a scan up to the marker behind it, and gives that; nothing at the end of the file.
fn scan(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Option<u8>> {
    loop {
        let bytes = from.fill_buf()?;
        let plain = bytes.iter().position(|byte| *byte == 0xff).unwrap_or(bytes.len());
        let (whole, done) = (plain == bytes.len(), bytes.is_empty());
        to.write_all(bytes.get(..plain).unwrap_or_default())?;
        from.consume(plain);
        if done {
            return Ok(None);
        }
        if whole {
            continue;
        }
        match marker(from)? {
            // A byte of data that looks like a marker, and marks that belong to the data.
            Some(byte @ (0 | 0xd0..=0xd7)) => to.write_all(&[0xff, byte])?,
            other => return Ok(other),
        }
    }
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
